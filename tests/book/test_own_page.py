"""A reader's own latents, chapter 9's figure, in a browser: what is read, shown, refused and saved."""

import base64
import io
import json
import math

import numpy as np
import pytest
import torch
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state
from pages import AXE, RUN_AXE

from riemvae_core import latent_health
from riemvae_core.figures.widgets import own_latents
from riemvae_core.figures.widgets.metric_figure import field_balls
from riemvae_core.figures.widgets.reader_latents import (
    checked_latents,
    metric_balls,
    own_metric,
    packed_latents,
    slice_through,
    unpacked_latents,
    widest_axes,
)
from riemvae_core.figures.widgets.stills import number
from riemvae_core.laws import sample_by_importance
from riemvae_core.numerics import make_generator

pytestmark = pytest.mark.browser
OWN = 0
NAME = """() => {
  const el = document.activeElement;
  return el.getAttribute("aria-label") ?? (el.labels?.[0] ?? el).textContent;
}"""
IDLE = "() => !document.querySelector('figure').__rv.state.busy"


@pytest.fixture
def own(browser, folder):
    with opened(browser, folder.as_uri(), name="own") as page:
        yield page


def latents(n=80, d=6, seed=0, dtype="f4"):
    rng = np.random.default_rng(seed)
    mu, log_var = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 0.5 - 3.0
    if d > 2:
        mu[:, 2], log_var[:, 2] = 0.0, 0.0  # a dead axis
    return mu.astype(dtype), log_var.astype(dtype)


def npz(mu, log_var, save=np.savez_compressed) -> bytes:
    file = io.BytesIO()
    save(file, mu=mu, log_var=log_var)
    return file.getvalue()


def give(page, content: bytes, name="latents.npz"):
    """Choose a file; until it was read and all is computed."""
    said = page.locator(".rv-message")
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "", "buffer": content})
    said.filter(has_text=name).filter(has_not_text="Reading").or_(said.filter(has_text="Not read")).wait_for()
    page.wait_for_function(IDLE, timeout=60_000)
    return state(page, OWN)


def check_own(page, mu, log_var):
    """All that the figure says of latents against the core: parameters, field, health, draws."""
    now = state(page, OWN)
    mu, log_var = checked_latents(mu, log_var)
    metric, (n, d) = own_metric(mu, log_var), mu.shape
    tolerance = 1e-6 if mu.dtype == torch.float64 else 1e-3
    assert (now["n"], now["d"]) == (n, d)
    assert [now[k] for k in ("rho", "lam", "tau")] == pytest.approx(
        [metric.rho, metric.lam, metric.tau], rel=1e-5
    )
    shown = slice_through(metric, now["axes"], mu[now["ball"]])
    assert (now["center"], now["half"]) == (
        pytest.approx(list(shown.center), abs=1e-5), pytest.approx(shown.half, abs=1e-5)
    )  # fmt: skip
    field = page.evaluate("document.querySelector('figure').__rv.field(24)")
    wide = type(metric)(metric.mu.double(), metric.log_var.double(), metric.rho, metric.lam, metric.tau)
    assert field == pytest.approx(wide.log_volume(shown.points(24)).flatten().tolist(), abs=1e-3)
    z = mu[now["ball"]].double()
    for axis, value in zip(now["axes"], now["z"], strict=True):
        if axis >= 0:
            z[axis] = value
    assert now["log_volume"] == pytest.approx(float(wide.log_volume(z)), abs=1e-3)
    gaps = ((z - wide.mu) / (0.5 * wide.log_var).exp()).norm(dim=1)
    keep = metric_balls(n)
    assert now["near"]["index"] == (int(gaps.argmin()) if keep is None else int(keep[gaps.argmin()]))
    assert now["near"]["distance"] == pytest.approx(float(gaps.min()), abs=1e-3)
    check_health(now["report"], latent_health(mu, log_var, metric), tolerance)
    expected = sample_by_importance(metric, now["n_draws"], make_generator(now["seed"]))
    for name in ("log_volume", "log_volume_error", "background_share", "acceptance"):
        assert now["draws"][name] == pytest.approx(getattr(expected, name), abs=tolerance), name
    assert now["draws"]["ess"] == pytest.approx(expected.ess, rel=tolerance)
    assert now["draws"]["converged"] == expected.converged
    return now, expected


