"""What a search for paths refuses, and what it says before it starts and after it has ended."""

import time
import warnings

import torch
from torch import Tensor

from riemvae_core.paths.forms import Conformal, Dense, call_metric

MOST_BYTES = 2**33  # for the dense matrices of one pair
MUCH_WORK = 1e12  # multiplications, in all matrices that a search might ask for
MANY_NUMBERS = 1e8  # coordinates of all points that a search might ask for
LONG = 120.0  # seconds
LOOKED_AT = 16  # ends whose metric is looked at beforehand


class PathWarning(UserWarning):
    """Paths that did not converge, or that may take long to find.

    Example:
        >>> import warnings
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> a, b = torch.tensor([[-4.0, 1.0], [4.0, 1.0]])
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always", rc.PathWarning)
        ...     path = rc.geodesic(HalfPlaneMetric(), a, b, max_steps=2)
        >>> path.converged, caught[-1].category is rc.PathWarning
        (tensor(False), True)
    """


def check_form(form: Dense, a: Tensor, b: Tensor, points: int) -> None:
    """ValueError where dense matrices are too large, or the metric at some ends ``[pairs, d]`` is none."""
    d = a.shape[1]
    if isinstance(form, Conformal):
        return
    size = 8 * (points - 1) * form.numbers(d) * a.element_size()
    if size > MOST_BYTES:
        raise ValueError(
            f"metric must be given by its log_diagonal, or d be smaller, got dense {d} x {d} matrices: one "
            f"pair takes {size / 2**30:,.0f} GiB at {points} points. A low_cost_path needs no matrices"
        )
    if d > 2048:
        return
    for name, ends in (("a", a[:LOOKED_AT]), ("b", b[:LOOKED_AT])):
        g, slim = call_metric(form.metric, ends), form.at(ends)
        if slim.ndim == 2:
            slim = torch.diag_embed(slim)
        for row, (matrix, own) in enumerate(zip(g, slim, strict=True)):
            if not bool(torch.isfinite(matrix).all()):
                continue  # some start may still be finite; the search tells
            _check_matrix(f"at {name}, pair {row}", matrix, own)


def _check_matrix(where: str, matrix: Tensor, own: Tensor) -> None:
    scale = matrix.abs().amax()
    if bool((matrix - own).abs().amax() > 1e-3 * scale):
        raise ValueError(f"metric must be diagonal where it has a log_diagonal, got other matrices {where}")
    if bool((matrix - matrix.mT).abs().amax() > 1e-3 * scale):
        raise ValueError(f"metric must be symmetric, got one that isn't {where}")
    least = torch.linalg.eigvalsh(matrix)[0] if own is matrix or len(own) <= 256 else matrix.diagonal().amin()
    if bool(least < -1e-3 * scale):
        raise ValueError(
            f"metric must be positive semidefinite, got an eigenvalue {least.item():.3g} {where}"
        )


class Clock:
    """Times the first evaluation of a large search, and warns where the whole of it may take long."""

    def __init__(self, form: Dense, pairs: int, d: int, points: int, max_steps: int, starts: int) -> None:
        self.evaluations = max_steps * starts
        dense = form.numbers(d) > d
        work = pairs * points * self.evaluations * (3.0 * d**3 if dense else 0.0)
        self.large = work > MUCH_WORK or 2 * pairs * points * d * self.evaluations > MANY_NUMBERS
        self.what = f"{pairs} pair{'s' * (pairs > 1)} in {d} dimensions" + (
            f" with dense {d} x {d} matrices" if dense else ""
        )

    def __call__(self, evaluate) -> None:
        if not self.large:
            return
        evaluate(), (began := time.perf_counter()), evaluate()
        seconds = self.evaluations * (time.perf_counter() - began)
        if seconds > LONG:
            warnings.warn(
                f"{self.what}: up to {self.evaluations} evaluations of energy and gradient, at most about "
                f"{seconds / 60:.0f} minutes; max_steps bounds it",
                PathWarning,
                stacklevel=5,
            )


def tell(name: str, converged: Tensor, spent: Tensor, advice: str) -> None:
    """Warn of paths that did not converge: how many of how many, which, and what to do."""
    missed = (~converged.flatten()).nonzero().flatten().tolist()
    if missed:
        of, cut = converged.numel(), int((spent.flatten() & ~converged.flatten()).sum())
        rows = ", ".join(str(k) for k in missed[:8]) + (
            f" and {len(missed) - 8} more" if len(missed) > 8 else ""
        )
        warnings.warn(
            f"{name}: {len(missed)} of {of} pairs did not converge ({rows}), {cut} of them cut short. "
            f"{advice}",
            PathWarning,
            stacklevel=4,
        )
