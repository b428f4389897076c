"""The live figures in their surroundings: theme, width, motion, paper, a missing file, a kernel."""

import io

import matplotlib.image
import pytest
from fake_kernel import in_a_notebook
from figures import PACKING, PAIR, POINTS, check_packing, check_points, opened, plane, settle, state
from pages import AXE, RUN_AXE

from riemvae_core.figures.widgets import packing, points_and_balls

pytestmark = pytest.mark.browser


# ---- light and dark, narrow and wide, motion, paper


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "bound", "contract", "codes", "fields", "paths", "particles"])
def test_axe_finds_nothing(browser, folder, name, theme):
    with opened(browser, folder.as_uri(), name=name) as page:
        page.evaluate("(t) => { document.documentElement.dataset.theme = t; }", theme)
        settle(page)
        page.evaluate(AXE)
        assert page.evaluate(RUN_AXE) == []


def test_the_planes_follow_the_theme(page):
    ink = """() => {
      const canvas = document.querySelector("canvas.rv-plane"), box = canvas.getBoundingClientRect();
      const {models} = document.querySelector("figure").__rv.state, ratio = canvas.width / box.width;
      const props = JSON.parse(document.querySelector("figure").dataset.rvProps), m = props.models[0];
      const half = props.half * Math.max(...m.std), scale = (box.width - 38) / (2 * half);
      const {z} = models[m.name];
      const x = 30 + (z[0] - m.mean[0] + half) * scale, y = 8 + (half - z[1] + m.mean[1]) * scale;
      const copy = document.createElement("canvas").getContext("2d");
      copy.drawImage(canvas, -x * ratio, -y * ratio);
      return [...copy.getImageData(0, 0, 1, 1).data];
    }"""
    shown = {}
    for theme in ("light", "dark", "light"):
        page.evaluate("(t) => { document.documentElement.dataset.theme = t; }", theme)
        settle(page)
        shown[theme] = page.evaluate(ink)
    assert shown == {"light": [0x1F, 0x23, 0x28, 255], "dark": [0xE3, 0xE7, 0xEB, 255]}


def test_no_id_is_used_twice(page):
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((el) => el.id)")
    assert len(ids) == len(set(ids)) > 6
    named = page.evaluate(
        "[...document.querySelectorAll('label')].every((el) => el.control?.type === 'range')"
    )
    assert named


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width) as page:
        room = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        wide = """() => [...document.querySelectorAll("figure *")]
          .filter((el) => el.getBoundingClientRect().right > document.documentElement.clientWidth)
          .map((el) => el.className)"""
        heights = (
            "() => [...document.querySelectorAll('figure')].map((f) => f.getBoundingClientRect().height)"
        )
        assert page.evaluate(room)
        assert page.evaluate(wide) == []
        tops = [page.locator(".rv-panel").nth(k).bounding_box()["y"] for k in (0, 1)]
        assert (tops[0] < tops[1]) == (width == 390)
        before = page.evaluate(heights)
        for key in ["ArrowLeft", "ArrowDown"] * 6:
            plane(page, POINTS).press(f"Shift+{key}")
            page.get_by_label("β", exact=True).press("ArrowRight")
            page.get_by_label("epoch", exact=True).press(key)
            plane(page, PACKING).press("n")
            settle(page)
            assert page.evaluate(heights) == before


def test_balls_glide_unless_motion_is_reduced(browser, folder):
    script = """() => {
      const figure = document.querySelectorAll("figure")[1], slider = figure.querySelector("input");
      slider.value = 2;
      slider.dispatchEvent(new Event("input"));
      return figure.__rv.state.gliding;
    }"""
    for motion in ("reduce", "no-preference"):
        with opened(browser, folder.as_uri(), reduced_motion=motion) as page:
            assert page.evaluate(script) == (motion == "no-preference")
            page.wait_for_function("() => !document.querySelectorAll('figure')[1].__rv.state.gliding")
            check_packing(page)


