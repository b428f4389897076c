"""How long a frame of the live figures takes while a hand drags: headless Chromium, no GPU, one run.

Prints a table and writes ``_build/benchmarks/frames.json``. *work* is what a figure computes and paints for a
frame, *interval* the time between frames as the browser shows them, *decode* one image from one latent point.
"""

import json
import math
import statistics
import sys
import tempfile
from pathlib import Path

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
FIGURES = {
    "two planes": (0, "fashion-vae-2d"),
    "packing": (1, None),
    "one plane": (2, "fashion-vae-2d"),
}


def drag(page: Page, figure: int) -> dict[str, list[float]]:
    """Drag the handle (or the ball) along a curve through the plane and back to where it was taken."""
    canvas = page.locator("figure").nth(figure).locator("canvas.rv-plane").first
    canvas.scroll_into_view_if_needed()
    box, center = canvas.bounding_box(), (0.5, 0.5)
    if figure == FIGURES["packing"][0]:
        x, y = page.evaluate(
            "(i) => document.querySelectorAll('figure')[i].__rv.state.handles.center", figure
        )
        center = x / box["width"], y / box["height"]
    page.mouse.move(box["x"] + center[0] * box["width"], box["y"] + center[1] * box["height"])
    page.mouse.down()
    page.evaluate(WATCH, figure)
    for i in range(STEPS):
        angle = 2 * math.pi * i / STEPS
        x, y = 0.5 + 0.35 * math.sin(2 * angle), 0.5 - 0.35 * math.sin(3 * angle)
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    measured = page.evaluate(COLLECT, figure)
    page.mouse.up()
    return measured


def summary(times: list[float]) -> dict[str, float]:
    """Median and 95% point in milliseconds, and how many there were."""
    cuts = statistics.quantiles(times, n=20)
    return {"median": round(statistics.median(times), 3), "p95": round(cuts[-1], 3), "n": len(times)}


def main() -> None:
    results = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = write_figure_page(Path(folder)).as_uri()
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_function("document.querySelectorAll('figure[data-rv-ready]').length === 3")
        for name, (figure, model) in FIGURES.items():
            drag(page, figure)  # warm
            times = drag(page, figure) | {"decode": page.evaluate(DECODE, [figure, model, DECODES])}
            results[name] = {kind: summary(values) for kind, values in times.items()}
        results["browser"] = browser.version
        browser.close()
    print(f"{'figure':<12}{'what':<10}{'median ms':>10}{'95% ms':>10}{'n':>7}")
    for name in FIGURES:
        for kind, row in results[name].items():
            print(f"{name:<12}{kind:<10}{row['median']:>10.2f}{row['p95']:>10.2f}{row['n']:>7}")
    target = ROOT / "_build" / "benchmarks" / "frames.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
