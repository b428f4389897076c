"""What is seen: the style of plots, live figures and their panels, checks of exercises, numbers for the text.

May import: every other room; none imports this one, so the core needs neither matplotlib nor ipywidgets.
Begin with ``plotting`` for still pictures, ``widgets`` for live ones: a figure is a Python file there and
a JavaScript one under ``widgets/js`` (``mathematics`` knows no page, ``stage`` draws, ``figures`` join them).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riemvae_core.figures import drawings, exercises, plotting, sampler_drawings, widgets
    from riemvae_core.figures.exercises import check
    from riemvae_core.figures.prose import say

__all__ = ["check", "drawings", "exercises", "plotting", "sampler_drawings", "say", "widgets"]

_FROM = {"check": "exercises", "say": "prose"}


def __getattr__(name: str) -> Any:
    """What draws is loaded when it is asked for, so that a check of an exercise needs no matplotlib."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_FROM.get(name, name)}")
    return getattr(module, name) if name in _FROM else module
