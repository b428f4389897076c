"""Chapter 8's live figure in a browser: its paths are as short as the core's, its numbers the core's."""

import pytest
import torch
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import three_paths
from riemvae_core.figures.widgets.metric_figure import HALF
from riemvae_core.figures.widgets.paths_figure import START, core_paths, path_numbers

pytestmark = pytest.mark.browser
ORIGIN = (0.0, 0.0)
SHARP = "() => document.querySelector('figure').__rv.state.sharp"


@pytest.fixture
def paths(browser, folder):
    with opened(browser, folder.as_uri(), name="paths") as page:
        yield page


def check(page):
    """Each number on the screen is the core's of the page's own curve; the curves join the ends."""
    page.wait_for_function(SHARP)
    now = state(page, 0)
    for way, path in now["paths"].items():
        curve = torch.tensor(path["curve"], dtype=torch.float64).reshape(-1, 2)
        assert curve[0].tolist() == pytest.approx(now["a"])
        assert curve[-1].tolist() == pytest.approx(now["b"])
        for name, value in path_numbers(curve).items():
            assert path[name] == pytest.approx(value, rel=1e-3), (way, name)
    assert now["paths"]["geodesic"]["length"] <= now["paths"]["straight"]["length"] * (1 + 1e-3)
    assert now["paths"]["low_cost"]["cost"] <= now["paths"]["straight"]["cost"] * (1 + 1e-3)
    return now


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_paths_are_as_short_as_the_core_s(browser, folder, address, scheme):
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="paths") as page:
        now = check(page)
        assert (now["a"], now["b"]) == tuple(map(list, START.values()))
        core = {way: path_numbers(curve) for way, curve in core_paths(**START).items()}
        assert now["paths"]["straight"]["length"] == pytest.approx(core["straight"]["length"], rel=1e-3)
        assert now["paths"]["geodesic"]["length"] <= core["geodesic"]["length"] * 1.001
        assert now["paths"]["low_cost"]["cost"] <= core["low_cost"]["cost"] * 1.001


def test_dragging_either_end(paths):
    canvas = plane(paths, 0)
    for end, to in (("a", (-1.0, -1.0)), ("b", (1.0, 1.5))):
        paths.mouse.move(*pixels_of(paths, canvas, START[end], ORIGIN, HALF))
        paths.mouse.down()
        paths.mouse.move(*pixels_of(paths, canvas, to, ORIGIN, HALF), steps=4)
        paths.mouse.up()
        now = check(paths)
        assert now[end] == pytest.approx(to, abs=0.02)
        assert now["active"] == end


def test_a_finger_takes_the_nearer_end(browser, folder):
    with opened(browser, folder.as_uri(), width=390, name="paths", has_touch=True, is_mobile=True) as page:
        page.touchscreen.tap(*pixels_of(page, plane(page, 0), (1.5, 0.0), ORIGIN, HALF))
        now = check(page)
        assert now["b"] == pytest.approx([1.5, 0.0], abs=0.05)
        assert now["a"] == list(START["a"])


def test_keys_move_the_marked_end(paths):
    canvas = plane(paths, 0)
    canvas.focus()
    paths.keyboard.press("ArrowRight")
    paths.keyboard.press("Shift+ArrowDown")
    assert check(paths)["a"] == pytest.approx([START["a"][0] + 0.05, START["a"][1] - 0.25])
    paths.keyboard.press("Enter")
    paths.keyboard.press("ArrowUp")
    assert check(paths)["b"] == pytest.approx([START["b"][0], START["b"][1] + 0.05])
    paths.wait_for_function("document.querySelector('.rv-voice').textContent.startsWith('Ends at')")
    paths.get_by_role("button", name="Reset").click()
    now = check(paths)
    assert (now["a"], now["b"]) == tuple(map(list, START.values()))


def test_a_notebook_shares_the_ends(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = three_paths(see="Here.", try_this="There.")
    with in_a_notebook(browser, folder, address, "three_paths", widget) as page:
        page.evaluate("() => { model.set('a', [0.5, 1.5]); }")
        assert check(page)["a"] == [0.5, 1.5]
        assert page.evaluate("model.saved.length") == 0
        plane(page, 0).press("ArrowRight")
        page.wait_for_function("() => model.saved.at(-1)?.a[0] > 0.5")
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width, name="paths") as page:
        height = "document.querySelector('figure').getBoundingClientRect().height"
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        before = page.evaluate(height)
        for _ in range(4):
            plane(page, 0).press("Shift+ArrowLeft")
            settle(page)
            assert page.evaluate(height) == before
        page.wait_for_function(SHARP)
        settle(page)
        assert page.evaluate(height) == before
