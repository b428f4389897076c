"""Cards, pictures, fonts, previews and messages: what is made at build time for the reader's comfort."""

import ast
import importlib.metadata
import io
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont
from PIL import Image
from riemvae_book.figures import read_palette
from riemvae_book.fonts import FILES, PACKAGE, SERIF, packaged
from riemvae_book.front import chapter_card, read_cards, say_what_comes
from riemvae_book.labels import source_file, toc_pages
from riemvae_book.messages import messages, raised, rooms
from riemvae_book.notebooks import chapter_pages
from riemvae_book.pictures import DRAWINGS, picture_svg, social_card
from riemvae_book.previews import previews, with_permalinks

PAGE = """<section><div class="proof theorem admonition" id="thm-inside">
<p class="admonition-title"><span class="caption-number">Theorem 1.1 </span> (No inside)</p>
<section><div>Let <a class="reference internal" href="#x"><span>z</span></a> be given.</div></section>
</div><div class="proof admonition"><p>Proof. None.</p></div>
<dl><dt id="term-ball">ball<a class="headerlink" href="#term-ball">#</a></dt>
<dt id="term-balls">balls</dt><dd>
<p>What a VAE stores.</p></dd></dl>
<div class="math notranslate nohighlight" id="equation-eq-a"><span class="eqno">(1.1)</span>a = b</div>
<div class="citation" id="id7"><span class="label"><span>[</span>A 2020<span>]</span></span>
<p>A. 2020.</p></div>
<figure class="rv-figure" data-rv-module="bound"><svg></svg><figcaption>See.</figcaption></figure>
</section>"""


def test_every_chapter_has_a_card_and_every_card_a_page(root):
    cards = read_cards(root)
    for page in chapter_pages(root):
        picture = chapter_card(cards, page)["picture"]
        assert picture in DRAWINGS, (
            f"book/_ext/riemvae_book/pictures.py wants a function {picture} under @card"
        )
    assert set(cards) - set(toc_pages(root)) == set(), "book/cards.yml has entries for no page of _toc.yml"
    for card in cards.values():
        assert 15 < len(card["line"]) < 130, card
        assert card["line"].endswith(".")
    drawn = [card["picture"] for card in cards.values() if "picture" in card]
    assert sorted(drawn) == sorted(DRAWINGS)


def test_a_drawing_has_a_name_and_follows_the_theme(root):
    """Every color is a variable of the palette or the page's ink, so that it reads in light and in dark."""
    palette = read_palette(root)
    for name in DRAWINGS:
        text = picture_svg(name, "what it shows", palette)
        assert ET.fromstring(text).get("aria-label") == "what it shows"
        assert "var(--rv-" in text
        plain = text
        for shade in palette.values():
            plain = plain.replace(f", {shade['light'].lower()})", ")")
        assert "#" not in plain.replace('"#', "").replace("url(#", "").replace("#ffffff", ""), name


def test_an_unknown_drawing_is_refused(root):
    with pytest.raises(ValueError, match=r"^picture in book/cards.yml must be .* \(bound, balls"):
        picture_svg("nothing", "", read_palette(root))


def test_a_social_card_is_a_picture_of_the_usual_size(root, tmp_path):
    path = tmp_path / "social" / "one.png"
    social_card(
        path,
        "balls",
        "1. Points have no inside, balls do",
        "What lies between.",
        "The book",
        read_palette(root),
    )
    with Image.open(path) as picture:
        assert picture.size == (1200, 630)
        assert len(picture.convert("RGB").getcolors(100_000)) > 50
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize("address", ["", "https://book.example/"])
def test_a_picture_is_named_only_where_its_address_is_known(root, address):
    page = "chapters/01_points_to_balls"
    relations = {page: [None, "chapters/00_a_vae_in_thirty_lines", "chapters/02_kl_as_packing"]}
    app = SimpleNamespace(
        srcdir=root,
        config=SimpleNamespace(html_baseurl=address, riemvae_cards=read_cards(root)),
        builder=SimpleNamespace(relations=relations),
    )
    context = {"prev": {"title": "0. A VAE"}, "next": {"title": "2. KL packs"}}
    say_what_comes(app, page, "page.html", context, None)
    assert context["next_title"].startswith('2. KL packs<span class="rv-comes">The KL term as a pull')
    assert "trained on the page" in context["prev_title"]
    assert 'name="description"' in context["metatags"]
    image = 'property="og:image" content="https://book.example/_static/social/01_points_to_balls.png"'
    assert (image in context["metatags"]) == bool(address)
    assert ("og:image" in context["metatags"]) == bool(address)


def test_what_a_preview_holds():
    found = dict(previews(PAGE))
    assert list(found) == ["term-ball", "term-balls", "thm-inside", "equation-eq-a", "id7"]
    assert found["term-balls"] == "<p><strong>balls</strong></p><p>What a VAE stores.</p>"
    assert "Let <span>z</span> be given." in found["thm-inside"]
    assert "Proof" not in found["thm-inside"]
    assert found["id7"] == '<div class="citation">\n<p>A. 2020.</p></div>'
    for text in found.values():
        assert "<a" not in text
        assert " id=" not in text
        ET.fromstring(f"<div>{text}</div>")


def test_boxes_and_live_figures_carry_a_link_to_themselves():
    text = with_permalinks(PAGE)
    assert (
        '(No inside)<a class="headerlink" href="#thm-inside" title="Link to this theorem">#</a></p>' in text
    )
    assert 'id="live-bound" data-rv-module="bound"' in text
    assert 'href="#live-bound" title="Link to this figure">#</a></figcaption>' in text
    assert "Proof. None.</p>" in text
    twice = with_permalinks(PAGE + PAGE)
    assert twice.count('id="live-bound"') == twice.count('id="live-bound-2"') == 1


def test_a_message_is_read_with_dots_for_what_differs():
    error = "ValueError(f'{n} must be given for a law of kind {k!r}, got None')"
    source = f"class A:\n def f(self):\n  raise {error}\n"
    assert list(raised(ast.parse(source))) == [
        ("ValueError", "... must be given for a law of kind ..., got None", ("A", "f"))
    ]


def test_the_page_of_messages_lists_every_room(root):
    page = (root / "book" / "messages.md").read_text(encoding="utf8")
    assert [line.split()[-1] for line in page.split("\n") if line.startswith("```{error-messages}")] == rooms(
        root
    )
    said = [one.text for one in messages(root, "laws")]
    assert "... must be given for a law of kind ..., got None" in said
    assert len(said) == len(set(said))


def test_the_serif_has_the_letters_of_every_page(root, site):
    """Whatever running text uses; rarer signs may come from another font of the machine."""
    fonts = site / "_static" / "fonts"
    assert "SIL OPEN FONT LICENSE" in (fonts / "LICENSE").read_text(encoding="utf8")
    assert "Reserved Font Name" not in packaged("LICENSE").read_text(encoding="utf8").split("-----")[0]
    used = {
        letter for page in toc_pages(root) for letter in source_file(root, page).read_text(encoding="utf8")
    }
    for name in FILES.values():
        data = (fonts / name).read_bytes()
        assert data[:4] == b"wOF2"
        assert len(data) < 80_000
        letters = {chr(code) for code in TTFont(io.BytesIO(data)).getBestCmap()}
        assert {"A", "é", "σ", "–", "’"} <= letters
        with TTFont(packaged(SERIF)) as font:
            whole = {chr(code) for code in font.getBestCmap()}
        assert {letter for letter in used & whole if letter.isalpha()} <= letters
    assert importlib.metadata.metadata(PACKAGE)["License-Expression"] == "OFL-1.1"
