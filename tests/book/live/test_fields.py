"""The live figures over a field, chapters 5 and 6, in a browser: their numbers are the core's."""

import math

import matplotlib
import pytest
import torch
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import metric_field
from riemvae_core.figures.widgets.assets import probes
from riemvae_core.figures.widgets.metric_figure import (
    HALF,
    START_BALLS,
    START_Z,
    centroids,
    field_balls,
    figure_metric,
    fitted,
    plane_grid,
)
from riemvae_core.figures.widgets.stills import number
from riemvae_core.models import zoo

pytestmark = pytest.mark.browser
FIELD = 0
ORIGIN = (0.0, 0.0)


@pytest.fixture
def fields(browser, folder):
    with opened(browser, folder.as_uri(), name="fields") as page:
        yield page


def check_field(page):
    """State and screen against the core."""
    now = state(page, FIELD)
    metric = figure_metric(*(float(now[k]) for k in ("rho", "lam", "tau")), now["n_centroids"])
    z = torch.tensor(now["z"], dtype=torch.float64)
    radii = torch.exp(-0.5 * metric.log_diagonal(z))
    gaps = ((z - metric.mu) / (0.5 * metric.log_var).exp()).norm(dim=1)
    assert now["log_volume"] == pytest.approx(float(metric.log_volume(z)), abs=1e-6)
    assert now["radii"] == pytest.approx(radii.tolist(), rel=1e-6)
    assert now["ball"]["index"] == centroids(now["n_centroids"])[int(gaps.argmin())]
    assert now["ball"]["distance"] == pytest.approx(float(gaps.min()), abs=1e-6)
    volumes = math.pi * now["lam"] / now["tau"], now["n_centroids"] * math.pi * now["rho"] ** 2  # (e) 1 and 4
    assert now["empty"] == pytest.approx(volumes[0] / volumes[1])
    shown = page.locator("figure").nth(FIELD).locator("dd").all_text_contents()
    assert shown[:2] == [f"({', '.join(map(number, z.tolist()))})", number(now["log_volume"], 3)]
    assert shown[3] == f"{number(now['ball']['distance'])} of its σ"
    return now


# ---- the metric's field


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_field_is_the_core_s(browser, folder, address, scheme):
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="fields") as page:
        now = check_field(page)
        assert (now["n_centroids"], now["z"]) == (START_BALLS, list(START_Z))
        assert {k: now[k] for k in ("rho", "lam", "tau")} == pytest.approx(fitted(START_BALLS))
        assert now["sharp"]
        seen = page.evaluate("document.querySelector('figure').__rv.field(70)")
        expected = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS).log_volume(plane_grid(70))
        assert seen == pytest.approx(expected.flatten().tolist(), abs=1e-5)


def test_the_field_on_the_screen_has_the_plots_colors(fields):
    """Pixels of the canvas against cividis at the core's value, where it changes slowly."""
    read = """([x, y]) => {
      const canvas = document.querySelector("canvas.rv-plane"), box = canvas.getBoundingClientRect();
      const ratio = canvas.width / box.width;
      const at = [(x - box.left) * ratio, (y - box.top) * ratio];
      const copy = document.createElement("canvas").getContext("2d");
      copy.drawImage(canvas, ...at.map((v) => -Math.round(v)));
      return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }"""
    metric = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS)
    canvas = plane(fields, FIELD)
    for z in ((2.6, -2.6), (1.8, -2.2), (-1.5, 2.9)):
        seen = fields.evaluate(read, list(pixels_of(fields, canvas, z, ORIGIN, HALF)))
        value = float(metric.log_volume(torch.tensor(z, dtype=torch.float64)))
        expected = matplotlib.colormaps["cividis"]((value + 8) / 16)[:3]
        assert seen == pytest.approx([255 * c for c in expected], abs=3)


def test_images_are_the_core_s(fields):
    pixels = """(k) => {
      const {data} = document.querySelectorAll(".rv-image")[k].getContext("2d").getImageData(0, 0, 28, 28);
      return [...data].filter((_, i) => i % 4 === 3);
    }"""
    now = state(fields, FIELD)
    with torch.no_grad():
        decoded = zoo.load("fashion-vae-2d").decode(torch.tensor([now["z"]]))
    for k, image in enumerate((decoded, probes("fashion").images[now["ball"]["index"]])):
        assert (torch.tensor(fields.evaluate(pixels, k)) / 255 - image.flatten()).abs().max() < 0.01


def test_dragging_the_point(fields):
    canvas = plane(fields, FIELD)
    fields.mouse.move(*pixels_of(fields, canvas, START_Z, ORIGIN, HALF))
    fields.mouse.down()
    fields.mouse.move(*pixels_of(fields, canvas, (1.5, -1.0), ORIGIN, HALF), steps=5)
    assert check_field(fields)["z"] == pytest.approx([1.5, -1.0], abs=0.02)
    fields.mouse.up()
    fields.mouse.move(5, 5)
    assert check_field(fields)["z"] == pytest.approx([1.5, -1.0], abs=0.02)


def test_a_finger_moves_the_point_and_a_slider(browser, folder):
    with opened(browser, folder.as_uri(), width=390, name="fields", has_touch=True, is_mobile=True) as page:
        canvas = plane(page, FIELD)
        page.touchscreen.tap(*pixels_of(page, canvas, (0.5, 0.5), ORIGIN, HALF))
        assert check_field(page)["z"] == pytest.approx([0.5, 0.5], abs=0.05)
        slider = page.get_by_role("slider", name="reach ρ")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
        assert check_field(page)["rho"] == pytest.approx(0.3 * 100**0.8, rel=0.25)


