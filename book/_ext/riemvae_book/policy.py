"""The site's Content-Security-Policy, and pages that keep to it: what is executed lies in files of the site.

Sphinx, its themes and extensions write scripts and handlers of clicks into the pages. Once all is built,
each is moved to a file that is named after its content, so that the policy is one short line for all pages.
Each page carries the policy itself, for hosts whose headers nobody can set and for pages that are opened
from a folder; a server should send it too.
"""

import hashlib
import html
import json
import re
from pathlib import Path

from sphinx.application import Sphinx

#: Nothing comes from another host, no script stands in a page, and scripts ask for pages of the site alone
#: (the search shows a line of each that it finds).
#: Styles in the page are allowed: MathJax writes the rules of the characters that a page needs into a style
#: element, and plots, formulas and tables hold style attributes. Pictures may be data: (icons in the
#: theme's style sheets) and blob: (sheets of images that a live figure unpacks).
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
}
#: what counts in a header alone: no other site shows a page in a frame
IN_HEADERS = {"frame-ancestors": "'none'"}
#: to a page in a folder, ``'self'`` is no file beside it: files are named, which over http allows none
OWN, OWN_OR_FILES = "'self'", "'self' file:"

FOLDER = "_static/inline"
REFERENCE = re.compile(rf"{FOLDER}/(\w+\.js)")
SCRIPT = re.compile(r"<script\b(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.DOTALL)
OTHER_KIND = re.compile(r"""\bsrc\s*=|\btype\s*=\s*(?!["']?(?:text/javascript|module)\b)""")
HANDLER = re.compile(r"""(?<=\s)on(?P<event>[a-z]+)=(?P<quote>["'])(?P<code>.*?)(?P=quote)(?=[^<>]*>)""")
BEGIN = re.compile(r"<head\b[^>]*>(\s*<meta charset=[^>]*>)?", re.IGNORECASE)


def header() -> str:
    """The value of the header ``Content-Security-Policy`` that a server of the site should send."""
    return "; ".join(f"{what} {whence}" for what, whence in (POLICY | IN_HEADERS).items())


def meta() -> str:
    """The element that says the same in a page."""
    stated = "; ".join(f"{what} {whence}" for what, whence in POLICY.items()).replace(OWN, OWN_OR_FILES)
    return f'<meta http-equiv="Content-Security-Policy" content="{stated}">'


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def listener(event: str, code: str) -> str:
    """The script that does for a handler's elements what the handler did."""
    mark = f"[data-on{event}='{key(code)}']"
    return (
        f"addEventListener({json.dumps(event)}, (event) => {{\n"
        f"  if (event.target.closest?.({json.dumps(mark)})) {{ {code} }}\n}});\n"
    )


def moved(page: str, base: str) -> tuple[str, dict[str, str]]:
    """A page without scripts and handlers of its own, and these by the names of their files.

    ``base`` leads from the page to the site. A page that was moved before comes back as it is.
    """
    scripts: dict[str, str] = {}
    listeners: dict[str, None] = {}

    def move_handler(found: re.Match) -> str:
        event, code = found["event"], html.unescape(found["code"])
        listeners[listener(event, code)] = None
        return f'data-on{event}="{key(code)}"'

    def address(code: str) -> str:
        name = f"{key(code)}.js"
        scripts[name] = code
        return f"{base}{FOLDER}/{name}"

    def move_script(found: re.Match) -> str:
        if OTHER_KIND.search(found["attributes"]) or not found["code"].strip():
            return found[0]
        return f'<script{found["attributes"]} src="{address(found["code"])}"></script>'

    page = SCRIPT.sub(move_script, HANDLER.sub(move_handler, page))
    if meta() not in page:
        tags = "".join(f'\n<script defer src="{address(code)}"></script>' for code in listeners)
        page = BEGIN.sub(lambda found: f"{found[0]}\n{meta()}{tags}", page, count=1)
    return page, scripts


def pages(outdir: Path) -> list[Path]:
    """The pages of a built site, without the templates that its theme leaves."""
    found = sorted(outdir.rglob("*.html"))
    return [path for path in found if "_static" not in path.relative_to(outdir).parts]


def move_all(outdir: Path) -> None:
    """Move the scripts of all pages of a site into its folder of scripts."""
    folder = outdir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for path in pages(outdir):
        page = path.read_text(encoding="utf8")
        new, scripts = moved(page, "../" * (len(path.relative_to(outdir).parts) - 1))
        for name, code in scripts.items():
            (folder / name).write_text(code, encoding="utf8")
        if new != page:
            path.write_text(new, encoding="utf8")


def finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        move_all(Path(app.outdir))


def setup(app: Sphinx) -> None:
    app.connect("build-finished", finish, priority=950)