def check_health(seen, expected, tolerance):
    for key, name in (("kl", "kl"), ("variance", "center_variance"), ("moment", "second_moment")):
        assert [a[key] for a in seen["axes"]] == pytest.approx(getattr(expected, name).tolist(), abs=1e-3)
    for name in ("dead", "active"):
        assert [a[name] for a in seen["axes"]] == getattr(expected, name).tolist()
    np.testing.assert_allclose(np.transpose([a["radii"] for a in seen["axes"]]), expected.radii, atol=1e-3)
    for name in ("overlap", "own_share", "information", "prior_gap"):
        seen_interval = [seen[name][part] for part in ("mean", "low", "high")]
        assert seen_interval == pytest.approx(list(getattr(expected, name)), abs=tolerance), name
    assert seen["metric"]["share"] == pytest.approx(expected.metric.background_share, abs=1e-3)
    assert tuple(seen["warnings"]) == expected.warnings


# ---- the example, and files


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_example_is_alive_and_true(browser, folder, address, scheme):
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="own") as page:
        mu, log_var = field_balls()
        now, expected = check_own(page, mu, log_var)
        assert (now["axes"], now["ball"], now["seed"], now["n_draws"]) == ([0, 1], 0, 0, 500)
        assert now["draws"]["converged"]
        np.testing.assert_allclose(np.reshape(now["draws"]["z"], (-1, 2)), expected.z, atol=1e-3)
        report = latent_health(mu, log_var, own_metric(mu, log_var))
        cells = page.locator(".rv-health td").all_text_contents()
        assert cells[2].startswith(f"{number(report.kl.sum().item())} nats ")
        assert cells[3].startswith(f"{report.information:.2f} nats at most log n, {math.log(240):.2f}")
        assert cells[7].startswith(f"{report.overlap:.3f} ")
        assert page.locator(".rv-state li").all_text_contents() == ["Nothing to warn of."]


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize(("save", "dtype"), [(np.savez, "f8"), (np.savez_compressed, "f4"), (np.savez, "f2")])
def test_a_reader_s_file_is_read_in_the_page(browser, folder, address, scheme, save, dtype):
    """Nothing is asked of any host while it is; dtypes and both kinds of .npz, a dead axis among six."""
    mu, log_var = latents(dtype=dtype)
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="own") as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        give(page, npz(np.asfortranarray(mu), log_var, save))
        now, expected = check_own(page, mu, log_var)
        assert now["axes"] == widest_axes(*checked_latents(mu, log_var))
        assert [axis for axis, facts in enumerate(now["report"]["axes"]) if facts["dead"]] == [2]
        if dtype == "f8":
            np.testing.assert_allclose(np.reshape(now["draws"]["z"], (-1, 6)), expected.z, atol=1e-9)
        assert asked == []
        assert page.locator(".rv-message").text_content() == "Shown: latents.npz, 80 balls in 6 dimensions. "
        assert "axis 2: 0.00 nats, dead" in page.get_by_label("across").locator("option").all_text_contents()


def test_json_one_axis_and_many_balls(own):
    mu, log_var = latents(30, 1)
    text = json.dumps({"mu": mu.tolist(), "log_var": log_var.tolist()})
    give(own, text.encode(), "one.json")
    now, _ = check_own(own, mu.astype("f8"), log_var.astype("f8"))
    assert now["axes"] == [0, -1]
    assert own.get_by_label("up").is_disabled()
    mu, log_var = latents(2300, 3)
    give(own, npz(mu, log_var), "many.npz")
    now, _ = check_own(own, mu, log_var)
    assert now["keep"] == metric_balls(2300).tolist()
    assert own.locator(".rv-numbers dd").all_text_contents()[:2] == [
        "2,300 × 3",
        "2,000 at random",
    ]


def test_a_dropped_file_is_read(own):
    """With the page's own drop event, a list of files in it as a browser gives it."""
    mu, log_var = latents(40, 2)
    drop = """([selector, type, name, content]) => {
      const transfer = new DataTransfer(), bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
      const event = new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true});
      document.querySelector(selector).dispatchEvent(event);
      return [event.defaultPrevented, document.querySelector(".rv-drop").classList.contains("rv-over")];
    }"""
    content = base64.b64encode(npz(mu, log_var)).decode()
    assert own.evaluate(drop, [".rv-plane", "dragover", "own.npz", content]) == [True, True]
    assert own.evaluate(drop, [".rv-plane", "drop", "own.npz", content]) == [True, False]
    own.locator(".rv-message").filter(has_text="own.npz, 40 balls").wait_for()
    own.wait_for_function(IDLE)
    check_own(own, mu, log_var)
    own.get_by_role("button", name="Show the example").click()
    own.locator(".rv-message").filter(has_text="the example, fashion-vae-2d").wait_for()
    own.wait_for_function(IDLE)
    check_own(own, *field_balls())


