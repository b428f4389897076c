"""The particles of chapter 7 in a browser: frames, exact volumes, the failing world; hand, keys, kernel."""

import pytest
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import particles
from riemvae_core.figures.widgets.metric_figure import HALF
from riemvae_core.figures.widgets.particles_figure import (
    FIRST,
    ISLANDS,
    PARTICLES,
    exact_log_volume,
    mixture_of,
)
from riemvae_core.figures.widgets.stills import number

pytestmark = pytest.mark.browser
BALLS, RING = 0, 1  # which of the page's two figures
ORIGIN = (0.0, 0.0)
SETS = """([which, name, value]) => {
  const label = [...document.querySelectorAll("figure")[which].querySelectorAll("label")]
    .find((one) => one.textContent === name);
  label.control.value = value;
  label.control.dispatchEvent(new Event(label.control.type === "range" ? "input" : "change"));
}"""


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="particles") as page:
        yield page


def arrive(page, which=BALLS):
    """Wait until the whole way is computed."""
    page.evaluate("(which) => document.querySelectorAll('figure')[which].__rv.idle", which)
    settle(page)


def put(page, name, value, which=BALLS):
    page.evaluate(SETS, [which, name, value])
    settle(page)


def check(page, which=BALLS):
    """What the page says about the volume, and that its last line is exact at the last temperature."""
    now = state(page, which)
    assert len(now["z"]) == 2 * ISLANDS * PARTICLES
    shown = page.locator("figure").nth(which).locator("dd").all_text_contents()
    assert shown[1] == number(now["temperature"], 3)
    assert shown[-2:] == [f"{number(now['log_volume'])} ± {number(now['error'])}", number(now["exact"])]
    if now["temperature"] == 1:
        assert now["exact"] == pytest.approx(exact_log_volume(now["world"], now["axes"]), abs=1e-3)
    if now["temperature"] == 0:
        assert now["exact"] == pytest.approx(now["log_volume"], abs=0.01)
    return now


def test_it_goes_from_the_mixture_to_the_exact_volume(page):
    arrive(page)
    first = check(page)
    assert {key: first[key] for key in FIRST["balls"]} == FIRST["balls"]
    assert first["log_volume"] == pytest.approx(mixture_of("balls", 16, "alone").log_total)
    page.get_by_label("frame", exact=True).first.press("End")
    last = check(page)
    assert (last["temperature"], last["frame"]) == (1, last["last"])
    assert abs(last["log_volume"] - last["exact"]) < 4 * last["error"]
    assert last["report"]["converged"]
    assert "agrees" in page.locator(".rv-reason").first.text_content()
    page.get_by_label("frame", exact=True).first.press("Home")
    assert check(page) == first


def test_in_the_ring_every_check_passes_and_the_exact_volume_objects(page):
    arrive(page, RING)
    put(page, "frame", 999, RING)
    now = check(page, RING)
    assert now["report"]["converged"]
    assert now["log_volume"] < now["exact"] - 2
    assert all(x > 0 for x in now["z"][::2])
    verdict = page.locator(".rv-reason").nth(RING)
    assert "every check of the core passes" in verdict.text_content()
    assert "of the law" in verdict.text_content()
    put(page, "start", 2, RING)
    arrive(page, RING)
    put(page, "frame", 999, RING)
    now = check(page, RING)
    assert (now["start"], now["report"]["converged"]) == ("between", True)
    assert "agrees" in verdict.text_content()


def test_without_moves_few_first_ancestors_are_left(page):
    """At two axes the mixture is the law: one temperature, all effective; at 64 copies take over."""
    put(page, "moves", 0)
    counts = {}
    for stop in (0, 5):
        put(page, "axes", stop)
        arrive(page)
        put(page, "frame", 999)
        now, shown = check(page), page.locator("figure").first.locator("dd").all_text_contents()
        counts[now["axes"]] = int(shown[3].replace(",", ""))
    assert counts[2] > 1500
    assert counts[64] < 500


