"""Chapter 0's live figure in a browser: its numbers are the core's; hand, keys and kernel are answered."""

import pytest
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import bound
from riemvae_core.figures.widgets.bound_figure import FRAME, OBSERVED, best, parts
from riemvae_core.figures.widgets.stills import number

pytestmark = pytest.mark.browser
PLACE = FRAME["center"], FRAME["half"]


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="bound") as page:
        yield page


def check(page):
    """State and screen against the core; the two bars are equally long."""
    now = state(page, 0)
    expected = parts(float(now["x"]), float(now["mu"]), float(now["log_var"]))
    assert now["parts"] == pytest.approx(expected, abs=1e-6)
    figure = page.locator("figure").first
    shown = figure.locator(".rv-split tbody td").all_text_contents()
    order = ("reconstruction", "kl", "surprisal", "gap", "price")
    assert shown == [number(now["parts"][name]) for name in order]
    lengths = figure.locator(".rv-bar").evaluate_all(
        """(bars) => bars.map((bar) =>
          [...bar.children].reduce((sum, one) => sum + parseFloat(one.style.width), 0))"""
    )
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-3)
    assert lengths[0] <= 100.01
    return now


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_it_starts_at_the_best_q(browser, folder, address, scheme):
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="bound") as page:
        now = check(page)
        assert (now["x"], now["mu"], now["log_var"]) == (OBSERVED[-1], *best(OBSERVED[-1]).values())


def test_dragging_sets_mean_and_width(page):
    canvas = plane(page, 0)
    page.mouse.move(*pixels_of(page, canvas, (1.0, -1.5), *PLACE))
    page.mouse.down()
    page.mouse.move(*pixels_of(page, canvas, (-1.5, 0.5), *PLACE), steps=4)
    page.mouse.up()
    now = check(page)
    assert (now["mu"], now["log_var"]) == pytest.approx((-1.5, 1.0), abs=0.03)
    page.get_by_role("button", name="Best q").click()
    assert check(page)["mu"] == best(OBSERVED[-1])["mu"]


def test_a_finger_sets_q(browser, folder):
    with opened(browser, folder.as_uri(), width=390, name="bound", has_touch=True, is_mobile=True) as page:
        page.touchscreen.tap(*pixels_of(page, plane(page, 0), (0.5, -1.0), *PLACE))
        now = check(page)
        assert (now["mu"], now["log_var"]) == pytest.approx((0.5, -2.0), abs=0.05)


def test_another_picture_has_another_surprisal(page):
    before = check(page)
    page.get_by_label("picture x", exact=True).select_option("0")
    now = check(page)
    assert (now["x"], now["mu"]) == (OBSERVED[0], before["mu"])
    page.get_by_role("button", name="Best q").click()
    assert check(page)["parts"]["gap"] < 0.05


def test_keys_move_q(page):
    before, canvas = check(page), plane(page, 0)
    page.keyboard.press("Tab")
    assert canvas.evaluate("(el) => el === document.activeElement")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    now = check(page)
    assert (now["mu"], now["log_var"]) == pytest.approx((before["mu"] - 0.05, before["log_var"] + 0.5))
    page.wait_for_function("document.querySelector('.rv-voice').textContent.includes('above −log p(x)')")
    for _ in range(20):
        page.keyboard.press("Shift+ArrowUp")
    assert check(page)["log_var"] == pytest.approx(3.0)
    page.keyboard.press("Home")
    assert check(page) == before


def test_a_notebook_shares_q_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = bound(see="Here.", try_this="There.")
    with in_a_notebook(browser, folder, address, "bound", widget) as page:
        page.evaluate("() => { model.set('x', 0.6); model.set('mu', 0.5); }")
        assert check(page)["mu"] == 0.5
        assert page.evaluate("model.saved.length") == 0
        plane(page, 0).press("ArrowRight")
        page.wait_for_function("() => model.saved.at(-1)?.mu > 0.5")
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width, name="bound") as page:
        height = "document.querySelector('figure').getBoundingClientRect().height"
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        before = page.evaluate(height)
        for key in ("ArrowLeft", "ArrowUp") * 4:
            plane(page, 0).press(f"Shift+{key}")
            settle(page)
            assert page.evaluate(height) == before
