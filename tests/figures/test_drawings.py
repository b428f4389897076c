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