MU, LOG_VAR = latents(20, 2, dtype="f8")
GOOD = npz(MU, LOG_VAR, np.savez)
WRONG = {
    "no zip": (b"PNG, surely", "is no .npz"),
    "empty": (b"", "is empty"),
    "truncated": (GOOD[:-40], "is no .npz: either no zip archive or one that is cut short"),
    "cut inside": (GOOD[300:], "damaged or cut short"),
    "checksum": (GOOD[:260] + b"\x07" + GOOD[261:], "the checksum of mu doesn’t match"),
    "other names": (npz(MU, MU, lambda f, mu, **_: np.savez(f, mu=mu)), "There is no log_var in it"),
    "rank": (npz(MU[:, :, None], LOG_VAR), "mu must be [n, d], got [20, 2, 1]"),
    "shapes": (npz(MU, LOG_VAR[1:]), "log_var must have mu’s shape [20, 2], got [19, 2]"),
    "NaN": (npz(np.where(MU > 2, np.nan, MU) * np.nan, LOG_VAR), "mu must be finite"),
    "integers": (npz(np.ones((20, 2), int), LOG_VAR), "must hold floats of 16, 32 or 64 bits, got integers"),
    "objects": (npz(MU.astype(object), LOG_VAR), "got Python objects"),
    "too large": (
        npz(np.zeros((300_000, 4), "f4"), np.zeros((300_000, 4), "f4")),
        "mu holds 300,000 × 4 numbers, and this page takes 1,000,000. Thin it: i = np.random.default_rng(0)",
    ),
    "ragged": (b'{"mu": [[1, 2], [3]], "log_var": []}', "mu’s rows must be of one length"),
}  # fmt: skip


def test_what_is_refused_is_said_and_nothing_is_lost(own):
    """Each with a broken file: the words of the error, and the latents that were shown before."""
    mu, log_var = latents(40, 3)
    before = give(own, npz(mu, log_var), "first.npz")
    for name, (content, words) in WRONG.items():
        now = give(own, content, "x.json" if name == "ragged" else "x.npz")
        said = own.locator(".rv-message").text_content()
        assert said.startswith("Not read; what was shown stays. "), name
        assert words in said, name
        assert now == before, name
    check_own(own, mu, log_var)


def test_variances_in_place_of_their_logs_raise_a_doubt(own):
    mu, log_var = latents(40, 2)
    give(own, npz(mu, np.exp(log_var)), "variances.npz")
    assert "are these variances or standard deviations?" in own.locator(".rv-message").text_content()
    check_own(own, mu, np.exp(log_var))


def test_numbers_beyond_all_bounds_are_said(own):
    """Radii of e^-400: no number comes out, and the figure says which."""
    mu, log_var = latents(20, 2, dtype="f8")
    give(own, npz(mu, np.full_like(log_var, -800.0)), "tiny.npz")
    said = own.locator(".rv-message")
    assert "Not all of tiny.npz could be computed." in said.text_content()
    assert "at the center of ball 0" in said.text_content()
    give(own, npz(mu, log_var), "fine.npz")
    check_own(own, mu, log_var)


# ---- the hand


def test_the_plane_is_a_slice_that_the_reader_chooses(own):
    """Another axis, another ball by key and by button, a point by mouse: the field stays the core's."""
    mu, log_var = latents()
    give(own, npz(mu, log_var))
    first = state(own, OWN)["axes"]
    other = next(axis for axis in (0, 1, 3, 4, 5) if axis not in first)
    own.get_by_label("across").select_option(str(other))
    own.wait_for_function(IDLE)
    now, _ = check_own(own, mu, log_var)
    assert now["axes"] == [other, first[1]]
    assert now["z"] == pytest.approx(mu[0, now["axes"]].tolist())
    canvas, target = plane(own, OWN), mu[17, now["axes"]].tolist()
    own.mouse.click(*pixels_of(own, canvas, target, now["center"], now["half"]))
    assert check_own(own, mu, log_var)[0]["z"] == pytest.approx(target, abs=0.03)
    in_view = torch.tensor(mu[:, now["axes"]])
    own.get_by_role("button", name="Nearest ball").click()
    own.wait_for_function(IDLE)
    now, _ = check_own(own, mu, log_var)
    assert now["ball"] == int((in_view - torch.tensor(target)).norm(dim=1).argmin())
    assert (now["z"], now["near"]["index"]) == (pytest.approx(in_view[now["ball"]].tolist()), now["ball"])
    canvas = plane(own, OWN)
    canvas.press("Shift+ArrowRight")
    canvas.press("ArrowUp")
    moved = state(own, OWN)["z"]
    assert moved == pytest.approx([now["z"][0] + 0.05 * now["half"], now["z"][1] + 0.01 * now["half"]])
    canvas.press("Home")
    assert state(own, OWN)["z"] == pytest.approx(now["z"])
    canvas.press("Enter")
    assert state(own, OWN)["ball"] == now["ball"]
    own.wait_for_function(
        "document.querySelector('.rv-voice').textContent.includes('in a slice through ball')"
    )
    own.get_by_role("button", name="Reset").click()
    own.wait_for_function(IDLE)
    now = state(own, OWN)
    assert (now["axes"], now["ball"]) == (first, 0)


