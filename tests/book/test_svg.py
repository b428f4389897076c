"""Matplotlib's SVG becomes part of a page without taking anything of its neighbors."""

import io
import xml.etree.ElementTree as ET

import matplotlib
import pytest
from matplotlib.figure import Figure
from riemvae_book.svg import SVG, color_variables, inline_svg, short_path

PALETTE = {
    "ink": {"light": "#1F2328", "dark": "#E6E6E6"},
    "posterior": {"light": "#D4682A", "dark": "#F3A75C"},
    "note": "entries without light and dark are not colors",
    "lines": {"prior": {"light": "#2F6DB5", "dark": "#82B4F2"}},
}


@pytest.fixture(scope="module")
def drawn() -> str:
    figure = Figure(figsize=(4, 3))
    with matplotlib.rc_context({"svg.fonttype": "none", "text.color": "#1F2328"}):
        axes = figure.subplots()
        axes.scatter([0, 1], [0, 1], color="#D4682A", alpha=0.5)
        axes.plot([0, 1], [1, 0], color="#123456")
        axes.imshow([[0.0, 1.0]])
        axes.text(0.5, 0.5, "a ball", color="#1F2328")
        stream = io.StringIO()
        figure.savefig(stream, format="svg")
    return stream.getvalue()


def test_name_survives_the_markup(drawn):
    root = ET.fromstring(inline_svg(drawn, 'balls & "shells" <2-D>', "a-", PALETTE))
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'balls & "shells" <2-D>'


def test_two_figures_share_no_id_and_every_reference_resolves(drawn):
    def ids_and_references(prefix):
        text = inline_svg(drawn, "balls", prefix, PALETTE)
        root = ET.fromstring(text)
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        links = [e.get("href")[1:] for e in root.iter() if (e.get("href") or "").startswith("#")]
        clips = [e.get("clip-path")[5:-1] for e in root.iter() if e.get("clip-path")]
        return ids, links + clips

    ids, references = ids_and_references("a-")
    others, _ = ids_and_references("b-")
    assert references
    assert set(references) <= set(ids)
    assert len(ids) == len(set(ids))
    assert not set(ids) & set(others)


def test_palette_colors_follow_the_theme_and_others_stay(drawn):
    text = inline_svg(drawn, "balls", "a-", PALETTE)
    assert "fill: var(--rv-posterior, #d4682a)" in text
    assert "#123456" in text
    assert "#1f2328" not in text.lower()
    assert "currentColor" in text


def test_palette_is_read_at_every_depth():
    assert color_variables(PALETTE) == {
        "#000000": "currentColor",
        "#1f2328": "currentColor",
        "#d4682a": "var(--rv-posterior, #d4682a)",
        "#2f6db5": "var(--rv-prior, #2f6db5)",
    }


def test_it_is_responsive_up_to_its_natural_width(drawn):
    root = ET.fromstring(inline_svg(drawn, "balls", "a-", PALETTE))
    assert root.get("width") is None
    assert root.get("height") is None
    assert root.get("viewBox") == "0 0 288 216"
    assert "--rv-natural: 384px; max-width: 384px" in root.get("style")  # 4 inches of 96 pixels


def test_text_stays_text_in_the_page_s_font(drawn):
    text = inline_svg(drawn, "balls", "a-", PALETTE)
    assert ">a ball<" in text
    assert "font-family" not in text
    assert "font-size" in text


def test_words_beside_a_formula_are_whole_and_begin_where_they_did():
    figure = Figure(figsize=(4, 1))
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.text(0.1, 0.5, r"ball 10 of $\mu_i$, drawn $gz$ twice")
        stream = io.StringIO()
        figure.savefig(stream, format="svg")

    def spans(text):
        found = [span for span in ET.fromstring(text).iter(f"{{{SVG}}}tspan") if (span.text or "").strip()]
        return {span.text: float(span.get("x")) for span in found}

    loose, whole = spans(stream.getvalue()), spans(inline_svg(stream.getvalue(), "balls", "a-", PALETTE))
    assert "ball" not in loose
    assert {"ball", "10", "of", "drawn", "twice", "g", "z", ","} <= whole.keys()
    assert whole["ball"] == 0
    assert all(whole[same] == loose[same] for same in "gz,")


def test_pictures_in_grays_are_told_from_fields_of_color():
    for shown, colors, classes in (([[0.0, 1.0]], "gray", ["rv-photo"]), ([[0.0, 1.0]], "viridis", [None])):
        figure, stream = Figure(figsize=(1, 1)), io.StringIO()
        figure.subplots().imshow(shown, cmap=colors)
        figure.savefig(stream, format="svg")
        root = ET.fromstring(inline_svg(stream.getvalue(), "a picture", "a-", PALETTE))
        assert [image.get("class") for image in root.iter(f"{{{SVG}}}image")] == classes


def test_no_style_or_address_leaks_into_the_page(drawn):
    text = inline_svg(drawn, "balls", "a-", PALETTE)
    assert "<style" not in text
    assert "matplotlib.org" not in text
    assert "xlink" not in text


def test_something_else_than_svg_is_refused():
    with pytest.raises(ValueError, match="source must be an SVG document"):
        inline_svg("<html/>", "balls", "a-", PALETTE)


def test_coordinates_keep_a_hundredth_of_a_point():
    assert (
        short_path("M 10.123456 -0.004 L 3.5 7 C 1.999 2.0 1e-05 0") == "M 10.12 -0 L 3.5 7 C 2 2.0 1e-05 0"
    )
    source = f'<svg xmlns="{SVG}" width="10pt"><path d="M 1.23456 2"/></svg>'
    assert 'd="M 1.23 2"' in inline_svg(source, "a dot", "p-", {})
