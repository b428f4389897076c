"""Chapter 0's live figure: a Gaussian q beside the exact posterior of a small world, and its bound."""

import functools
import math

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import FIELD_COLORS, field_colors
from riemvae_core.figures.widgets.checks import one_of, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module

CURVE = (0.8, 0.3)  # of the decoder g(z) = 0.8 z^2 + 0.3 z
OBSERVED = (0.0, 0.6, 1.6)  # posteriors of one hill, of two that overlap, of two apart
FRAME = {"center": [0.0, -1.0], "half": 2.5}  # of mu to the side and log sigma upwards
RANGE = (-6.0, 0.0)
STILL_GRID = 60


def split_price(x: float, mu: Tensor, log_var: Tensor) -> dict[str, Tensor]:
    r"""$\pi\,\mathbb E_q(x-g(z))^2$, $\mathrm{KL}(q\Vert p)$ and their sum, in nats, for $q=N(\mu,\sigma^2)$.

    The prior $p$ is $N(0,1)$. Closed, since $g$ is a polynomial. Derived in chapter 0.
    """
    a, b = CURVE
    var = log_var.exp()
    mean, slope = a * (mu.square() + var) + b * mu, 2 * a * mu + b
    reconstruction = math.pi * ((x - mean).square() + slope.square() * var + 2 * (a * var).square())
    kl = 0.5 * (mu.square() + var - 1 - log_var)
    return {"reconstruction": reconstruction, "kl": kl, "price": reconstruction + kl}


def log_joint(x: float, z: Tensor) -> Tensor:
    """The logarithm of prior times likelihood, in nats; the noise has variance 1 / (2 pi)."""
    a, b = CURVE
    return -0.5 * (z.square() + math.log(2 * math.pi)) - math.pi * (x - a * z.square() - b * z).square()


@functools.cache
def surprisal(x: float) -> float:
    """Minus log p(x) in nats, by a sum over the line."""
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64, device="cpu")
    return -float(torch.logsumexp(log_joint(x, z), 0) + math.log(16 / 1600))


def parts(x: float, mu: float, log_var: float) -> dict[str, float]:
    """What the figure says of a q, in nats."""
    numbers = torch.tensor([mu, log_var], dtype=torch.float64, device="cpu")
    found = {name: float(value) for name, value in split_price(x, *numbers).items()}
    return found | {"surprisal": surprisal(x), "gap": found["price"] - surprisal(x)}


@functools.cache
def best(x: float) -> dict[str, float]:
    """The Gaussian with the lowest price, on a fine grid of the figure's frame."""
    mu, log_sigma = _grid(500)
    prices = split_price(x, mu, 2 * log_sigma)["price"]
    at = int(prices.argmin())
    return {
        "mu": round(float(mu.flatten()[at]), 3),
        "log_var": round(2 * float(log_sigma.flatten()[at]), 3),
    }


def _grid(n: int) -> tuple[Float[Tensor, "n n"], Float[Tensor, "n n"]]:
    """Midpoints of cells over the frame, row by row from the top: mu and log sigma."""
    half = FRAME["half"]
    ticks = (torch.arange(n, dtype=torch.float64, device="cpu") + 0.5) * (2 * half / n) - half
    mu, down = torch.meshgrid(ticks + FRAME["center"][0], ticks, indexing="xy")
    return mu, FRAME["center"][1] - down


def bound(see: str = "", try_this: str = ""):
    """A Gaussian over the landscape of its bound: what it costs, and how far that is above −log p(x).

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``x`` (the picture, one number), ``mu`` and ``log_var`` (of the Gaussian) are read, set and
    observed; ``parts`` is read and observed.
    Stands in chapter 0. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.bound()
        >>> shown.mu, shown.log_var = 0.0, 0.0  # q is the prior
        >>> shown.parts["kl"], shown.parts["gap"] > 0
        (0.00, True)
    """
    props = _props()
    return figure("bound", Bound, props, lambda: _still(props), see, try_this)


