"""Numbers on their way from a cell into the text."""

from typing import Any


def say(**values: Any) -> None:
    """Give values to the chapter's text: ``say(far_ae=0.4)`` is quoted as ``{glue:text}`far-ae:.2f```.

    Underscores become hyphens. Nothing is shown where it is called. Needs MyST-NB, as the book does.

    Example:
        >>> from unittest.mock import patch
        >>> from riemvae_core.figures import say
        >>> with patch("myst_nb.glue") as glue:
        ...     say(far_ae=0.4)
        >>> glue.call_args.args
        ('far-ae', 0.4)
    """
    from myst_nb import glue

    for name, value in values.items():
        glue(name.replace("_", "-"), value, display=False)
