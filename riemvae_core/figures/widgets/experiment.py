"""Run a chapter's experiment again at another size, on the kernel's own device."""

import html
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from riemvae_core.figures.widgets.checks import one_of
from riemvae_core.figures.widgets.host import in_book
from riemvae_core.numerics import default_device


def experiment(
    run: Callable[[Any], Any], name: str, sizes: Sequence[int], size: int
) -> "ipywidgets.interactive | StaticExperiment":
    """A slider for the one size of an experiment, and a button that runs it.

    In a notebook ``run(size)`` is called when the button is pressed; what it prints, the figure it returns,
    the device and the seconds appear under it, and ``result`` keeps what it returned. In a build of the book
    it is a note that says so. Raises ValueError when ``size`` is none of ``sizes``.

    Args:
        run: the experiment; takes one of the sizes and computes on the kernel's own device.
        name: what the size counts, for example ``"pairs"``.
        sizes: the sizes to choose from, the smallest first; the larger ones are for a GPU.
        size: the one that the page was made with.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> slider, *_ = widgets.experiment(lambda n: 2 * n, "pairs", [10, 100], size=10).children
        >>> slider.value, slider.options
        (10, (10, 100))
    """
    one_of("size", size, sizes)
    if in_book():
        return StaticExperiment(name, sizes, size)
    wide = {"layout": ipywidgets.Layout(width="26rem"), "style": {"description_width": "6rem"}}
    slider = ipywidgets.SelectionSlider(value=size, options=list(sizes), description=name, **wide)

    def timed(**chosen: int) -> Any:
        start = time.perf_counter()
        result = run(chosen[name])
        print(f"{name} = {chosen[name]:,} on {default_device()}: {time.perf_counter() - start:.1f} s")
        if isinstance(result, Figure):
            plt.close(result)  # it is displayed as the result, and not once more as a figure left open
        return result

    return ipywidgets.interactive(timed, {"manual": True, "manual_name": "Run"}, **{name: slider})


class StaticExperiment:
    """What stands in a page for the slider and the button."""

    def __init__(self, name: str, sizes: Sequence[int], size: int) -> None:
        self.text = (
            f"In a notebook a slider stands here, {name} from {min(sizes):,} to {max(sizes):,}, and a button "
            f"that runs this experiment on your device. This page ran it with {size:,}."
        )

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<p class="rv-in-notebook">{html.escape(self.text)}</p>'