def _props() -> dict:
    x = OBSERVED[-1]
    return {
        "curve": list(CURVE),
        "observed": list(OBSERVED),
        "colors": FIELD_COLORS,
        "frame": FRAME,
        "range": list(RANGE),
        "best": [best(one) for one in OBSERVED],
        "start": {"x": x, **best(x)},
    }


class Bound(LiveFigure):
    """The figure in a notebook; its traits are described in ``bound``."""

    _esm = notebook_module("bound")
    x = traitlets.Float(help="the picture").tag(sync=True)
    mu = traitlets.Float(help="the mean of q").tag(sync=True)
    log_var = traitlets.Float(help="the log of q's squared width").tag(sync=True)
    parts = traitlets.Dict(help="what q costs, in nats", read_only=True)

    def __init__(self, props: dict) -> None:
        super().__init__(props, [props["colors"]], **props["start"])
        self._write_parts()

    @traitlets.validate("x")
    def _check_x(self, proposal) -> float:
        return one_of("x", proposal["value"], OBSERVED)

    @traitlets.validate("mu")
    def _check_mu(self, proposal) -> float:
        return within("mu", proposal["value"], -FRAME["half"], FRAME["half"])

    @traitlets.validate("log_var")
    def _check_log_var(self, proposal) -> float:
        low, high = (2 * (FRAME["center"][1] + sign * FRAME["half"]) for sign in (-1, 1))
        return within("log_var", proposal["value"], low, high)

    @traitlets.observe("x", "mu", "log_var")
    def _follow(self, _change) -> None:
        self._write_parts()

    def _write_parts(self) -> None:
        self.set_trait("parts", parts(self.x, self.mu, self.log_var))


def _still(props: dict) -> str:
    start = props["start"]
    now, sigma = parts(**start), math.exp(0.5 * start["log_var"])
    plane = stills.Plane(40.0, 10.0, 400.0, tuple(FRAME["center"]), FRAME["half"])
    mu, log_sigma = _grid(STILL_GRID)
    values = surprisal(start["x"]) - split_price(start["x"], mu, 2 * log_sigma)["price"]
    z = torch.linspace(-3, 3, 241, dtype=torch.float64, device="cpu")
    posterior = (log_joint(start["x"], z) + surprisal(start["x"])).exp()
    q = (-0.5 * ((z - start["mu"]) / sigma).square()).exp() / (sigma * math.sqrt(2 * math.pi))
    lines = [
        f"picture x = {start['x']:g}; q: mean {stills.number(start['mu'])}, width {stills.number(sigma)}",
        f"error {stills.number(now['reconstruction'])} + KL(q ‖ p) {stills.number(now['kl'])}",
        f"= −log p(x) {stills.number(now['surprisal'])} + gap {stills.number(now['gap'])}",
        f"= price {stills.number(now['price'])} nats",
    ]
    label = (
        f"The bound of a Gaussian q as a landscape over its mean and log width. {'; '.join(lines)}. "
        "Beside it the exact posterior, which has two hills, and q, which covers one of them."
    )
    return stills.still(
        760, 440, label, plane.field(values, *RANGE, field_colors()),
        *(stills.text(40 + 200 * k, 425, f"μ = {stills.number(FRAME['half'] * (k - 1), 1)}", where)
          for k, where in enumerate(("start", "middle", "end"))),
        stills.text(48, 30, f"ln σ = {stills.number(FRAME['center'][1] + FRAME['half'], 1)}").replace(
            "<text ", '<text fill="#FFFFFF" '),
        plane.handle((start["mu"], 0.5 * start["log_var"])),
        _curve(z, posterior, "data"), _curve(z, q, "posterior"),
        *(stills.text(470, 270 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip


def _curve(z: Tensor, density: Tensor, color: str) -> str:
    """A density over z from -3 to 3, in the right half of the still picture."""
    places = zip((470 + (z + 3) * 45).tolist(), (220 - 85 * density).tolist(), strict=True)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="var(--rv-{color})" stroke-width="2"/>'
