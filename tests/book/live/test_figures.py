"""The live figures in a browser: their numbers are the core's; hand, finger and keys are answered."""

import pytest
import torch
from figures import (
    LEFT,
    PACKING,
    PAIR,
    POINTS,
    RIGHT,
    check_packing,
    check_points,
    cloud,
    expected_numbers,
    opened,
    pixels_of,
    plane,
    settle,
    state,
)

from riemvae_core.figures.widgets import points_figure
from riemvae_core.models import zoo

pytestmark = pytest.mark.browser


# ---- what is true before anyone touches it


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_page_decodes_as_the_core_does(browser, folder, address, scheme):
    z = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * 1.5
    with opened(browser, address if scheme == "http" else folder.as_uri()) as page:
        for figure, name in ((POINTS, PAIR[0]), (POINTS, PAIR[1]), (PACKING, zoo.beta_name(1.0))):
            points = z * cloud(name)[4] + cloud(name)[3] if name in PAIR else z
            script = """([figure, name, zs]) => {
              const {decode} = document.querySelectorAll("figure")[figure].__rv;
              return zs.map((z) => [...(figure === 0 ? decode(name, z) : decode(z))]);
            }"""
            seen = torch.tensor(page.evaluate(script, [figure, name, points.tolist()]))
            with torch.no_grad():
                expected = zoo.load(name).decode(points).flatten(1)
            assert (seen - expected).abs().max() < 1e-3


def test_both_figures_start_with_the_core_s_numbers(page):
    assert check_points(page)["position"] == points_figure.start_position(PAIR)
    now = check_packing(page)
    assert (now["beta"], now["epoch"], now["selected"]) == (1, 60, 192)


def test_images_on_the_screen_are_what_was_decoded(page):
    """The canvas' opacity is the image: ink on the page's ground."""
    position = state(page, POINTS)["position"]
    for which, name in enumerate(PAIR):
        opacity = page.evaluate(
            """(k) => {
              const shown = document.querySelectorAll(".rv-panel")[k].querySelector(".rv-pictures canvas");
              const {data} = shown.getContext("2d").getImageData(0, 0, 28, 28);
              return [...data].filter((_, i) => i % 4 === 3);
            }""",
            which,
        )
        with torch.no_grad():
            image = zoo.load(name).decode(torch.tensor([expected_numbers(name, position)["z"]]))
        assert (torch.tensor(opacity) / 255 - image.flatten()).abs().max() < 0.01


# ---- the hand


def test_dragging_moves_both_handles_alike(page):
    _, _, _, mean, std, half = cloud(PAIR[0])
    canvas, to = plane(page, POINTS), (mean + torch.tensor([-0.5, 0.8]) * std).tolist()
    page.mouse.move(*pixels_of(page, canvas, mean.tolist(), mean.tolist(), half))
    page.mouse.down()
    page.mouse.move(*pixels_of(page, canvas, to, mean.tolist(), half), steps=6)
    assert check_points(page)["position"] == pytest.approx([-0.5, 0.8], abs=0.03)
    page.mouse.up()
    page.mouse.move(5, 5)
    page.get_by_role("button", name="Reset").first.click()
    assert check_points(page)["position"] == points_figure.start_position(PAIR)


def test_a_click_takes_a_code_and_a_pause_names_it(page):
    _, mu, _, mean, _, half = cloud(PAIR[1])
    canvas = plane(page, POINTS, 1)
    page.mouse.move(*pixels_of(page, canvas, mu[200].tolist(), mean.tolist(), half))
    settle(page)
    tip = page.locator(".rv-panel").nth(1).locator(".rv-tip")
    assert tip.is_visible()
    assert tip.text_content() == "bag"
    page.mouse.down()
    page.mouse.up()
    now = check_points(page)
    assert now["models"][PAIR[1]]["z"] == pytest.approx(mu[200].tolist(), abs=1e-4)
    assert now["models"][PAIR[1]]["ball"]["distance"] == pytest.approx(0, abs=1e-3)


def test_fingers_tap_and_drag(browser, folder):
    with opened(browser, folder.as_uri(), width=390, has_touch=True, is_mobile=True) as page:
        _, mu, _, mean, std, half = cloud(PAIR[1])
        canvas = plane(page, POINTS, 1)
        page.touchscreen.tap(*pixels_of(page, canvas, mu[0].tolist(), mean.tolist(), half))
        now = check_points(page)["models"][PAIR[1]]
        assert now["code"]["distance"] == pytest.approx(0, abs=1e-3)
        touch = page.context.new_cdp_session(page)
        for kind, u in (("touchStart", (0.0, 0.0)), ("touchMove", (0.5, 0.5)), ("touchMove", (1.0, -1.0))):
            x, y = pixels_of(page, canvas, (mean + torch.tensor(u) * std).tolist(), mean.tolist(), half)
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert check_points(page)["position"] == pytest.approx([1, -1], abs=0.05)


