"""Drawings of boxes and arrows: what stands where, read back from matplotlib."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from riemvae_core.figures import drawings, plotting

BOXES = {"x": (0.0, 0.0, "picture", ""), "f": (2.0, 1.0, "encoder", "posterior")}


@pytest.fixture
def ax():
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


def test_words_stand_in_their_boxes_and_all_within_the_frame(ax):
    drawings.draw_flow(ax, BOXES, [("x", "f")], labels=[(1.0, -2.0, "draw")])
    words = {text.get_text(): text for text in ax.texts}
    assert words["encoder"].get_position() == (2.0, 1.0)
    rim = words["encoder"].get_bbox_patch().get_edgecolor()
    assert to_hex(rim).upper() == plotting.COLORS["posterior"]
    assert words["picture"].get_bbox_patch().get_edgecolor()[3] == 0
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for x, y in ((0, 0), (2, 1), (1, -2)):
        assert left < x < right
        assert low < y < high
    assert not ax.axison


def test_an_arrow_ends_at_the_rims_of_its_boxes(ax):
    drawings.draw_flow(ax, BOXES, [("x", "f")])
    ax.figure.canvas.draw()
    (arrow,) = [text.arrow_patch for text in ax.texts if text.get_text() == ""]
    box = ax.texts[1].get_bbox_patch().get_window_extent()
    tip = arrow.get_path().vertices[:, 0].max()
    assert box.x0 - 12 < arrow.get_transform().transform((tip, 0))[0] < box.x1


def test_an_arrow_to_nowhere_is_named(ax):
    with pytest.raises(ValueError, match=r"arrows must join boxes, of x, f, got \('x', 'g'\)"):
        drawings.draw_flow(ax, BOXES, [("x", "g")])
    assert len(ax.texts) == 0


# ---- the models


def drawn(name):
    figure = Figure(figsize=(8.6, 1.3))
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    drawings.draw_model(ax, name)
    figure.canvas.draw()
    return ax, [text for text in ax.texts if text.get_text()]


@pytest.mark.parametrize("name", drawings.MODELS)
def test_no_word_of_a_model_lies_on_another_one(name):
    ax, words = drawn(name)
    places = [text.get_window_extent() for text in words]
    for i, one in enumerate(places):
        assert all(not one.overlaps(other) for other in places[:i]), words[i].get_text()
        assert ax.figure.bbox.x0 <= one.x0
        assert one.x1 <= ax.figure.bbox.x1


@pytest.mark.parametrize("name", [name for name in drawings.MODELS if name != "vae"])
def test_a_box_stands_around_what_the_vae_has_not(name):
    rims = {
        text.get_text(): text.get_bbox_patch() is not None and text.get_bbox_patch().get_edgecolor()[3] > 0
        for text in drawn(name)[1]
    }
    plain = {text.get_text() for text in drawn("vae")[1]}
    assert {words for words, rim in rims.items() if rim} == rims.keys() - plain - {
        drawings.MODELS[name].title
    }
    assert any(rims.values())


def test_the_study_s_models_are_all_drawn():
    """Its two RAEs differ in the price of the decoder, and share a drawing."""
    kinds = {"vae", "beta-vae", "vamp", "iwae", "hvae", "rhvae", "rae-l2", "rae-gp", "wae"}
    assert {name.removesuffix("-l2").removesuffix("-gp") for name in kinds} <= drawings.MODELS.keys()
    with pytest.raises(ValueError, match=r"name must be one of vae, .*, got 'gan'"):
        drawings.draw_model(Figure().subplots(), "gan")
