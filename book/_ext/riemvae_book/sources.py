"""What a page offers beside itself: the student notebook for download, a stripped source, its description."""

import json
import re
from html import escape
from pathlib import Path

from sphinx.application import Sphinx

from .execution import execution_record, kernel_threads
from .notebooks import is_chapter, make_notebook, write_notebook
from .numbers import numbered_title
from .solutions import strip_solutions

DOWNLOAD = re.compile(r'(?P<link><a href="[^"]*_sources/(?:[^"/]+/)*(?P<name>[^"/]+)") target="_blank"')
ICONS_AGAIN = re.compile(r'<script src="[^"]*/fontawesome/[^"]*\.js[^"]*"></script>\n?')
ICON = re.compile(r'<i class="(?=fa[srb]? fa-|fa-)')
FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>\n?')


def page_source(app: Sphinx, docname: str) -> str:
    return Path(app.env.doc2path(docname)).read_text(encoding="utf8")


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Offer the notebook in the theme's download menu, and say in the page's head what the page is."""
    context["title"] = numbered_title(pagename, context.get("title", ""))
    if doctree is not None and is_chapter(pagename, page_source(app, pagename)):
        context["ipynb_source"] = f"{pagename}.ipynb"
    tags = {"og:title": context["title"], "og:type": "article", "og:site_name": app.config.project}
    lines = [f'<meta property="{name}" content="{escape(text)}" />' for name, text in tags.items()]
    lines.append(f'<meta name="author" content="{escape(app.config.author)}" />')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def mend_theme(page: Path) -> None:
    """Amend what the theme writes and offers no setting for.

    Its download buttons show the file instead of saving it; its font preloads are refused by a browser when
    the book is read from a folder; its icons come as a font and once more as a script of 1.5 MB, and a
    screen reader would read the font's letters.
    """
    text = page.read_text(encoding="utf8")
    lighter = ICON.sub('<i aria-hidden="true" class="', ICONS_AGAIN.sub("", FONT_PRELOAD.sub("", text)))
    mended = DOWNLOAD.sub(r'\g<link> download="\g<name>"', lighter)
    if mended != text:
        page.write_text(mended, encoding="utf8")


def write_as_script(path: Path) -> None:
    """Put a file's text beside it as a script, which a page that is read from a folder may load."""
    name, text = json.dumps(path.name), json.dumps(path.read_text(encoding="utf8"))
    path.with_name(f"{path.name}.js").write_text(f"__rvSave({name}, {text});\n", encoding="utf8")


def write_sources(app: Sphinx, exception: Exception | None) -> None:
    """Put the stripped sources and the student notebooks where the download menu points to."""
    if app.builder.format != "html":
        return
    out = Path(app.outdir)
    for page in out.rglob("*.html"):
        mend_theme(page)
    for copied in (out / "_sources").rglob("*.md"):
        copied.write_text(strip_solutions(copied.read_text(encoding="utf8")), encoding="utf8")
    for docname in sorted(app.env.found_docs) if exception is None else []:
        text = strip_solutions(page_source(app, docname))
        if is_chapter(docname, text):
            executed = out.parent / "jupyter_execute" / f"{docname}.glue.json"
            seconds = (execution_record(app.env, docname) or {}).get("runtime")
            notebook = make_notebook(Path(app.srcdir), docname, text, executed, seconds, kernel_threads())
            write_notebook(notebook, out / "_sources" / f"{docname}.ipynb")
    for suffix in ("md", "ipynb"):
        for offered in (out / "_sources").rglob(f"*.{suffix}"):
            write_as_script(offered)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", describe)
    app.connect("build-finished", write_sources)