def test_a_finger_moves_the_point(browser, folder):
    with opened(browser, folder.as_uri(), width=390, name="own", has_touch=True, is_mobile=True) as page:
        now = state(page, OWN)
        target = pixels_of(page, plane(page, OWN), (0.5, 0.5), now["center"], now["half"])
        page.touchscreen.tap(*target)
        assert state(page, OWN)["z"] == pytest.approx([0.5, 0.5], abs=0.05)


def test_draws_change_with_their_number_and_seed(own):
    own.get_by_role("slider", name="draws").press("Home")
    own.wait_for_function(IDLE)
    now, _ = check_own(own, *field_balls())
    assert (now["n_draws"], now["draws"]["wanted"]) == (100, 2000)
    own.get_by_role("button", name="New draws").click()
    own.wait_for_function(IDLE)
    now, expected = check_own(own, *field_balls())
    assert now["seed"] == 1
    np.testing.assert_allclose(np.reshape(now["draws"]["z"], (-1, 2)), expected.z, atol=1e-3)
    shown = own.locator(".rv-numbers dd").all_text_contents()
    assert shown[8:10] == ["100, seed 1", f"{int(now['draws']['ess']):,} of {now['draws']['proposals']:,}"]
    assert shown[10] == f"{number(expected.log_volume)} ± {number(expected.log_volume_error)}"
    assert shown[12] == "yes"


def test_draws_that_do_not_converge_say_why(own):
    rng = np.random.default_rng(1)
    mu, log_var = rng.normal(size=(60, 40)).astype("f8"), np.zeros((60, 40))
    give(own, npz(mu, log_var))
    _, expected = check_own(own, mu, log_var)
    assert not expected.converged
    assert own.locator(".rv-numbers dd").all_text_contents()[12] == "no: see below"
    why = own.locator(".rv-reason").text_content()
    assert f"are worth {int(expected.ess):,}, 2,000 were wanted" in why
    assert "Don’t trust these draws" in why


def test_saved_draws_can_be_made_again(own):
    """Both files against the core's draws from what they say of parameters and seed."""
    mu, log_var = latents(60, 3, dtype="f8")
    give(own, npz(mu, log_var))
    own.get_by_role("button", name="New draws").click()
    own.wait_for_function(IDLE)
    files = {}
    for kind in ("json", "csv"):
        with own.expect_download() as found:
            own.get_by_role("button", name=f"Save draws as .{kind}").click()
        assert found.value.suggested_filename == f"uniform-draws.{kind}"
        with open(found.value.path(), encoding="utf8") as file:
            files[kind] = file.read()
    saved = json.loads(files["json"])
    metric = own_metric(torch.from_numpy(mu), torch.from_numpy(log_var))
    expected = sample_by_importance(metric, saved["n_draws"], make_generator(saved["seed"]))
    assert (saved["seed"], saved["converged"], saved["subset"], saved["latents"]) == (
        1,
        True,
        None,
        "latents.npz",
    )
    assert [saved[k] for k in ("rho", "lam", "tau")] == pytest.approx([metric.rho, metric.lam, metric.tau])
    np.testing.assert_allclose(saved["z"], expected.z, atol=1e-9)
    np.testing.assert_allclose(np.loadtxt(io.StringIO(files["csv"]), delimiter=","), expected.z, atol=1e-9)
    assert "# seed: 1\n" in files["csv"]
    assert "# z0,z1,z2\n" in files["csv"]


# ---- a kernel


