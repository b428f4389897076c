"""Drawings of the samplers: boxes that don't overlap, from what goes in to what comes out."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from riemvae_core.figures import sampler_drawings


@pytest.mark.parametrize("name", sampler_drawings.SAMPLERS)
def test_boxes_stand_apart_and_within_the_page(name):
    figure = Figure(figsize=(8.6, 2.4), dpi=100)
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    sampler_drawings.draw_sampler(ax, name)
    figure.canvas.draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) == len(sampler_drawings.SAMPLERS[name].boxes)
    for i, box in enumerate(boxes):
        assert box.x0 > 0
        assert box.x1 < 860
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("name", sampler_drawings.SAMPLERS)
def test_every_box_is_joined_and_something_comes_out(name):
    boxes, arrows = drawing = sampler_drawings.SAMPLERS[name]
    assert isinstance(drawing, sampler_drawings.Drawing)
    pairs = [tuple(arrow.split(">")) for arrow in arrows.split()]
    assert {end for pair in pairs for end in pair} == set(boxes)
    assert set(boxes) - {start for start, _ in pairs}


def test_an_unknown_sampler_is_named():
    with pytest.raises(ValueError, match=r"name must be one of prior, gaussian, .*, got 'dice'"):
        sampler_drawings.draw_sampler(Figure().subplots(), "dice")
