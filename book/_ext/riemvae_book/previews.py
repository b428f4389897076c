"""What a link shows before it is followed, and the marks that link to boxes and live figures.

Each page's terms, boxes, formulas and citations are written beside it as a script: a page that is read from
a folder may load a script of the folder, but fetch nothing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

from .elements import whole

TERMS = re.compile(r'(?P<names>(?:<dt id="term-[^"]+">.*?</dt>\s*)+)<dd>(?P<meaning>.*?)</dd>', re.S)
BLOCK = re.compile(r'<div class="(?:proof \w+ admonition|math [^"]*|citation)" id="(?P<id>[^"]+)"')
BOX_TITLE = re.compile(
    r'<div class="(?:proof )?(?P<kind>\w+) admonition" id="(?P<id>[^"]+)">\s*'
    r'<p class="admonition-title">.*?(?=</p>)',
    re.S,
)
LIVE = re.compile(
    r'<figure class="rv-figure" (?P<rest>data-rv-module="(?P<name>\w+)".*?<figcaption>.*?)(?=</figcaption>)',
    re.S,
)
NOT_SHOWN = re.compile(
    r'<a class="headerlink".*?</a>'  # the mark of a link to itself
    r'|<span class="(?:label|backrefs)">(?:<(span|a)\b.*?</\1>|[^<])*</span>'  # a citation's name
    r"|</?a\b[^>]*>",  # links: a preview is read, not operated
    re.S,
)
CALL = "__rvPreviews("
ID = re.compile(r' id="[^"]*"')


def shown(html: str) -> str:
    """A piece of a page without ids and links."""
    return ID.sub("", NOT_SHOWN.sub("", html)).strip()


def previews(body: str) -> Iterator[tuple[str, str]]:
    """Each anchor of a page that has a preview, with it."""
    for entry in TERMS.finditer(body):
        names = re.findall(r'<dt id="(term-[^"]+)">(.*?)</dt>', entry["names"], re.S)
        for anchor, name in names:
            yield anchor, f"<p><strong>{shown(name)}</strong></p>{shown(entry['meaning'])}"
    for block in BLOCK.finditer(body):
        yield block["id"], shown(whole(body, "div", block.start()))


def permalink(anchor: str, what: str) -> str:
    return f'<a class="headerlink" href="#{anchor}" title="Link to this {what}">#</a>'


def with_permalinks(body: str) -> str:
    """A page's body in which boxes and live figures carry the mark that headings carry."""
    body = BOX_TITLE.sub(lambda box: box[0] + permalink(box["id"], box["kind"]), body)
    met: dict[str, int] = {}

    def live(figure: re.Match) -> str:
        name = figure["name"].replace("_", "-")
        met[name] = met.get(name, 0) + 1
        anchor = f"live-{name}" + (f"-{met[name]}" if met[name] > 1 else "")
        return f'<figure class="rv-figure" id="{anchor}" {figure["rest"]} {permalink(anchor, "figure")}'

    return LIVE.sub(live, body)


def write_previews(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if doctree is None or app.builder.format != "html":
        return
    path = Path(app.outdir) / "_static" / "previews" / f"{pagename}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = json.dumps(dict(previews(context["body"])), ensure_ascii=False)
    path.write_text(f"{CALL}{json.dumps(pagename)}, {texts});\n", encoding="utf8")
    context["body"] = with_permalinks(context["body"])


def read_previews(path: Path) -> tuple[str, dict[str, str]]:
    """The page that a file of previews is of, and them."""
    return json.loads(f"[{path.read_text(encoding='utf8').removeprefix(CALL)[:-3]}]")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", write_previews)
