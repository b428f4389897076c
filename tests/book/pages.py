"""What the checks of the built pages share: which pages there are, how one is opened, what is looked at."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, Page
from riemvae_book.labels import toc_pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*toc_pages(ROOT), "search", "genindex"]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf8")

# Every violation of axe's rules, best practices included, with the elements it was found on. What LIGHTEN
# marks is not asked for its contrast.
RUN_AXE = """async (options = {}) => {
  axe.configure({rules: [{id: "color-contrast", selector: ":not([data-again])"}]});
  const found = await axe.run({preload: false, resultTypes: ["violations"], ...options});
  const first = (v) => v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | ");
  return found.violations.map((v) => `axe ${v.id} (${v.impact}): ${v.help}: ${first(v)}`);
}"""
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
CONTRAST = {"runOnly": ["color-contrast"]}

# axe takes its time for each element, and most are words of code and glyphs of formulas. Of words, contrast
# is asked of one of each look in either theme: of those in cells in a cell of samples, of others where the
# first one stands. The rest of a cell becomes plain text. A formula keeps its box and, as text, what is read
# of it, and has the color of its text. A named picture keeps its name. The shade at the edge of what scrolls
# goes, since axe gives no verdict on words above a gradient.
LIGHTEN = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shaded = all("article :is(.pst-scrollable-table-container, figure, pre, .rv-wide)");
  shaded.forEach((el) => (el.style.backgroundImage = "none"));
  const inCell = (el) => el.closest(".highlight pre");
  const again = (el) => el.setAttribute("data-again", "");
  const ground = (el) => {
    const {backgroundColor, backgroundImage} = getComputedStyle(el), {parentElement} = el;
    const clear = backgroundColor === "rgba(0, 0, 0, 0)" && backgroundImage === "none";
    return clear && parentElement ? ground(parentElement) : backgroundColor;
  };
  const page = document.documentElement, {theme} = page.dataset;
  const words = all(".highlight pre span[class], dt.sig *, article code *");
  const leaves = words.filter((el) => !el.firstElementChild);
  const looks = new Map(leaves.map((word) => [word, word.className]));
  for (const one of ["light", "dark", theme]) {
    page.dataset.theme = one;
    document.getAnimations().forEach((running) => running.finish());
    for (const word of leaves) {
      const {color, fontWeight, fontSize, opacity} = getComputedStyle(word);
      const behind = inCell(word) ? "" : ground(word);
      looks.set(word, [looks.get(word), color, fontWeight, fontSize, opacity, behind].join());
    }
  }
  const samples = new Map(), seen = new Set();
  for (const [word, look] of looks) {
    if (inCell(word)) samples.set(look, word.cloneNode(true));
    else if (seen.has(look)) again(word);
    else if (word.checkVisibility()) seen.add(look);
  }
  const shown = all(".highlight").find((cell) => cell.checkVisibility()), cell = shown?.cloneNode(true);
  cell?.querySelectorAll("[id]").forEach((el) => el.removeAttribute("id"));
  cell?.querySelector("pre").replaceChildren(...[...samples.values()].flatMap((word) => [word, " "]));
  cell?.querySelector("pre").setAttribute("style", "white-space: pre-wrap; overflow: visible");
  for (const el of all(".highlight pre")) {
    if (!el.querySelector(":not(span), [id], [role], [tabindex]")) el.textContent = el.textContent;
    again(el);
    el.querySelectorAll("*").forEach(again);
  }
  shown?.before(cell);
  const hidden = all("mjx-container > [aria-hidden=true]");
  const glyphs = hidden.filter((el) => !el.querySelector("[tabindex], [href]"));
  for (const [el, {width, height}] of glyphs.map((el) => [el, el.getBoundingClientRect()])) {
    el.replaceChildren();
    el.style.cssText += `display: inline-block; width: ${width}px; height: ${height}px`;
  }
  for (const el of all("mjx-assistive-mml > math")) el.textContent = el.textContent;
  all("mjx-container, mjx-container *").forEach(again);
  for (const el of all("svg.rv-plot[role=img][aria-label]")) el.replaceChildren();
}"""

SETTLE = """async () => {
  await document.fonts.ready;
  if (window.MathJax?.startup) await MathJax.startup.promise;
  const waits = () => document.querySelector("figure[data-rv-module]:not([data-rv-ready])");
  for (let k = 0; k < 200 && waits(); k++) await new Promise((go) => setTimeout(go, 50));
  await new Promise(requestAnimationFrame);
}"""

# Formulas that stayed source text, that MathJax could not read, or whose full stop stands on the next line.
LOOK_AT_MATH = """() => {
  const problems = [];
  for (const el of document.querySelectorAll(".math")) {
    if (!el.querySelector("mjx-container")) problems.push("formula not set: " + el.textContent.slice(0, 60));
  }
  for (const tied of document.querySelectorAll("article.bd-article .rv-tied")) {
    if (tied.getClientRects().length > 1) problems.push("a mark apart from its formula: " + tied.textContent);
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
  for (const el of document.querySelectorAll("article span.math")) {
    const seen = el.querySelector("mjx-math")?.getBoundingClientRect().width ?? 0;
    const scrolls = el.tabIndex === 0 && getComputedStyle(el).overflowX === "auto";
    if (seen > el.clientWidth + 1 && !scrolls) problems.push("a cut formula: " + el.textContent.slice(0, 40));
  }
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


def visit(browser: Browser, base: str, name: str, theme: str, width: int, **options) -> Visit:
    """Open a page of the site at `base` (http or file), wait until it stands still, and look at it."""
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900}, **options)
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