def test_a_ball_is_dragged_by_its_center_and_its_radii(page):
    canvas = plane(page, PACKING)
    canvas.scroll_into_view_if_needed()
    box, before = canvas.bounding_box(), state(page, PACKING)
    center = before["handles"]["center"]
    scale = (box["width"] - LEFT - RIGHT) / 8
    page.mouse.move(box["x"] + center[0], box["y"] + center[1])
    page.mouse.down()
    page.mouse.move(box["x"] + center[0] + scale, box["y"] + center[1] - scale / 2, steps=5)
    page.mouse.up()
    moved = check_packing(page)
    assert moved["mu"] == pytest.approx([before["mu"][0] + 1, before["mu"][1] + 0.5], abs=1e-3)
    assert moved["log_var"] == before["log_var"]
    assert moved["trained"] == before["trained"]
    assert moved["bill"]["total"] > before["bill"]["total"]
    knob = moved["handles"]["radii"][0]
    page.mouse.move(box["x"] + knob[0], box["y"] + knob[1])
    page.mouse.down()
    page.mouse.move(box["x"] + knob[0] + scale / 2, box["y"] + knob[1], steps=5)
    page.mouse.up()
    wide = check_packing(page)
    sigma = [torch.tensor(s["log_var"][0]).mul(0.5).exp().item() for s in (moved, wide)]
    assert sigma[1] == pytest.approx(sigma[0] + 0.5, abs=1e-3)
    assert wide["log_var"][1] == before["log_var"][1]
    page.get_by_role("button", name="Put the ball back").click()
    back = check_packing(page)
    assert (back["mu"], back["log_var"]) == (before["mu"], before["log_var"])


def test_a_click_takes_another_ball(page):
    canvas = plane(page, PACKING)
    mu = zoo.snapshots(zoo.beta_name(1.0)).mu[-1]
    alone = int(torch.cdist(mu, mu).fill_diagonal_(9).min(1).values.argmax())
    page.mouse.click(*pixels_of(page, canvas, mu[alone].tolist(), (0, 0), 4))
    now = check_packing(page)
    assert now["selected"] == alone
    assert now["mu"] == pytest.approx(mu[alone].tolist(), abs=1e-6)


# ---- keys


def test_keys_move_the_handle(page):
    canvas = plane(page, POINTS)
    start = points_figure.start_position(PAIR)
    page.keyboard.press("Tab")
    assert canvas.evaluate("(el) => el === document.activeElement")
    assert canvas.evaluate("(el) => getComputedStyle(el).outlineStyle") == "solid"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert check_points(page)["position"] == pytest.approx([start[0] - 0.05, start[1] - 0.25])
    words = canvas.get_attribute("aria-valuetext")
    page.keyboard.press("Enter")
    now = check_points(page)["models"][PAIR[0]]
    assert now["code"]["distance"] == pytest.approx(0, abs=1e-3)
    assert canvas.get_attribute("aria-valuetext") != words
    page.wait_for_function("document.querySelector('.rv-voice').textContent.startsWith('Autoencoder: z is')")
    page.keyboard.press("Home")
    assert state(page, POINTS)["position"] == start


def test_keys_move_and_change_the_ball(page):
    canvas = plane(page, PACKING)
    before = state(page, PACKING)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("+")
    now = check_packing(page)
    assert now["mu"] == pytest.approx([before["mu"][0] + 0.05, before["mu"][1] + 0.25])
    assert now["log_var"] == pytest.approx([v + 0.1 for v in before["log_var"]])
    page.keyboard.press("n")
    assert check_packing(page)["selected"] == before["selected"] + 1
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert check_packing(page)["selected"] == before["selected"] - 1


def test_the_sliders(page):
    slider = {name: page.get_by_label(name, exact=True) for name in ("β", "epoch", "radius σ₁", "radius σ₂")}
    slider["β"].focus()
    for beta in (3, 10, 30):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "(b) => document.querySelectorAll('figure')[1].__rv.state.beta === b", arg=beta
        )
        page.wait_for_function("() => document.querySelectorAll('figure')[1].__rv.state.bill.total !== null")
        now = check_packing(page)
        assert slider["β"].get_attribute("aria-valuetext") == str(beta)
    assert now["aggregate"]["used"] == 0
    slider["epoch"].focus()
    page.keyboard.press("ArrowLeft")
    now = check_packing(page)
    assert (now["epoch"], now["bill"]["total"]) == (32, None)
    assert (
        "Decoders are kept for epoch 60 only"
        in page.locator("figure").nth(PACKING).locator(".rv-note").text_content()
    )
    slider["radius σ₂"].focus()
    page.keyboard.press("Home")
    assert check_packing(page)["log_var"][1] == pytest.approx(2 * torch.tensor(0.01).log().item())
    page.locator("figure").nth(PACKING).get_by_role("button", name="Reset").click()
    now = check_packing(page)
    assert (now["beta"], now["epoch"], now["selected"]) == (1, 60, 192)


def test_a_decoder_is_loaded_when_its_beta_is_chosen(browser, address):
    with opened(browser, address) as page:
        loaded = "performance.getEntriesByType('resource').map((e) => e.name.split('/').pop())"
        assert {"fashion-beta-1.js", "fashion-beta-snapshots.js"} <= set(page.evaluate(loaded))
        assert "fashion-beta-3.js" not in page.evaluate(loaded)
        with page.expect_response("**/fashion-beta-3.js"):
            page.get_by_label("β", exact=True).press("ArrowRight")
