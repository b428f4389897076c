"""Drawings of boxes and arrows: which part of a model hands what to which."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from riemvae_core.figures.plotting import COLORS


def draw_flow(
    ax: Axes,
    boxes: Mapping[str, tuple[float, float, str, str]],
    arrows: Sequence[tuple[str, str]],
    labels: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Draw boxes with words in them, an arrow from box to box, and labels that stand free.

    A box is (place to the right, place upwards, words, color), an arrow (from, to) by the names of boxes, a
    label (right, up, words). ``color`` is a name of ``COLORS`` or matplotlib's; empty means no rim. Raises
    ValueError for an arrow whose box is not there.
    Used in chapter 0.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import drawings
        >>> ax = Figure().subplots()
        >>> boxes = {"x": (0.0, 0.0, "picture", ""), "f": (2.0, 0.0, "encoder", "ink")}
        >>> drawings.draw_flow(ax, boxes, [("x", "f")])
        >>> [text.get_text() for text in ax.texts]
        ['picture', 'encoder', '']
    """
    for arrow in arrows:
        if not set(arrow) <= boxes.keys():
            raise ValueError(f"arrows must join boxes, of {', '.join(boxes)}, got {arrow}")
    drawn = {}
    for name, (x, y, words, color) in boxes.items():
        rim = {"boxstyle": "round,pad=0.45", "facecolor": "none", "linewidth": 1.3}
        rim["edgecolor"] = COLORS.get(color, color) or "none"
        drawn[name] = ax.text(x, y, words, ha="center", va="center", bbox=rim)
    for start, end in arrows:
        ends = {"patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch()}
        look = {"arrowstyle": "-|>", "color": COLORS["ink"], "shrinkA": 2, "shrinkB": 2, "linewidth": 1.1}
        ax.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=look | ends)
    for x, y, words in labels:
        ax.text(x, y, words, ha="center", va="center", color=COLORS["data"], fontsize=10.5)
    places = [*(box[:2] for box in boxes.values()), *(label[:2] for label in labels)]
    right, up = zip(*places, strict=True)
    ax.set(xlim=(min(right) - 0.9, max(right) + 0.9), ylim=(min(up) - 0.5, max(up) + 0.5))
    ax.set_axis_off()