def test_keys_move_the_point(fields):
    canvas = plane(fields, FIELD)
    canvas.focus()
    fields.keyboard.press("ArrowRight")
    fields.keyboard.press("Shift+ArrowDown")
    assert check_field(fields)["z"] == pytest.approx([START_Z[0] + 0.05, START_Z[1] - 0.25])
    fields.keyboard.press("Enter")
    now = check_field(fields)
    assert now["ball"]["distance"] == pytest.approx(0, abs=1e-9)
    assert now["z"] == pytest.approx(field_balls().mu[now["ball"]["index"]].tolist())
    fields.keyboard.press("Home")
    assert state(fields, FIELD)["z"] == list(START_Z)
    fields.wait_for_function("document.querySelector('.rv-voice').textContent.startsWith('z is')")


def test_the_four_sliders_change_the_metric(fields):
    """Each by keys, to its ends; then the book's rules for few balls, and back."""
    before = state(fields, FIELD)
    for name, key, low, high in (
        ("reach ρ", "rho", 0.3, 30.0),
        ("floor λ", "lam", 1e-4, 100.0),
        ("fading τ", "tau", 1e-3, 3.0),
    ):
        slider = fields.get_by_role("slider", name=name)
        slider.press("ArrowRight")
        assert check_field(fields)[key] == pytest.approx(before[key] * math.exp(0.01), rel=0.011)
        slider.press("Home")
        assert check_field(fields)[key] == pytest.approx(low)
        slider.press("End")
        assert check_field(fields)[key] == pytest.approx(high, rel=0.01)
    count = fields.get_by_role("slider", name="centroids")
    for n in (100, 50, 20, 10, 5, 2):
        count.press("ArrowLeft")
        assert check_field(fields)["n_centroids"] == n
    count.press("ArrowRight")
    fields.get_by_role("button", name="Fit").click()
    now = check_field(fields)
    assert {k: now[k] for k in ("rho", "lam", "tau")} == pytest.approx(fitted(5))
    fields.get_by_role("button", name="Reset").first.click()
    now = check_field(fields)
    assert {k: now[k] for k in before if k in fitted(2)} == {k: before[k] for k in fitted(2)}
    assert now["n_centroids"] == START_BALLS


def test_a_moving_field_is_drawn_as_finely_as_time_allows(fields):
    """The widest reach takes the most work: a coarse field at once, a finer one when the slider rests."""
    slider = fields.get_by_role("slider", name="reach ρ")
    grids = """(slider) => {
      const {frames} = document.querySelector("figure").__rv, first = frames.length;
      slider.value = slider.max;
      slider.dispatchEvent(new Event("input"));
      return new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() =>
        r(document.querySelector("figure").__rv.state.grid))));
    }"""
    assert slider.evaluate(grids) == 140
    fields.wait_for_function("document.querySelector('figure').__rv.state.sharp")
    settle(fields)
    assert state(fields, FIELD)["grid"] == 280


def test_a_notebook_shares_the_field_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = metric_field(see="Here.", try_this="There.")
    with in_a_notebook(browser, folder, address, "metric_field", widget) as page:
        assert check_field(page)["log_volume"] == pytest.approx(widget.log_volume, abs=1e-6)
        page.evaluate(
            "() => { model.set('rho', 2); model.set('n_centroids', 20); model.set('z', [0.5, 1.5]); }"
        )
        now = check_field(page)
        assert (now["rho"], now["n_centroids"], now["z"]) == (2, 20, [0.5, 1.5])
        widget.rho, widget.n_centroids, widget.z = 2.0, 20, [0.5, 1.5]
        assert now["log_volume"] == pytest.approx(widget.log_volume, abs=1e-6)
        assert page.evaluate("model.saved.length") == 0
        plane(page, FIELD).press("ArrowRight")
        page.get_by_role("slider", name="floor λ").first.press("ArrowRight")
        page.wait_for_function(f"() => model.saved.at(-1)?.lam > {widget.lam}")
        saved = page.evaluate("model.saved.at(-1)")
        widget.z, widget.lam = saved["z"], saved["lam"]
        assert state(page, FIELD)["log_volume"] == pytest.approx(widget.log_volume, abs=1e-6)
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


# ---- both figures in their surroundings


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width, name="fields") as page:
        wide = """() => [...document.querySelectorAll("figure *")]
          .filter((el) => el.getBoundingClientRect().right > document.documentElement.clientWidth)
          .map((el) => el.className)"""
        heights = "[...document.querySelectorAll('figure')].map((f) => f.getBoundingClientRect().height)"
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.evaluate(wide) == []
        before = page.evaluate(heights)
        for key in ["End", "Home"]:
            for name in ("reach ρ", "floor λ", "fading τ", "centroids"):
                page.get_by_role("slider", name=name).press(key)
                for _ in range(2):
                    plane(page, FIELD).press("Shift+ArrowLeft")
                settle(page)
                assert page.evaluate(heights) == before


def test_without_scripts_and_on_paper_a_picture_stands(browser, folder):
    base = folder.as_uri()
    with opened(browser, base, wait=False, name="fields", java_script_enabled=False) as page:
        for figure in page.locator("figure").all():
            still = figure.get_by_role("img").first
            assert still.is_visible()
            assert len(still.get_attribute("aria-label")) > 40
    with opened(browser, base, name="fields") as page:
        still = page.locator("figure").first.locator("svg.rv-still")
        assert still.is_hidden()
        page.emulate_media(media="print")
        assert still.is_visible()
