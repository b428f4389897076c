"""The live figures' Python side: what stands in a page, what a kernel reads and sets."""

import html
import json
import math
import re

import pytest
import torch

from riemvae_core.balls import gaussians
from riemvae_core.figures import plotting
from riemvae_core.figures.widgets import host, packing, points_and_balls, points_figure, train_panel
from riemvae_core.figures.widgets.assets import asset, asset_names, codes, probes
from riemvae_core.figures.widgets.packing_figure import bill, expected_squared_error, trained_ball
from riemvae_core.models import ModelConfig, make_model, zoo

PAIR = ("fashion-ae-2d", "fashion-vae-2d")


# ---- one source for page and notebook


@pytest.mark.parametrize("figure", host.FIGURES)
def test_bundles_import_nothing_and_export_only_what_notebooks_ask_for(figure):
    script, module = host.page_script(figure), host.notebook_module(figure)
    assert not re.search(r"^\s*(import|export)\b", script, re.M)
    assert re.findall(r"^(?:import|export)\b.*", module, re.M) == ["export default { render };"]
    for source in host.sources(figure):
        text = source.read_text(encoding="utf8")
        names = re.findall(r"^export (?:async )?(?:function\*?|const) (\w+)", text, re.M)
        assert names
        for name in names:
            assert len(re.findall(rf"^(?:async )?(?:function\*?|const) {name}\b", script, re.M)) == 1


def test_an_unknown_figure_is_named():
    with pytest.raises(ValueError, match=r"figure must be one of points_and_balls, packing, .*got 'clock'"):
        host.joined_source("clock")


def test_one_palette(root):
    palette = json.loads((root / "book" / "_static" / "palette.json").read_text(encoding="utf8"))
    light, dark = re.findall(r"\{\s*((?:--rv-\w+: #\w{6};\s*)+)\}", host.stylesheet())
    read = dict(re.findall(r"--rv-(\w+): (#\w{6})", light)), dict(re.findall(r"--rv-(\w+): (#\w{6})", dark))
    for theme, variables in zip(("light", "dark"), read, strict=True):
        assert variables == {name: entry[theme] for name, entry in palette.items()}
    fallback = re.findall(r'(\w+): "(#\w{6})"', (host.JS / "stage" / "stage.js").read_text(encoding="utf8"))
    assert dict(fallback) == read[0]
    assert {name: read[0][name] for name in plotting.COLORS} == plotting.COLORS


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_with_the_ground(root, theme):
    """Text at 4.5 to 1, what carries meaning in a drawing at 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11)."""
    palette = json.loads((root / "book" / "_static" / "palette.json").read_text(encoding="utf8"))
    ground = _luminance(palette["ground"][theme])
    for name, least in {"ink": 4.5, "muted": 4.5, "data": 3, "prior": 3, "posterior": 3, "codes": 3}.items():
        low, high = sorted((ground, _luminance(palette[name][theme])))
        assert (high + 0.05) / (low + 0.05) >= least, name


# ---- in a build of the book


def _props(figure) -> dict:
    text = figure._repr_html_()
    return json.loads(html.unescape(re.search(r'data-rv-props="([^"]*)"', text)[1]))


def test_write_static_writes_all_that_figures_ask_for(tmp_path, in_a_book):
    host.write_static(tmp_path)
    first = _props(points_and_balls())
    second = _props(packing())
    wanted = {
        *host.FIGURES, first["probes"], *(m["asset"] for m in first["models"]),
        second["probes"], second["snapshots"], *second["decoders"],
    }  # fmt: skip
    written = {path.stem for path in tmp_path.glob("*.js")}
    assert wanted <= written
    assert written == {*host.FIGURES, *asset_names()}
    assert (tmp_path / "figures.css").read_text(encoding="utf8") == host.stylesheet()
    script = (tmp_path / "fashion-probes.js").read_text(encoding="utf8")
    header = json.loads(re.fullmatch(r'__rv\.asset\("fashion-probes", (\[.*\]), "[\w+/=]*"\);\n', script)[1])
    assert header == asset("fashion-probes").header


@pytest.mark.parametrize("make", [points_and_balls, packing, train_panel])
def test_in_a_book_a_figure_is_html_with_a_named_picture(make, in_a_book):
    figure = make()
    assert not hasattr(figure, "_repr_mimebundle_")
    assert not hasattr(figure, "comm")
    text = figure._repr_html_()
    assert re.search(r'<svg class="rv-still"[^>]* role="img" aria-label="[^"]{40,}"', text)
    assert "<figcaption>" in text
    assert "widget-state" not in text


def test_captions_are_plain_text(in_a_book):
    text = points_and_balls(PAIR[1:], see="a < b & c", try_this="<script>")._repr_html_()
    assert "<b>See.</b> a &lt; b &amp; c <b>Try.</b> &lt;script&gt;</figcaption>" in text


def test_a_caption_that_is_no_text_is_named(in_a_book, no_hook):
    with pytest.raises(ValueError, match=r"see must be a sentence .*, got 3"):
        packing(see=3)


def test_models_are_checked():
    with pytest.raises(ValueError, match=r"models must be different names among .*, got \('nobody',\)"):
        points_and_balls(("nobody",))
    with pytest.raises(ValueError, match="models must be different names"):
        points_and_balls(())
    with pytest.raises(ValueError, match="models must be trained on the same data"):
        points_and_balls(("fashion-ae-2d", "digits-vae-2d"))


