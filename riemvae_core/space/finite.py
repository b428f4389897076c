"""NaN and infinity among what a model returned: which item they came from, and how that item is unusual."""

import torch
from torch import Tensor


def check_finite(
    x: Tensor, part: str, source: Tensor, item: str, first: int = 0, others: Tensor | None = None
) -> None:
    """Raise ValueError where a model returned NaN or infinity; it names the first row, and its source.

    part: what returned what, as ``encode mu``; ``item``: what a row stands for; ``first``: number of row 0;
    ``others``: further rows of the source, to compare the bad one's values with.
    """
    if torch.isfinite(x.sum()) or torch.isfinite(x).all():  # a sum is the cheaper look, and may overflow
        return
    function, what = part.split()
    bad = ~torch.isfinite(x).flatten(1) if x.ndim > 1 else ~torch.isfinite(x)[:, None]
    row = int(bad.any(1).nonzero()[0])
    hint = ""
    if source.is_floating_point():
        good = source[~bad.any(1)]
        good = good if others is None or len(good) else others
        own = torch.isfinite(source[row]).all()
        hint = _ranges(source[row], good, item) if own else ", which itself is not finite"
    raise ValueError(
        f"{function} must return finite numbers, got {int(bad.sum())} in {what} that are not, the first of "
        f"them for {item} {first + row} (counted from 0){hint}"
    )


def _ranges(own: Tensor, others: Tensor, item: str) -> str:
    """How an item's values lie to those of others, and what to do about it."""
    low, high = own.aminmax()
    values = f", whose values go from {low:.4g} to {high:.4g}"
    if item != "item":
        return values
    if not len(others):
        return f"{values}: see the model's weights, and the range that it was trained on"
    least, most = others.aminmax()
    values += f", those of others from {least:.4g} to {most:.4g}"
    far = torch.maximum(high - most, least - low) > 0.5 * (most - least)
    bytes_among = bool(far) and most <= 1 and 1 < high <= 255
    into = "divide it by 255, or " if bytes_among else "bring it into their range, or " if far else ""
    into = into or "see whether this is the range that the model was trained on, or "
    return f"{values}: {into}leave it out"
