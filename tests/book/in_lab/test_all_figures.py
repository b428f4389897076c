"""Every live figure in a real JupyterLab, driven by hand: `make test-lab`."""

import pytest
from by_hand import HANDS, STATE, drive, other, show
from running import until

from riemvae_core.figures.widgets.host import FIGURES

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OUTPUT = ".jp-OutputArea-output"
EXPERIMENT = "widgets.experiment(lambda n: 2 * n, 'pairs', (5, 10, 20), 5)"


def test_no_figure_is_left_out():
    assert {*HANDS, "verdict"} == set(FIGURES)


@pytest.mark.parametrize("name", sorted(HANDS))
def test_hand_and_kernel_share_a_figure(browser, lab, name):
    drive(browser, lab, name, HANDS[name])


def test_a_law_is_chosen_by_a_click_and_by_the_kernel(browser, lab):
    page, kernel = show(browser, lab, "verdict", "widgets.verdict()")
    before = kernel.ask("figure.law")
    page.locator(f"{OUTPUT} [role=option]:not([hidden]):not([aria-selected=true])").first.click()
    page.wait_for_function(f"(before) => ({STATE})('law') !== before", arg=before)
    chosen = page.evaluate(STATE, "law")
    until(lambda: kernel.ask("figure.law") == chosen, f"the kernel never had {chosen}")
    kernel.run(f"figure.law = {before!r}")
    page.wait_for_function(f"(before) => ({STATE})('law') === before", arg=before)
    kernel.leave(page)


def test_a_frame_is_chosen_by_its_slider_and_by_the_kernel(browser, lab):
    page, kernel = show(browser, lab, "frames", "widgets.particles()")
    page.evaluate("document.querySelector('.jp-OutputArea-output figure').__rv.idle")  # a promise
    before = page.evaluate(STATE, "frame")
    slider = page.locator(OUTPUT).get_by_role("slider", name="frame").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    share = 0.3 if before else 0.7
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    moved = other(page, "frame", before)
    until(lambda: kernel.ask("figure.frame") == moved, f"the kernel never had {moved}")
    slider.press("ArrowLeft")  # the notebook would move to another cell
    stepped = other(page, "frame", moved)
    assert stepped == moved - 1
    until(lambda: kernel.ask("figure.frame") == stepped, f"the kernel never had {stepped}")
    kernel.run(f"figure.frame = {before}")
    other(page, "frame", stepped)
    assert page.evaluate(STATE, "frame") == before
    kernel.leave(page)


def test_an_experiment_runs_at_the_size_that_its_slider_shows(browser, lab):
    page, kernel = show(browser, lab, "experiment", EXPERIMENT, alive=".widget-readout")
    kernel.run("figure.children[0].value = 20")
    page.locator(OUTPUT).locator(".widget-readout", has_text="20").first.wait_for()
    page.locator(OUTPUT).get_by_role("button", name="Run").first.click()
    until(lambda: kernel.ask("figure.result") == 40, "the experiment never ran")
    page.get_by_text("pairs = 20 on").first.wait_for()
    kernel.leave(page)


def test_the_panel_trains_when_start_is_pressed(browser, lab):
    page, kernel = show(browser, lab, "panel", "widgets.train_panel()", alive=".widget-readout")
    kernel.run("figure.epochs.value, figure.width.value = 1, 32")
    page.locator(OUTPUT).get_by_role("button", name="Start").first.click()
    until(lambda: kernel.ask("not figure.running and len(figure.losses) > 0"), "nothing was trained")
    assert kernel.ask("figure.error is None")
    kernel.leave(page)
