"""A wrong answer to each exercise in code: the book's own, but for one thing that readers get wrong.

Each entry says what the answer has in place of what, and why one might write that. `make test-grading` hands
them in; no student gets this file.
"""

from typing import NamedTuple


class Slip(NamedTuple):
    """A piece of the solution, what a wrong answer has there, and why one might write that."""

    right: str
    wrong: str
    why: str

    def answer(self, solution: str) -> str:
        """The solution's lines with the slip in them."""
        if self.right not in solution:
            raise ValueError(f"the solution must hold {self.right!r}, got {solution!r}")
        return solution.replace(self.right, self.wrong)


SLIPS = {
    "ex-gap-grid": Slip(
        "log_posterior", "log_joint", "the joint law for the posterior: that is minus the bound"
    ),
    "ex-cover": Slip(".sum().sqrt()", ".sum()", "the variance for the standard deviation"),
    "ex-inside": Slip("log_var.exp()", "(2 * log_var).exp()", "log_var read as the log of sigma"),
    "ex-limit": Slip(
        "images.flatten(1)[torch.cdist(z, mu).argmin(1)]",
        "torch.softmax(-torch.cdist(z, mu).square() / 2, 1) @ images.flatten(1)",
        "balls of radius one in place of the limit",
    ),
    "ex-two": Slip("/ log_var_b.exp()", "/ log_var_a.exp()", "the shift in the radii of the wrong ball"),
    "ex-water": Slip(".clamp(min=0)", "", "an axis under the water gets a negative rate"),
    "ex-baseline": Slip(
        "(values * eps.square()).sum() / eps.square().sum()", "values.mean()", "the mean of the errors"
    ),
    "ex-diagonal": Slip("torch.eye(jacobian.shape[1]) + ", "", "the prior's share is forgotten"),
    "ex-ema": Slip("sums / moved[:, None]", "sums / counts[:, None]", "divided by the old counts"),
    "ex-fsq": Slip(
        "rc.straight_through(squashed, squashed.round())", "squashed.round()", "no gradient goes through"
    ),
    "ex-logs": Slip("- log_var", "+ log_var", "the metric is the inverse variance, not the variance"),
    "ex-neighbors": Slip("gap.square() / log_var.exp()", "gap.square()", "the Euclidean distance"),
    "ex-leapfrog": Slip("momentum + 0.5", "momentum - 0.5", "the force points up the hill"),
    "ex-agree": Slip("torch.cat(chains.chunk(2, dim=1))", "chains", "the chains are not cut"),
    "ex-volume": Slip(" - math.log(len(z))", "", "the sum for the mean"),
    "ex-next": Slip(
        "(step, high) if enough else (low, step)",
        "(low, step) if enough else (step, high)",
        "the bisection keeps the wrong half",
    ),
    "ex-polygon": Slip("len(step) * squares", "squares", "the pieces' time is forgotten"),
    "ex-acceleration": Slip("0.5 * slope", "slope", "the half of the Christoffel symbols is forgotten"),
    "ex-frechet": Slip("- 2 * eigen", "- eigen", "the root is taken off once"),
    "ex-tune": Slip(
        " - codes.shape[1] * h.log()", "", "the kernel's volume is forgotten: the widest always wins"
    ),
    "ex-shuffled": Slip(
        "log_var[whose]", "log_var[order]", "any permutation: some images keep their own ball"
    ),
    "ex-auroc": Slip(" + 0.5 * (gap == 0).double()", "", "a tie counts nothing"),
    "ex-idle": Slip("(d - mu.shape[1])", "d", "the axes in use are counted among the idle ones"),
    "ex-own": Slip(
        "softmax(log_density, 1)", "softmax(log_density, 0)", "shares among the places, not the balls"
    ),
}
