"""What the checks of the built pages share: which pages there are, how one is opened, what is looked at."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, Page
from riemvae_book.labels import toc_pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*toc_pages(ROOT), "search", "genindex"]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf8")

# Every violation of axe's rules, best practices included, with the elements it was found on.
RUN_AXE = """async (options, where = document) => {
  const found = await axe.run(where, {preload: false, resultTypes: ["violations"], ...options});
  const first = (v) => v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | ");
  return found.violations.map((v) => `axe ${v.id} (${v.impact}): ${v.help}: ${first(v)}`);
}"""
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}

# Contrast alone would take most of axe's time, for it asks each word of code and each letter of a formula.
# Letters have the color of their text; of words, one of each look is asked, in a cell of samples.
RUN_CONTRAST = f"""async () => {{
  const looks = new Map(), cells = [...document.querySelectorAll(".highlight")];
  for (const word of document.querySelectorAll(".highlight pre span[class]")) {{
    const {{color, fontWeight}} = getComputedStyle(word);
    if (!word.firstElementChild) looks.set([word.className, color, fontWeight].join(), word);
  }}
  const shown = cells.find((cell) => cell.checkVisibility()), samples = shown?.cloneNode(true);
  samples?.querySelector("pre").replaceChildren(...[...looks.values()].map((word) => word.cloneNode(true)));
  samples?.setAttribute("data-samples", "");
  shown?.before(samples);
  const where = {{exclude: [".highlight:not([data-samples]) pre", "mjx-container"]}};
  const problems = await ({RUN_AXE})({{runOnly: ["color-contrast"]}}, where);
  samples?.remove();
  return problems;
}}"""

SETTLE = """async () => {
  await document.fonts.ready;
  if (window.MathJax?.startup) await MathJax.startup.promise;
  const waits = () => document.querySelector("figure[data-rv-module]:not([data-rv-ready])");
  for (let k = 0; k < 200 && waits(); k++) await new Promise((go) => setTimeout(go, 50));
  await new Promise(requestAnimationFrame);
}"""

# Formulas that stayed source text, or that MathJax could not read.
LOOK_AT_MATH = """() => {
  const problems = [];
  for (const el of document.querySelectorAll(".math")) {
    if (!el.querySelector("mjx-container")) problems.push("formula not set: " + el.textContent.slice(0, 60));
  }
  for (const el of document.querySelectorAll("mjx-merror, [data-mjx-error]")) {
    problems.push("formula with an error: " + (el.getAttribute("data-mjx-error") || el.textContent));
  }
  return problems;
}"""

LOOK_AT_FIGURES = """() => {
  const problems = [];
  for (const el of document.querySelectorAll("svg[role=img]:not([aria-hidden=true])")) {
    if (!el.getAttribute("aria-label")?.trim()) problems.push("a plot without a name");
  }
  for (const el of document.querySelectorAll("article figure")) {
    if (!el.querySelector("figcaption")?.textContent.trim()) problems.push("no caption: " + el.id);
  }
  for (const el of document.querySelectorAll("article .cell_output svg.rv-plot, article .cell_output img")) {
    if (!el.closest("figure")) problems.push("a plot outside of a figure");
  }
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (twice.length) problems.push("ids used twice: " + [...new Set(twice)].join(" "));
  return problems;
}"""

LOOK_AT_WIDTH = """() => {
  const room = document.documentElement.clientWidth, problems = [];
  if (document.documentElement.scrollWidth <= room) return problems;
  for (const el of document.querySelectorAll("article *")) {
    if (el.getBoundingClientRect().right > room + 1) {
      const near = el.closest("[class], [id]");
      problems.push(`wider than the page: ${el.tagName} in ${near.id} ${near.getAttribute("class")}`);
    }
    if (problems.length > 4) break;
  }
  return problems.length ? problems : ["the page scrolls sideways"];
}"""


@dataclass
class Visit:
    """One opening of a page and all that was wrong with it."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def look(self, script: str, argument: object = None) -> None:
        self.problems += self.page.evaluate(script, argument)

    def turn(self, theme: str) -> None:
        """Change the system's theme, which a page follows until its reader says otherwise."""
        self.page.emulate_media(color_scheme=theme)
        self.page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
        self.page.evaluate("document.getAnimations().forEach((one) => one.finish())")


def visit(browser: Browser, base: str, name: str, theme: str, width: int) -> Visit:
    """Open a page of the site at `base` (http or file), wait until it stands still, and look at it."""
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
    page = context.new_page()
    seen = Visit(page, f"{base}/{name}.html")
    page.on("console", lambda message: note_message(seen, message.type, message.text))
    page.on("pageerror", lambda error: seen.problems.append(f"script error: {error}"))
    page.on("requestfailed", lambda asked: seen.problems.append(f"request failed: {asked.url}"))
    page.on("request", lambda asked: note_request(seen, base, asked.url))
    page.on("response", lambda got: note_status(seen, got.status, got.url))
    page.goto(seen.address, wait_until="load")
    page.evaluate(SETTLE)
    seen.look(LOOK_AT_MATH)
    seen.look(LOOK_AT_FIGURES)
    seen.look(LOOK_AT_WIDTH)
    return seen


def note_message(seen: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        seen.problems.append(f"console {kind}: {text}")


def note_request(seen: Visit, base: str, url: str) -> None:
    if not url.startswith((base, "data:", "blob:")):
        seen.problems.append(f"request to another place: {url}")


def note_status(seen: Visit, status: int, url: str) -> None:
    if status >= 400:
        seen.problems.append(f"answer {status}: {url}")
