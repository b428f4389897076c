"""How much more likely a law finds a code for having seen it: the K-fold memorization score."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number


def memorization(
    fit: Callable[[Int[Tensor, " m"]], Callable[[Float[Tensor, "k d"]], Float[Tensor, " k"]]],
    codes: Float[Tensor, "n d"],
    folds: int = 5,
    generator: torch.Generator | None = None,
    most: int = 500,
) -> Float[Tensor, " k"]:
    r"""Of each code, its log density under laws that saw it less that under the one that did not, in nats.

    Codes are dealt into folds, and ``fit`` makes a law of all folds but one: given the numbers of the codes
    it may see, it returns a log density. The score is the mean log density over the laws of the other folds
    minus that of the code's own fold. It is 0 for a law that learns nothing from a single code; codes of
    large score are those that its draws may give away. Van den Burg and Williams (2021), section 3.

    Of more than ``most`` codes so many are asked, by chance; laws are made of all. Returns their scores.
    Raises ValueError for fewer than 2 folds or fewer codes than folds.

    Example:
        >>> from riemvae_core.scores import memorization
        >>> codes = torch.randn(200, 2, generator=rc.make_generator(0))
        >>> def copier(rows):
        ...     return rc.fit_law(codes[rows], kind="isotropic", widths={"h": 0.01}).log_prob
        >>> memorization(copier, codes).median().item() > 3.0
        True
    """
    check_number(2, whole=True, folds=folds)
    check_number(1, whole=True, most=most)
    check_finite(codes=codes)
    n = len(codes)
    if codes.ndim != 2 or n < folds:
        raise ValueError(f"codes must be [n, d] with n at least folds ({folds}), got {list(codes.shape)}")
    source = torch.device("cpu") if generator is None else generator.device
    order = torch.randperm(n, generator=generator, device=source).to(codes.device)
    fold = torch.empty(n, dtype=torch.long, device=codes.device)
    fold[order] = torch.arange(n, device=codes.device) % folds
    asked = order[:most]
    logs = torch.stack([fit((fold != k).nonzero()[:, 0])(codes[asked]) for k in range(folds)]).double()
    own = fold[asked][None]
    unseen = logs.gather(0, own)[0]
    return (logs.sum(0) - unseen) / (folds - 1) - unseen
