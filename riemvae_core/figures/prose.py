"""Numbers on their way from a cell into the text."""

import os
from typing import Any


def say(**values: Any) -> None:
    """Give values to the chapter's text: ``say(far_ae=0.4)`` is quoted as ``{glue:text}`far-ae:.2f```.

    Underscores become hyphens. Nothing is shown where it is called, and outside the book's own build nothing
    happens: the text of a notebook has its numbers already.

    Example:
        >>> from riemvae_core.figures import say
        >>> say(far_ae=0.4)
    """
    if "RIEMVAE_BOOK" not in os.environ:
        return
    from myst_nb import glue

    for name, value in values.items():
        glue(name.replace("_", "-"), value, display=False)
