"""What a page loads and waits for: its words show first, and no page loads what only others need.

A page that states its policy itself has its scripts asked for one after the other, as the parser meets them,
and shows nothing meanwhile. So they are deferred: asked for side by side, run in their order once the page is
read, settings first, since a script that finds the page read doesn't wait for those that stand after it. Two
kinds stay at once: those that write into the page, and the one that sets the page's colors.
Code and plots are laid out once they come near the window, so their heights must be known before: a plot
says its own (svg.py), and code says here how many lines it has.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

from .policy import FOLDER, pages

#: whether a page has formulas, or links whose previews have some
FORMULAS = re.compile(r'class="math|href="[^"]*#(term|thm|def|equation)-')
#: what the front page alone shows
CLAIM = 'class="rv-claim'

AT_ONCE = r"(?![^>]*(?:\b(?:defer|async|data-cfasync)\b|/colors\.js))"
SCRIPT = re.compile(rf'<script {AT_ONCE}(?P<rest>[^>]*\bsrc="(?P<file>[^"?]*)[^>]*>)')
SETTING = re.compile(rf'\s*(<script defer [^>]*\bsrc="[^"]*{FOLDER}/[^>]*></script>)')
OPTIONS = re.compile(r"<script defer [^>]*documentation_options\.js[^>]*></script>")
CODE = re.compile(r'(<div class="highlight"><pre)(>.*?</pre>)', re.DOTALL)
COLORS = re.compile(rf'<script data-cfasync[^>]*src="(?P<base>[^"]*){FOLDER}/[^>]*></script>(?!<script)')


def lean(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave MathJax, 1.2 MB, to pages that have formulas, and the front page's style sheet to that page."""
    body = context.get("body", "")
    if not FORMULAS.search(body):
        scripts = context.get("script_files", [])
        context["script_files"] = [
            one for one in scripts if not re.search("mathjax|formulas", str(getattr(one, "filename", one)))
        ]
    if CLAIM in body:
        app.add_css_file("front.css", priority=900)


def deferred(page: str, folder: Path) -> str:
    """A page whose scripts wait until it is read; ``folder`` is where it lies. Done twice it is the same."""

    def defer(found: re.Match) -> str:
        writes = FOLDER in found["file"] and "document.write" in (folder / found["file"]).read_text("utf8")
        return found[0] if writes else f"<script defer {found['rest']}"

    # the search begins where the page is read, so before what makes it better, were both deferred
    page = page if "searchtools.js" in page else SCRIPT.sub(defer, page)
    head, end, body = page.partition("</head>")
    if OPTIONS.search(head):
        settings = "".join(f"\n    {tag}" for tag in dict.fromkeys(SETTING.findall(head)))
        head = OPTIONS.sub(lambda found: found[0] + settings, SETTING.sub("", head), count=1)
    colors = r'\g<0><script src="\g<base>_static/colors.js"></script>'
    return COLORS.sub(colors, head, count=1) + end + body


def counted(page: str) -> str:
    """A page whose code says how many lines it has. Done twice it is the same."""
    return CODE.sub(lambda found: f'{found[1]} style="--rv-lines: {found[2].count(chr(10))}"{found[2]}', page)


def finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for path in pages(Path(app.outdir)):
            page = path.read_text(encoding="utf8")
            if (new := counted(deferred(page, path.parent))) != page:
                path.write_text(new, encoding="utf8")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", lean, priority=900)
    app.connect("build-finished", finish, priority=955)  # after the policy has moved scripts to files