def test_hand_and_keys_follow_a_particle(page):
    arrive(page)
    canvas = plane(page, BALLS)
    page.mouse.move(*pixels_of(page, canvas, (1.0, 0.5), ORIGIN, HALF))
    page.mouse.down()
    page.mouse.move(*pixels_of(page, canvas, (-1.0, 0.5), ORIGIN, HALF), steps=3)
    page.mouse.up()
    held = state(page, BALLS)["probe"]
    assert held == pytest.approx([-1.0, 0.5], abs=0.02)
    canvas.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    assert state(page, BALLS)["probe"] == pytest.approx([held[0] + 0.25, held[1] - 0.05])
    page.keyboard.press("Home")
    assert state(page, BALLS)["probe"] == []
    page.get_by_role("button", name="Step", exact=True).first.click()
    assert check(page)["frame"] == 1
    page.wait_for_function(
        "document.querySelector('.rv-voice').textContent.includes('Frame 1: particles weighed')"
    )


def test_play_goes_to_the_end_and_stops(browser, folder):
    with opened(browser, folder.as_uri(), name="particles", reduced_motion="no-preference") as page:
        arrive(page, RING)
        figure = page.locator("figure").nth(RING)
        figure.scroll_into_view_if_needed()
        figure.get_by_role("button", name="Play").click()
        now = "document.querySelectorAll('figure')[1].__rv.state"
        page.wait_for_function(f"{now}.frame === {now}.last")
        figure.get_by_role("button", name="Play").wait_for()
        assert not check(page, RING)["playing"]


def test_a_finger_holds_a_particle(browser, folder):
    with opened(
        browser, folder.as_uri(), width=390, name="particles", has_touch=True, is_mobile=True
    ) as page:
        page.touchscreen.tap(*pixels_of(page, plane(page, BALLS), (-1.0, -1.0), ORIGIN, HALF))
        assert state(page, BALLS)["probe"] == pytest.approx([-1.0, -1.0], abs=0.05)


def test_a_notebook_shares_the_frame_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    with in_a_notebook(browser, folder, address, "particles", particles(world="ring")) as page:
        arrive(page)
        page.evaluate("() => { model.set('frame', 2); model.set('probe', [2.6, 0]); }")
        now = check(page)
        assert (now["world"], now["frame"], now["probe"]) == ("ring", 2, [2.6, 0])
        page.get_by_role("button", name="Step", exact=True).first.click()
        page.wait_for_function(
            "() => model.saved.at(-1)?.frame === 3 && model.saved.at(-1).temperature === 1"
        )
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")


AS_A_NOTEBOOK_DOES = """() => {
  window.taken = [];
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    window.taken.push(event.key);
    event.preventDefault();
  });
}"""


def test_a_notebook_leaves_a_figure_its_keys(browser, folder, address, monkeypatch):
    """What JupyterLab gets to see it takes for its own commands; then no slider moves."""
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    with in_a_notebook(browser, folder, address, "particles", particles(world="ring")) as page:
        arrive(page)
        page.evaluate(AS_A_NOTEBOOK_DOES)
        before = page.evaluate("model.state.frame")
        page.locator(".rv-stage").first.get_by_role("slider", name="frame").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("(before) => model.saved.at(-1)?.frame === before + 1", arg=before)
        for keys in ("x", "Home", "Escape", "Control+s", "Shift+Enter"):
            page.keyboard.press(keys)
        assert page.evaluate("taken") == ["Escape", "Control", "s", "Enter"]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), width=width, name="particles") as page:
        arrive(page, RING)
        height = "() => [...document.querySelectorAll('figure')].map((f) => f.getBoundingClientRect().height)"
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        before = page.evaluate(height)
        for frame in (1, 2, 3, 999):
            put(page, "frame", frame, RING)
            assert page.evaluate(height) == before