def test_the_start_is_where_the_autoencoder_is_furthest_from_every_image():
    images, model = probes("fashion").images, zoo.load(PAIR[0])
    mu, _ = codes(model, images)
    start = torch.tensor(points_figure.start_position(PAIR))
    rng = torch.Generator().manual_seed(0)
    others = (torch.rand(500, 2, generator=rng) * 2 - 1) * points_figure.START_WITHIN
    with torch.no_grad():
        y = model.decode(mu.mean(0) + torch.cat([start[None], others]) * mu.std(0, correction=0))
    rms = (y[:, None] - images[None]).square().flatten(2).mean(-1).sqrt().amin(1)
    assert rms[0] > 0.98 * rms[1:].max()
    assert points_figure.start_position(PAIR[1:]) == [0.0, 0.0]


# ---- in a notebook


def test_position_and_z_follow_each_other(in_a_notebook):
    figure, seen = points_and_balls(PAIR), []
    figure.observe(lambda change: seen.append(change["new"]), "z")
    mu, _ = codes(zoo.load(PAIR[0]), probes("fashion").images)
    mean, std = mu.mean(0), mu.std(0, correction=0)
    figure.position = [1.0, -0.5]
    expected = (mean + torch.tensor([1.0, -0.5]) * std).tolist()
    assert figure.z[PAIR[0]] == pytest.approx(expected, abs=1e-5)
    assert len(seen) == 1
    figure.z = {PAIR[0]: (mean - std).tolist()}
    assert figure.position == pytest.approx([-1, -1], abs=1e-5)
    assert set(figure.z) == set(PAIR)
    figure.position = [9, 0]
    assert figure.position == [3.0, 0.0]


def test_wrong_values_are_named(in_a_notebook):
    figure = points_and_balls(PAIR[1:])
    with pytest.raises(ValueError, match="position must be two finite numbers"):
        figure.position = [1.0]
    with pytest.raises(ValueError, match="position must be two finite numbers"):
        figure.position = [1.0, math.nan]
    with pytest.raises(ValueError, match="z must be keyed by fashion-vae-2d, got nobody"):
        figure.z = {"nobody": [0, 0]}
    balls = packing()
    with pytest.raises(ValueError, match=r"beta must be one of 0.03, .*, got 2.0"):
        balls.beta = 2.0
    with pytest.raises(ValueError, match=r"epoch must be one of 0, 1, .*, got 3"):
        balls.epoch = 3
    with pytest.raises(ValueError, match="selected must be between 0 and 239, got 240"):
        balls.selected = 240
    with pytest.raises(ValueError, match="log_var must be two finite numbers"):
        balls.log_var = ["a", 1]


def test_a_widget_carries_its_assets(in_a_notebook):
    state = points_and_balls(PAIR).get_state()
    assert set(state["_assets"]) == {"fashion-probes", *PAIR}
    assert state["position"] == points_figure.start_position(PAIR)
    assert state["_esm"].endswith("export default { render };\n")


def test_the_bill_is_the_core_s(in_a_notebook):
    balls = packing()
    balls.beta, balls.selected = 3.0, 17
    run = zoo.snapshots(zoo.beta_name(3.0))
    mu, log_var = run.mu[-1, 17], run.log_var[-1, 17]
    assert balls.mu == mu.tolist()
    assert balls.bill.pull + balls.bill.barrier == pytest.approx(
        3.0 * float(gaussians.kl_to_standard_normal(mu, log_var)), abs=1e-4
    )
    seen = []
    balls.observe(lambda change: seen.append(change["new"]), "bill")
    balls.mu = [0.0, 2.0]
    assert seen[-1].pull == pytest.approx(6.0)
    assert seen[-1].total == pytest.approx(sum(seen[-1][:3]))
    balls.epoch = 4
    assert balls.bill.reconstruction is None
    assert balls.bill.total is None
    assert (balls.mu, balls.log_var) == trained_ball(3.0, 4, 17)


def test_expected_squared_error_of_a_linear_decoder():
    r"""For g(z) = a + Bz it is |x - a - B mu|^2 + sum_k sigma_k^2 |B_k|^2."""
    config = ModelConfig(image_shape=(1, 4, 4), depth=0, linear_output=True)
    model = make_model("vae", config, seed=0).double()
    rng = torch.Generator().manual_seed(1)
    x, mu, log_var = (torch.randn(s, generator=rng, dtype=torch.float64) for s in ((1, 4, 4), 2, 2))
    layer = next(m for m in model.decoder.modules() if isinstance(m, torch.nn.Linear))
    with torch.no_grad():
        bias = (x.flatten() - layer.bias - layer.weight @ mu).square().sum()
        spread = (log_var.exp() * layer.weight.square().sum(0)).sum()
    assert float(expected_squared_error(model, x, mu, log_var)) == pytest.approx(
        float(bias + spread), rel=1e-9
    )


def test_expected_squared_error_of_a_trained_decoder():
    """5 x 5 nodes against 20,000 draws, within four standard errors."""
    model, image = zoo.load(zoo.beta_name(1.0)), probes("fashion").images[30]
    mu, log_var = (torch.tensor(v) for v in trained_ball(1.0, 60, 30))
    eps = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        draws = (model.decode(mu + torch.exp(0.5 * log_var) * eps) - image).square().flatten(1).sum(-1)
    exact = bill(1.0, 60, 30, mu.tolist(), log_var.tolist()).reconstruction
    assert abs(exact - float(draws.mean())) < 4 * float(draws.std()) / math.sqrt(len(draws))
