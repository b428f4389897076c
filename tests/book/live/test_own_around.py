"""A reader's latents under the hand, beside a kernel, at all widths, on paper."""

import io
import json

import numpy as np
import properties
import pytest
import torch
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state
from own_on_page import GOOD, IDLE, OWN, check_own, give, latents, npz
from pages import AXE, RUN_AXE

from riemvae_core.figures.widgets import own_latents
from riemvae_core.figures.widgets.metric_figure import field_balls
from riemvae_core.figures.widgets.reader_latents import (
    checked_latents,
    own_metric,
    packed_latents,
    unpacked_latents,
)
from riemvae_core.laws import sample_by_importance
from riemvae_core.numerics import make_generator

pytestmark = pytest.mark.browser


NAME = """() => {
  const el = document.activeElement;
  return el.getAttribute("aria-label") ?? (el.labels?.[0] ?? el).textContent;
}"""


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
    volume = [expected.log_volume, expected.log_volume_error]
    assert properties.numbers(shown[10]) == pytest.approx(volume, abs=0.006)
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