def test_without_scripts_and_on_paper_a_picture_stands(browser, folder):
    with opened(browser, folder.as_uri(), wait=False, java_script_enabled=False) as page:
        for k in range(3):
            still = page.locator("figure").nth(k).get_by_role("img").first
            assert still.is_visible()
            assert len(still.get_attribute("aria-label")) > 40
    with opened(browser, folder.as_uri()) as page:
        still = page.locator("figure").first.locator("svg.rv-still")
        assert still.is_hidden()
        page.emulate_media(media="print")
        assert still.is_visible()
        assert page.locator(".rv-stage").first.is_hidden()


@pytest.mark.parametrize(("theme", "ground", "ink"), [("light", 1.0, 0.2), ("dark", 0x12 / 255, 0.8)])
def test_the_still_picture_s_images_are_ink_on_the_ground(browser, folder, theme, ground, ink):
    with opened(browser, folder.as_uri()) as page:
        page.evaluate("(t) => { document.documentElement.dataset.theme = t; }", theme)
        page.emulate_media(media="print")
        decoded = page.locator("figure").first.locator("svg.rv-still image").nth(2)  # trousers
        shown = matplotlib.image.imread(io.BytesIO(decoded.screenshot()))[..., :3].mean(-1)
        assert shown[shown.shape[0] // 2, 4] == pytest.approx(ground, abs=0.05)
        assert abs(shown[shown.shape[0] // 4, shown.shape[1] // 2] - ink) < 0.25


def test_a_missing_file_leaves_the_picture_and_says_why(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/fashion-ae-2d.js", lambda route: route.abort())
    page.goto(f"{address}/index.html")
    figure = page.locator("figure").first
    figure.get_by_text("fashion-ae-2d.js could not be loaded").wait_for()
    assert figure.locator("svg.rv-still").is_visible()
    page.wait_for_function("document.querySelectorAll('figure[data-rv-ready]').length === 2")
    context.close()


# ---- the notebook's side: the same module with a model as anywidget gives it


def test_a_notebook_shares_the_handle_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = points_and_balls(see="Here.", try_this="There.")
    with in_a_notebook(browser, folder, address, "points_and_balls", widget) as page:
        assert page.evaluate("el.querySelector('figcaption').textContent") == "See. Here. Try. There."
        assert state(page, 0)["position"] == widget.position
        page.evaluate("() => model.set('position', [0.5, -0.25])")
        now = check_points(page)
        assert now["position"] == [0.5, -0.25]
        assert page.evaluate("model.saved.length") == 0
        plane(page, 0).press("ArrowRight")
        page.wait_for_function("() => model.saved.length > 0")
        widget.position = page.evaluate("model.saved.at(-1).position")
        assert widget.position == pytest.approx([0.55, -0.25])
        assert widget.z[PAIR[1]] == pytest.approx(state(page, 0)["models"][PAIR[1]]["z"], abs=1e-4)
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


def test_a_notebook_shares_the_ball_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = packing()
    with in_a_notebook(browser, folder, address, "packing", widget) as page:
        page.evaluate("() => { model.set('beta', 0.3); model.set('selected', 5); model.set('mu', [1, 1]); }")
        page.wait_for_function("() => el.querySelector('figure').__rv.state.bill.total !== null")
        now = state(page, 0)
        assert (now["beta"], now["selected"], now["mu"]) == (0.3, 5, [1, 1])
        widget.beta, widget.selected, widget.mu = 0.3, 5, [1.0, 1.0]
        assert list(now["bill"].values()) == pytest.approx(list(widget.bill), abs=1e-3)
        plane(page, 0).press("+")
        page.wait_for_function("() => model.saved.length > 0")
        widget.log_var = page.evaluate("model.saved.at(-1).log_var")
        assert list(state(page, 0)["bill"].values()) == pytest.approx(list(widget.bill), abs=1e-3)
