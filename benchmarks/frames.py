"""How long a frame of the live figures takes while a hand drags: headless Chromium, no GPU, one run.

Prints a table and writes ``_build/benchmarks/frames.json``. *work* is what a figure computes and paints for a
frame, *interval* the time between frames as the browser shows them, *decode* one image from one latent point.
The field of 562 x 562 pixels is measured with a hand on its point and on each of its sliders, the chains
while they play.
"""

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "book" / "_tools")]

from browser import FLAGS, find_browser  # noqa: E402
from figure_page import write_figure_page  # noqa: E402

STEPS = 240
DECODES = 300
WATCH = """(figure) => {
  const times = [];
  const tick = (now) => { times.push(now); window.watching = requestAnimationFrame(tick); };
  document.querySelectorAll("figure")[figure].__rv.frames.length = 0;
  window.times = times;
  tick(performance.now());
}"""
COLLECT = """(figure) => {
  cancelAnimationFrame(window.watching);
  const times = window.times.slice(1);
  return {
    work: [...document.querySelectorAll("figure")[figure].__rv.frames],
    interval: times.slice(1).map((t, i) => t - times[i]),
  };
}"""
DECODE = """([figure, name, n]) => {
  const {decode} = document.querySelectorAll("figure")[figure].__rv, times = [];
  for (let i = 0; i < n; i++) {
    const z = [Math.sin(i), Math.cos(3 * i)], began = performance.now();
    if (name) decode(name, z); else decode(z);
    times.push(performance.now() - began);
  }
  return times;
}"""
READY = "!document.querySelector('figure[data-rv-module]:not([data-rv-ready])')"
FIELD_SLIDERS = ("reach ρ", "floor λ", "fading τ", "centroids")


class Scene(NamedTuple):
    """A figure on a page, what is done with it, and the model that ``decode`` is asked for by name."""

    page: str
    figure: int
    act: Callable[[Page, int], None]
    decodes: bool = True
    model: str | None = None


def drag(page: Page, figure: int) -> None:
    """Drag the handle (or the ball, or a code) along a curve through the plane and back to its start."""
    canvas = page.locator("figure").nth(figure).locator("canvas.rv-plane").first
    box, center = canvas.bounding_box(), (0.5, 0.5)
    handles = page.evaluate(
        "(i) => document.querySelectorAll('figure')[i].__rv.state.handles?.center", figure
    )
    if handles:
        center = handles[0] / box["width"], handles[1] / box["height"]
    page.mouse.move(box["x"] + center[0] * box["width"], box["y"] + center[1] * box["height"])
    page.mouse.down()
    for i in range(STEPS):
        angle = 2 * math.pi * i / STEPS
        x, y = 0.5 + 0.35 * math.sin(2 * angle), 0.5 - 0.35 * math.sin(3 * angle)
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.up()


def slide(name: str) -> Callable[[Page, int], None]:
    """Drag a slider from its low to its high end and back."""

    def act(page: Page, figure: int) -> None:
        slider = page.locator("figure").nth(figure).get_by_role("slider", name=name)
        box = slider.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 8, middle)
        page.mouse.down()
        for i in range(STEPS):
            share = 0.5 - 0.5 * math.cos(2 * math.pi * i / STEPS)
            page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), middle)
        page.mouse.up()

    return act


def drag_among(n_codes: int) -> Callable[[Page, int], None]:
    """Drag one of so many codes."""

    def act(page: Page, figure: int) -> None:
        page.locator("figure").nth(figure).get_by_label("codes", exact=True).select_option(str(n_codes))
        page.wait_for_function(
            "([i, k]) => document.querySelectorAll('figure')[i].__rv.state.n_codes === k",
            arg=[figure, n_codes],
        )
        drag(page, figure)

    return act


def play(page: Page, figure: int) -> None:
    """Let the chains play for as many moves as a drag has steps."""
    figures = page.locator("figure").nth(figure)
    figures.get_by_role("button", name="Reset").click()
    figures.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "([i, n]) => document.querySelectorAll('figure')[i].__rv.state.moves >= n",
        arg=[figure, STEPS],
        timeout=120_000,
    )
    figures.get_by_role("button", name="Pause").click()


SCENES = {
    "two planes": Scene("index", 0, drag, model="fashion-vae-2d"),
    "packing": Scene("index", 1, drag),
    "one plane": Scene("index", 2, drag, model="fashion-vae-2d"),
    **{f"cells, {k} codes": Scene("codes", 0, drag_among(k)) for k in (4, 16, 64)},
    "field, point": Scene("fields", 0, drag),
    **{f"field, {name}": Scene("fields", 0, slide(name), decodes=False) for name in FIELD_SLIDERS},
    "three paths": Scene("paths", 0, drag),
    "own latents": Scene("own", 0, drag, decodes=False),
    "chains, playing": Scene("fields", 1, play, decodes=False),
}


def measure(page: Page, scene: Scene) -> dict[str, list[float]]:
    """Milliseconds of every frame while the scene is acted, once to get warm and once to be measured."""
    page.locator("figure").nth(scene.figure).locator("canvas.rv-plane").first.scroll_into_view_if_needed()
    scene.act(page, scene.figure)
    page.evaluate(WATCH, scene.figure)
    scene.act(page, scene.figure)
    times = page.evaluate(COLLECT, scene.figure)
    if scene.decodes:
        times["decode"] = page.evaluate(DECODE, [scene.figure, scene.model, DECODES])
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Median and 95% point in milliseconds, and how many there were."""
    cuts = statistics.quantiles(times, n=20)
    return {"median": round(statistics.median(times), 3), "p95": round(cuts[-1], 3), "n": len(times)}


def main() -> None:
    results = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = write_figure_page(Path(folder)).parent.as_uri()
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for name, scene in SCENES.items():
            page.goto(f"{address}/{scene.page}.html")
            page.wait_for_function(READY)
            results[name] = {kind: summary(values) for kind, values in measure(page, scene).items()}
        results["browser"] = browser.version
        browser.close()
    print(f"{'figure':<18}{'what':<10}{'median ms':>10}{'95% ms':>10}{'n':>7}")
    for name in SCENES:
        for kind, row in results[name].items():
            print(f"{name:<18}{kind:<10}{row['median']:>10.2f}{row['p95']:>10.2f}{row['n']:>7}")
    target = ROOT / "_build" / "benchmarks" / "frames.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
