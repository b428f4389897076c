"""Chapter 3's live figure in a browser: its numbers are the core's; hand, keys and kernel are answered."""

import math

import pytest
import torch
from fake_kernel import in_a_notebook
from figures import LEFT, RIGHT, TOP, opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import broken_contract, contract_figure
from riemvae_core.figures.widgets.contract_figure import HALF, distance, errors_at
from riemvae_core.figures.widgets.stills import number
from riemvae_core.models import NOISES, zoo

pytestmark = pytest.mark.browser
ONLY = 0
FAR, STEPS = 3.0, 16


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="contract") as page:
        yield page


def check(page):
    """State and screen against the core."""
    now = state(page, ONLY)
    now["offset"] = [float(v) for v in now["offset"]]  # JSON's 0 as 0.0
    errors = errors_at(now["selected"], now["offset"])
    assert now["t"] == pytest.approx(distance(now["offset"]), abs=1e-6)
    for noise in NOISES:
        assert now["errors"][noise] == pytest.approx(errors[noise], rel=1e-3, abs=1e-3)
    figure = page.locator("figure").nth(ONLY)
    cells = figure.locator(".rv-errors tbody td:nth-child(2)").all_text_contents()
    assert cells == [number(now["errors"][noise]) for noise in NOISES]
    center = figure.locator(".rv-errors tbody td:nth-child(3)").all_text_contents()
    at_center = errors_at(now["selected"], [0.0] * len(now["offset"]))
    assert [float(v) for v in center] == pytest.approx([at_center[n] for n in NOISES], abs=0.02)
    return now


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_page_decodes_as_the_core_does(browser, folder, address, scheme):
    z = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * 1.5
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="contract") as page:
        for noise in NOISES:
            script = """([noise, zs]) => {
              const {decode} = document.querySelector("figure").__rv;
              return zs.map((z) => [...decode(noise, z)]);
            }"""
            seen = torch.tensor(page.evaluate(script, [noise, z.tolist()]))
            with torch.no_grad():
                expected = zoo.load(zoo.contract_name(noise)).decode(z).flatten(1)
            assert (seen - expected).abs().max() < 1e-3


def test_it_starts_at_a_draw_and_its_curves_are_the_core_s(page):
    now = check(page)
    assert now["t"] == pytest.approx(1.0, abs=0.3)
    assert now["errors"]["none"] > 2 * now["errors"]["ball"]
    direction = [v / now["t"] for v in now["offset"]]
    for k in (0, 7, STEPS):
        errors = errors_at(now["selected"], [FAR * k / STEPS * v for v in direction])
        for noise in NOISES:
            assert now["along"][noise][k] == pytest.approx(errors[noise], rel=1e-3)


def test_dragging_moves_two_axes_and_no_other(page):
    before, canvas = check(page), plane(page, ONLY)
    page.mouse.move(*pixels_of(page, canvas, (0, 0), (0, 0), HALF))
    page.mouse.down()
    page.mouse.move(*pixels_of(page, canvas, (1.5, -2), (0, 0), HALF), steps=4)
    page.mouse.up()
    now = check(page)
    a, b = now["axes"]
    assert [now["offset"][a], now["offset"][b]] == pytest.approx([1.5, -2], abs=0.02)
    rest = [k for k in range(16) if k not in (a, b)]
    assert [now["offset"][k] for k in rest] == [before["offset"][k] for k in rest]
    page.get_by_role("button", name="Two axes only").click()
    assert [check(page)["offset"][k] for k in rest] == [0] * 14
    page.get_by_role("button", name="Another draw").click()
    other = check(page)
    assert other["offset"] != before["offset"]
    page.get_by_role("button", name="Reset").click()
    assert check(page)["offset"] == before["offset"]


def test_a_finger_drags(browser, folder):
    with opened(browser, folder.as_uri(), name="contract", width=390, has_touch=True, is_mobile=True) as page:
        canvas, touch = plane(page, ONLY), None
        touch = page.context.new_cdp_session(page)
        for kind, z in (("touchStart", (0, 0)), ("touchMove", (0.5, 0.5)), ("touchMove", (1, 1))):
            x, y = pixels_of(page, canvas, z, (0, 0), HALF)
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        now = check(page)
        assert [now["offset"][k] for k in now["axes"]] == pytest.approx([1, 1], abs=0.05)


