"""What a page says of itself elsewhere: its card, its line under "next", the picture beside a link to it."""

from html import escape
from pathlib import Path
from urllib.parse import urljoin

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from .figures import read_palette
from .labels import toc_pages
from .numbers import chapter_number, numbered_title

CARDS = "book/cards.yml"


def read_cards(root: Path) -> dict[str, dict[str, str]]:
    """Each page's line, and of a chapter its picture and what that shows."""
    path = root / CARDS
    if not path.exists():
        return {}
    with path.open(encoding="utf8") as file:  # a file, so that an error names it
        return yaml.safe_load(file)


def chapter_card(cards: dict[str, dict[str, str]], page: str) -> dict[str, str]:
    """A chapter's card; what it lacks is an error that says where to write it."""
    card = cards.get(page, {})
    if lacking := [key for key in ("line", "picture", "alt") if key not in card]:
        raise ExtensionError(
            f"{CARDS} must have an entry {page} with line, picture and alt; missing: {', '.join(lacking)}"
        )
    return card


class ChapterCards(SphinxDirective):
    """A list of the chapters, each with its drawing, its title and its line."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        from .pictures import picture_svg  # loads matplotlib, which no other page asks for

        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / CARDS))
        cards, palette = read_cards(root), read_palette(root)
        listed = nodes.bullet_list(classes=["rv-cards"])
        for page in toc_pages(root):
            if chapter_number(page) is None:
                continue
            card = chapter_card(cards, page)
            item = nodes.list_item(classes=["rv-card"])
            item += nodes.raw("", picture_svg(card["picture"], card["alt"], palette), format="html")
            link = addnodes.pending_xref(
                "", nodes.inline(), refdomain="std", reftype="doc", reftarget=f"/{page}", refexplicit=False,
                refdoc=self.env.docname, refwarn=True,
            )  # fmt: skip
            number = nodes.inline("", f"{chapter_number(page)}. ", classes=["rv-card-number"])
            item += nodes.paragraph("", "", number, link, classes=["rv-card-title"])
            item += nodes.paragraph("", card["line"])
            listed += item
        return [listed]


class MarginDrawing(SphinxDirective):
    """A chapter's drawing in the margin, with a line under it: `{margin-drawing} packing`."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        from .pictures import picture_svg

        root, name = Path(self.env.srcdir), self.arguments[0]
        alt = next(card["alt"] for card in read_cards(root).values() if card.get("picture") == name)
        aside = nodes.container(classes=["margin", "rv-margin-drawing"])
        aside += nodes.raw("", picture_svg(name, alt, read_palette(root)), format="html")
        self.state.nested_parse(self.content, self.content_offset, aside)
        return [addnodes.only("", aside, expr="html")]


def say_what_comes(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put the lines of the pages before and after under their titles, its own in the page's head."""
    cards = app.config.riemvae_cards
    before_and_after = dict(
        zip(("prev", "next"), app.builder.relations.get(pagename, [None] * 3)[1:], strict=True)
    )
    for way, page in before_and_after.items():
        if context.get(way) and page in cards:
            line = f'<span class="rv-comes">{escape(cards[page]["line"])}</span>'
            context[f"{way}_title"] = context[way]["title"] + line
    if pagename not in cards:
        return
    line, picture = cards[pagename]["line"], cards[pagename].get("picture")
    tags = [f'<meta name="description" content="{escape(line)}" />']
    tags.append(f'<meta property="og:description" content="{escape(line)}" />')
    address = app.config.html_baseurl
    if picture and address:  # a picture's address must be a whole one
        image = urljoin(address, f"_static/social/{Path(pagename).name}.png")
        tags.append(f'<meta property="og:image" content="{escape(image)}" />')
        tags.append(f'<meta property="og:image:alt" content="{escape(cards[pagename]["alt"])}" />')
        tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(tags)


def draw_social_cards(app: Sphinx, exception: Exception | None) -> None:
    """Draw the pictures that the pages' heads name."""
    if exception or app.builder.format != "html" or not app.config.html_baseurl:
        return
    from .pictures import social_card

    palette = read_palette(Path(app.srcdir))
    for page, card in app.config.riemvae_cards.items():
        if "picture" in card and page in app.env.titles:
            path = Path(app.outdir) / "_static" / "social" / f"{Path(page).name}.png"
            title = numbered_title(page, app.env.titles[page].astext())
            social_card(path, card["picture"], title, card["line"], app.config.project, palette)


def key_cards(app: Sphinx, config) -> None:
    """Read the cards once; a change of them writes all pages again."""
    config.riemvae_cards = read_cards(Path(app.srcdir))


def setup(app: Sphinx) -> None:
    app.add_directive("chapter-cards", ChapterCards)
    app.add_directive("margin-drawing", MarginDrawing)
    app.add_config_value("riemvae_cards", {}, "html")
    app.connect("config-inited", key_cards)
    app.connect("html-page-context", say_what_comes, priority=600)
    app.connect("build-finished", draw_social_cards)
