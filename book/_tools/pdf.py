"""The book on paper: each page of _toc.yml printed by Chromium, then all of them bound into one file."""

import logging
import shutil
import sys
import tempfile
import time
from html import escape
from importlib.metadata import version
from pathlib import Path

import yaml
from binding import Printed, bind, publish
from browser import FLAGS, find_browser
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
FRONT = """<section class="rv-paper-title"><h1>{title}</h1>
  <p>The geometry of variational autoencoders, hands on</p>
  <p>{author}<br>version {version}, {year}</p>
  <p>The book on paper. Figures that move on its pages stand still here; answers to the questions and folded
  code stand at the end of their chapters. Prose and figures: CC BY 4.0. Code: MIT.</p></section>
  <section class="rv-paper-contents"><h1>Contents</h1>{rows}</section>"""
PAPER = (Path(__file__).parent / "paper.js").read_text(encoding="utf8")
# Without these scripts a live figure is its still, and a question what its source says.
LIVE = ("rv_loader.js", "questions.js", "downloads.js")

SETTLE = """async () => {
  await document.fonts.ready;
  await globalThis.MathJax?.startup?.promise;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  const unset = "article .math:not(:has(mjx-container)), mjx-merror, [data-mjx-error]";
  return document.querySelectorAll(unset).length;
}"""
HEADINGS = """() => [...document.querySelectorAll("article :is(h1, h2, h3, h4)")].map((heading) => {
  const bare = heading.cloneNode(true);
  bare.querySelector(".headerlink")?.remove();
  return bare.textContent.trim();
})"""


def read_parts(root: Path) -> dict[str, list[str]]:
    """The pages of each part of _toc.yml; the first page is a part of its own, without a name."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    named = {part["caption"]: [entry["file"] for entry in part["chapters"]] for part in toc["parts"]}
    return {"": [toc["root"]], **named}


def paper_context(browser: Browser) -> BrowserContext:
    """A window as wide as the paper's text, without the site's live parts."""
    context = browser.new_context(color_scheme="light", viewport={"width": 620, "height": 900})
    context.set_default_timeout(600_000)  # a machine with other work is slow, not broken
    for script in LIVE:
        context.route(f"**/_static/{script}*", lambda route: route.abort())
    return context


def save(page: Page, path: Path, rules: str) -> int:
    """Print an open page under some more rules of style; the number of sheets."""
    page.add_style_tag(content=f"@media print {{ {rules} }}")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.pdf(path=path, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
    return len(PdfReader(path).pages)


def open_page(context: BrowserContext, site: Path, name: str) -> Page:
    """A page of the site with its formulas set."""
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{name}.html", wait_until="load")
    unset = page.evaluate(SETTLE)
    if unset:
        raise RuntimeError(f"{name}: {unset} formulas are not set")
    return page


def print_page(
    context: BrowserContext, site: Path, name: str, pages: list[str], out: Path, first: int
) -> Printed:
    """Print one page of the site, its folds open, its sheets numbered from `first`."""
    page = open_page(context, site, name)
    title, *below = page.evaluate(HEADINGS)
    page.evaluate(PAPER, {"pages": pages, "base": site.as_uri()})
    head = title.replace('"', r"\"")
    rules = f"""html {{ counter-reset: page {first - 1}; }} @page {{ @top-center {{ content: "{head}"; }} }}
      @page :first {{ @top-center {{ content: none; }} }}"""
    path = out / f"{name}.pdf"
    sheets = save(page, path, rules)
    page.close()
    return Printed(name, title, path, first, sheets, (title, *below))


def print_front(context: BrowserContext, site: Path, parts: dict[str, list[Printed]], path: Path) -> Printed:
    """The title and the table of contents, in place of the article of a page of the site."""

    def line(one: Printed) -> str:
        address = f"{site.as_uri()}/{one.page}.html"
        return f'<li><a href="{address}">{escape(one.title)}</a><span>{one.first}</span></li>'

    rows = "".join(
        f"<h2>{escape(part)}</h2><ol>{''.join(map(line, pages))}</ol>" for part, pages in parts.items()
    )
    about = {"title": CONFIG["title"], "author": CONFIG["author"], "year": CONFIG["copyright"]}
    text = FRONT.format(**about, version=version("riemvae-core"), rows=rows)
    page = open_page(context, site, "genindex")
    page.evaluate("(text) => (document.querySelector('article').innerHTML = text)", text)
    sheets = save(page, path, "@page { @bottom-center { content: counter(page, lower-roman); } }")
    page.close()
    return Printed("", "Contents", path, 1, sheets)


def print_all(
    context: BrowserContext, site: Path, names: dict[str, list[str]], raw: Path
) -> tuple[Printed, dict[str, list[Printed]]]:
    """Every page of the book on sheets that are numbered through, and then what stands before them."""
    pages, parts, first = [page for part in names.values() for page in part], {}, 1
    for part, held in names.items():
        parts[part] = []
        for page in held:
            one = print_page(context, site, page, pages, raw, first)
            parts[part].append(one)
            first += one.sheets
            print(f"{page}: {one.sheets} sheets", flush=True)
    return print_front(context, site, parts, raw / "front.pdf"), parts


def print_book(
    browser: Browser, site: Path, names: dict[str, list[str]], out: Path
) -> tuple[Path, list[Path]]:
    """The pages of `names`, part by part: bound into one file, and each in a file of its own."""
    author = CONFIG["author"]
    with tempfile.TemporaryDirectory() as raw:
        front, parts = print_all(paper_context(browser), site, names, Path(raw))
        book = bind(front, parts, CONFIG["title"], author, site, out / "balls-codes-and-geodesics.pdf")
        return book, [publish(one, author, site, out) for pages in parts.values() for one in pages]


def main() -> int:
    started, out = time.perf_counter(), ROOT / "_build" / "pdf"
    shutil.rmtree(out, ignore_errors=True)
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it counts more objects than Chromium's trailers say
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        book, single = print_book(browser, ROOT / "_build" / "html", read_parts(ROOT), out)
        browser.close()
    sheets, size = len(PdfReader(book).pages), sum(path.stat().st_size for path in single) / 1e6
    print(f"{book.relative_to(ROOT)}: {sheets} sheets, {book.stat().st_size / 1e6:.1f} MB")
    print(f"beside it {len(single)} files, one for each page of the site: {size:.1f} MB")
    print(f"{time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