def test_a_notebook_shares_latents_and_draws_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    mu, log_var = latents(50, 4, dtype="f8")
    widget = own_latents(see="Here.", try_this="There.", mu=mu, log_var=log_var)
    with in_a_notebook(browser, folder, address, "own_latents", widget) as page:
        page.wait_for_function("() => model.saved.at(-1)?._draws.z")
        now, expected = check_own(page, mu, log_var)
        assert (now["axes"], now["z"]) == (widget.axes, pytest.approx(widget.z))
        widget.set_state({"_draws": page.evaluate("model.saved.at(-1)._draws")})
        np.testing.assert_allclose(widget.draws.z, expected.z, atol=1e-9)
        assert widget.draws.ess == pytest.approx(expected.ess)
        page.evaluate("() => { model.set('ball', 7); model.set('axes', [3, 1]); model.set('seed', 4); }")
        page.wait_for_function(IDLE)
        now, _ = check_own(page, mu, log_var)
        assert (now["ball"], now["axes"], now["seed"]) == (7, [3, 1], 4)
        other = latents(30, 3, seed=1, dtype="f8")
        page.evaluate("(v) => model.set('_latents', v)", packed_latents("kernel", *checked_latents(*other)))
        page.wait_for_function(IDLE)
        check_own(page, *other)
        dropped = latents(40, 2, seed=2)
        give(page, npz(*dropped), "dropped.npz")
        page.wait_for_function("() => model.saved.at(-1)?._latents.name === 'dropped.npz'")
        sent = page.evaluate("model.saved.at(-1)")
        assert torch.equal(unpacked_latents(sent["_latents"]).mu, torch.from_numpy(dropped[0]))
        widget.set_state({key: sent[key] for key in ("_latents", "axes", "ball", "z", "seed", "n_draws")})
        assert torch.equal(widget.mu, torch.from_numpy(dropped[0]))
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


# ---- surroundings


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser, folder, theme):
    with opened(browser, folder.as_uri(), name="own") as page:
        page.evaluate("(t) => { document.documentElement.dataset.theme = t; }", theme)
        give(page, npz(*latents()))
        page.evaluate(AXE)
        assert page.evaluate(RUN_AXE) == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width, name="own") as page:
        page.add_style_tag(content="html { font-size: 115%; } main { max-width: 688px; }")  # as in the book
        give(page, npz(*latents(60, 12)), "a-rather-long-name-that-somebody-gave-to-a-file-of-latents.npz")
        wide = """() => [...document.querySelectorAll("figure *")]
          .filter((el) => el.getBoundingClientRect().right > document.documentElement.clientWidth)
          .map((el) => el.className)"""
        height = "document.querySelector('figure').getBoundingClientRect().height"
        assert page.evaluate(wide) == []
        before = page.evaluate(height)
        for act in (
            lambda: plane(page, OWN).press("Shift+ArrowLeft"),
            lambda: page.get_by_role("button", name="Nearest ball").click(),
            lambda: page.get_by_role("button", name="New draws").click(),
            lambda: page.get_by_label("up").select_option("2"),
            lambda: page.get_by_role("slider", name="draws").press("End"),
        ):
            act()
            settle(page)
            assert page.evaluate(height) == before
            page.wait_for_function(IDLE)
            settle(page)
            assert page.evaluate(height) == before
        assert page.evaluate(wide) == []
        cut = "[...document.querySelectorAll('dd')].filter((e) => e.scrollWidth > e.clientWidth).length"
        assert page.evaluate(cut) == 0


def test_all_can_be_reached_by_keys(own):
    """Tab goes through every control in the order of the page; the file button opens the browser's dialog."""
    own.on("filechooser", lambda _: None)  # from now on dialogs are caught: asking takes the browser a moment
    own.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(11):
        own.keyboard.press("Tab")
        names.append(own.evaluate(NAME))
    assert names[:3] == ["Choose a file", "Show the example", "Latent plane with the metric’s log volume"]
    assert names[3:6] == ["across", "up", "draws"]
    assert names[-5:] == ["Nearest ball", "New draws", "Save draws as .json", "Save draws as .csv", "Reset"]
    own.get_by_role("button", name="Choose a file").focus()
    with own.expect_file_chooser() as chooser:
        own.keyboard.press("Enter")
    chooser.value.set_files({"name": "k.npz", "mimeType": "", "buffer": GOOD})
    own.locator(".rv-message").filter(has_text="k.npz").wait_for()


def test_without_scripts_and_on_paper_a_picture_stands(browser, folder):
    with opened(browser, folder.as_uri(), wait=False, name="own", java_script_enabled=False) as page:
        still = page.locator("figure").get_by_role("img").first
        assert still.is_visible()
        assert "240 balls" in still.get_attribute("aria-label")
    with opened(browser, folder.as_uri(), name="own") as page:
        still = page.locator("svg.rv-still")
        assert still.is_hidden()
        page.emulate_media(media="print")
        assert still.is_visible()
