"""What the first view of a page costs: bytes, and seconds to its load, formulas and first live figure.

    PYTHONPATH=. python benchmarks/first_view.py [PAGE ...]

Headless Chromium at 1280 pixels, nothing in its cache, the built site (`make book`) from a server on this
machine that packs nothing. The least of five visits, because what else a machine does only adds; the load
it had beside that stands in the last line. *work* is what the page's main thread computed until all its live
figures were ready, which other work hardly changes. Writes ``_build/benchmarks/first_view.json``.
"""

import json
import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_tools"), str(ROOT / "book" / "_ext")]

from browser import FLAGS, find_browser, serving  # noqa: E402
from riemvae_book import policy  # noqa: E402

PAGES = (
    "book/index",
    "chapters/01_points_to_balls",
    "chapters/05_riemannian_metric",
    "chapters/09_does_it_generate_better",
)
VISITS = 5
MOST = {"bytes": 4_000_000, "load": 1.0, "figure": 2.0}
# When the first live figure was ready, noted in the page: asking from outside takes time of its own.
NOTE = """new MutationObserver((_, watch) => {
  if (!document.querySelector("figure[data-rv-ready]")) return;
  globalThis.firstFigure = performance.now();
  watch.disconnect();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-rv-ready"] });"""
TIMES = """async () => {
  const waits = () => document.querySelector("figure[data-rv-module]:not([data-rv-ready])");
  while (waits()) await new Promise((go) => setTimeout(go, 50));
  const { loadEventStart } = performance.getEntriesByType("navigation")[0];
  const formulas = performance.getEntriesByName("rv-formulas")[0]?.startTime; // those in view are set
  const ms = { load: loadEventStart, formulas, figure: globalThis.firstFigure }; // NaN where none is
  return Object.fromEntries(Object.entries(ms).map(([what, time]) => [what, time / 1000]));
}"""


def visit(browser: Browser, address: str) -> dict[str, float]:
    """One visit: bytes until all live figures are ready, and seconds from the navigation's start."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, sizes = context.new_page(), []
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Performance.enable", {"timeDomain": "threadTicks"})
    network.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
    page.add_init_script(NOTE)
    page.goto(address, wait_until="load")
    times = page.evaluate(TIMES)
    metrics = {one["name"]: one["value"] for one in network.send("Performance.getMetrics")["metrics"]}
    page.wait_for_load_state("networkidle")
    context.close()
    return {"bytes": sum(sizes), "requests": len(sizes), "work": metrics["TaskDuration"], **times}


def main() -> None:
    site = ROOT / "_build" / "html"
    if not (site / "index.html").is_file():
        raise SystemExit("no site lies in _build/html: run make book first")
    rows = {}
    headers = {"Content-Security-Policy": policy.header()}
    with sync_playwright() as playwright, serving(site, headers) as where:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        for name in sys.argv[1:] or PAGES:
            visits = [visit(browser, f"{where}/{name}.html") for _ in range(VISITS)]
            rows[name] = {what: min(one[what] for one in visits) for what in visits[0]}
        version = browser.version
        browser.close()
    heads = f"{'load, s':>9}{'formulas, s':>13}{'figure, s':>11}{'work, s':>9}"
    print(f"{'page':<38}{'MB':>7}{'requests':>10}{heads}")
    for name, row in rows.items():
        over = [what for what, most in MOST.items() if row[what] > most]
        said = f"   more than asked: {', '.join(over)}" if over else ""
        size = row["bytes"] / 1e6
        times = f"{row['load']:>9.2f}{row['formulas']:>13.2f}{row['figure']:>11.2f}{row['work']:>9.2f}"
        print(f"{name:<38}{size:>7.2f}{row['requests']:>10}{times}{said}")
    load = [round(one, 1) for one in os.getloadavg()]
    print(f"load of the last minute {load[0]}, on {os.cpu_count()} cores; Chromium {version}")
    target = ROOT / "_build" / "benchmarks" / "first_view.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"pages": rows, "load": load, "browser": version}, indent=1) + "\n")


if __name__ == "__main__":
    main()