def test_the_slider_pulls_along_the_direction(page):
    before = check(page)
    slider = page.get_by_label("distance c", exact=True)
    slider.focus()
    page.keyboard.press("End")
    far = check(page)
    assert far["t"] == pytest.approx(FAR, abs=1e-6)
    scale = FAR / before["t"]
    assert far["offset"] == pytest.approx([scale * v for v in before["offset"]], abs=1e-6)
    page.keyboard.press("Home")
    assert check(page)["offset"] == [0] * 16
    page.keyboard.press("ArrowRight")
    near = check(page)
    assert near["t"] == pytest.approx(0.01)
    assert math.copysign(1, near["offset"][0]) == math.copysign(1, before["offset"][0])


def test_menus_choose_the_axes(page):
    before = check(page)
    other = next(k for k in range(16) if k not in before["axes"])
    page.get_by_label("vertical").select_option(str(other))
    now = check(page)
    assert now["axes"] == [before["axes"][0], other]
    assert now["offset"] == before["offset"]
    taken = page.get_by_label("horizontal").locator(f"option[value='{other}']")
    assert taken.is_disabled()


def test_keys_move_and_choose(page):
    before, canvas = check(page), plane(page, ONLY)
    page.keyboard.press("Tab")
    assert canvas.evaluate("(el) => el === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    now, (a, b) = check(page), before["axes"]
    assert now["offset"][a] == pytest.approx(before["offset"][a] + 0.1)
    assert now["offset"][b] == pytest.approx(before["offset"][b] - 0.5)
    page.keyboard.press("n")
    assert check(page)["selected"] == before["selected"] + 1
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert check(page)["selected"] == before["selected"] - 1
    page.keyboard.press("Home")
    assert check(page)["offset"] == [0] * 16
    page.wait_for_function("document.querySelector('.rv-voice').textContent.includes('Squared error')")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), name="contract", width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        height = "document.querySelector('figure').getBoundingClientRect().height"
        before = page.evaluate(height)
        for key in ("n", "Shift+ArrowUp", "Shift+ArrowRight", "n", "Home"):
            plane(page, ONLY).press(key)
            settle(page)
            assert page.evaluate(height) == before


def test_other_centers_lie_where_the_core_says(page):
    """A pixel of the plane at another image's center is no longer the ground."""
    now = check(page)
    props = page.evaluate("JSON.parse(document.querySelector('figure').dataset.rvProps)")
    with torch.no_grad():
        mu, log_var = zoo.load(zoo.CONTRACT_ENCODER).encode(contract_figure.probes("fashion").images)
    i = now["selected"]
    places = ((mu - mu[i]) / (0.5 * log_var[i]).exp())[:, now["axes"]]
    inside = (places.abs() < HALF - 0.3).all(1) & (places.norm(dim=1) > 1.2)
    assert props["codes"] == zoo.CONTRACT_ENCODER
    script = """([points, left, top, right]) => {
      const canvas = document.querySelector("canvas.rv-plane"), ratio = canvas.width / canvas.clientWidth;
      const side = canvas.clientWidth - left - right, {width, height} = canvas;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      const at = (share, margin) => Math.round(ratio * (margin + share * side));
      return points.map(([x, y]) => data[4 * (at(y, top) * width + at(x, left)) + 3]);
    }"""
    fractions = [[0.5 + x / (2 * HALF), 0.5 - y / (2 * HALF)] for x, y in places[inside].tolist()]
    opacity = page.evaluate(script, [fractions, LEFT, TOP, RIGHT])
    assert len(opacity) > 5
    assert min(opacity) > 150


def test_a_notebook_shares_the_place_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = broken_contract()
    with in_a_notebook(browser, folder, address, "broken_contract", widget) as page:
        page.evaluate("() => { model.set('selected', 5); model.set('offset', Array(16).fill(0.5)); }")
        now = state(page, 0)
        assert (now["selected"], now["offset"]) == (5, [0.5] * 16)
        widget.selected, widget.offset = 5, [0.5] * 16
        assert list(now["errors"].values()) == pytest.approx(list(widget.errors.values()), rel=1e-3)
        plane(page, 0).press("ArrowRight")
        page.wait_for_function("() => model.saved.length > 0")
        widget.offset = page.evaluate("model.saved.at(-1).offset")
        assert list(state(page, 0)["errors"].values()) == pytest.approx(
            list(widget.errors.values()), rel=1e-3
        )
