"""How much more likely a law finds a code for having seen it: the K-fold memorization score."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.numerics import check_finite, check_floats, check_number


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

    A law may give no density to a code, minus infinity: the score is infinite where that is so of the one law
    that didn't see the code and of none that did, minus infinity where it is so of one that did alone, and 0
    where it is so on both sides, since seeing the code was then no use.

    Of more than ``most`` codes so many are asked, by chance; laws are made of all. Returns their scores.
    Raises ValueError for fewer than 2 folds, fewer codes than folds, and a ``fit`` that returns no such law.

    Example:
        >>> from riemvae_core.scores import memorization
        >>> codes = torch.randn(200, 2, generator=rc.make_generator(0))
        >>> def copier(rows):
        ...     return rc.fit_law(codes[rows], kind="isotropic", widths={"h": 0.01}).log_prob
        >>> memorization(copier, codes).median().item() > 3.0
        True
    """
    if not callable(fit):
        raise ValueError(f"fit must be a function from rows to a log density, got {type(fit).__name__}")
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
    laws = (fit((fold != k).nonzero()[:, 0]) for k in range(folds))
    logs = torch.stack([_log_densities(law, codes[asked]) for law in laws]).double()
    own = fold[asked][None]
    unseen = logs.gather(0, own)[0]
    seen = logs.scatter(0, own, 0.0).sum(0) / (folds - 1)  # a sum less its own part is inf - inf where it is
    return torch.where(seen == unseen, 0.0, seen - unseen)


def _log_densities(law: Any, codes: Float[Tensor, "k d"]) -> Float[Tensor, " k"]:
    """A law's log densities of codes, once it is seen to be one."""
    if not callable(law):
        raise ValueError(f"fit must return a function from codes to log densities, got {type(law).__name__}")
    logs = law(codes)
    check_floats(**{"what fit's function returns": logs})
    if logs.shape != codes.shape[:1]:
        raise ValueError(f"fit's function must return [{len(codes)}], one a code, got {list(logs.shape)}")
    if len(bad := (~(logs < math.inf)).nonzero()):
        raise ValueError(
            f"fit's function must return log densities that are numbers or -inf, got {logs[bad[0]].item()} "
            f"at code {codes[bad[0, 0]].tolist()}"
        )
    return logs
