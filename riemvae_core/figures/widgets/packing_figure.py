"""Chapter 2's live figure: the balls at any beta and epoch; move one, change its radii, read its bill."""

from typing import NamedTuple

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls import kl_barrier, kl_pull
from riemvae_core.data import class_names
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import SNAPSHOTS, probes, probes_name, trained
from riemvae_core.figures.widgets.checks import one_of, pair, probe_index
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.models import VAE, zoo
from riemvae_core.numerics import make_generator

START_BETA = 1.0
START_CLASS = 8  # a bag: its ball has room around it
HALF = 4.0


class Bill(NamedTuple):
    """What a ball costs, in squared error summed over pixels.

    Reconstruction and total are None at epochs whose decoder isn't kept.
    """

    reconstruction: float | None
    pull: float
    barrier: float
    total: float | None


def expected_squared_error(
    model: VAE, x: Float[Tensor, "c h w"], mu: Float[Tensor, " d"], log_var: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    r"""$E\|x-g(\mu+\sigma\odot\epsilon)\|^2$ over $\epsilon\sim N(0,I)$, by 5 x 5 Gauss-Hermite nodes."""
    nodes, weights = (
        torch.as_tensor(v, dtype=mu.dtype, device=mu.device) for v in np.polynomial.hermite_e.hermegauss(5)
    )
    eps, weight = torch.cartesian_prod(nodes, nodes), torch.cartesian_prod(weights, weights).prod(-1)
    with torch.no_grad():
        decoded = model.decode(mu + torch.exp(0.5 * log_var) * eps)
    return (weight / weight.sum() * (x - decoded).square().flatten(1).sum(-1)).sum()


def bill(beta: float, epoch: int, selected: int, mu: list[float], log_var: list[float]) -> Bill:
    r"""The bill of a probe image's ball under the model of a beta; reconstruction only at the last epoch.

    $\beta\,\tfrac12|\mu|^2$ and $\beta\,\tfrac12\sum_k(\sigma_k^2-1-\log\sigma_k^2)$, in squared error summed
    over pixels. Derived in chapter 2. Raises ValueError for a beta outside the sweep (at the last epoch).

    Example:
        >>> from riemvae_core.figures import widgets
        >>> widgets.bill(beta=0.3, epoch=0, selected=0, mu=[1.0, 2.0], log_var=[0.0, 0.0])
        Bill(reconstruction=None, pull=0.75, barrier=0.00, total=None)
    """
    center, radii = torch.tensor([mu, log_var], device="cpu")
    pull, barrier = (
        beta * float(kl_pull(center)),
        beta * float(kl_barrier(radii)),
    )
    if epoch != epochs()[-1]:
        return Bill(None, pull, barrier, None)
    image = probes("fashion").images[selected]
    error = float(expected_squared_error(trained(zoo.beta_name(beta)), image, center, radii))
    return Bill(error, pull, barrier, error + pull + barrier)


def epochs() -> tuple[int, ...]:
    """The epochs at which the sweep keeps its balls."""
    return zoo.recipe(zoo.beta_name(zoo.BETAS[0])).snapshots


def packing(see: str = "", try_this: str = ""):
    """The balls of 240 test images at each beta and epoch, and the bill of one of them.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``beta``, ``epoch``, ``selected``, ``mu`` and ``log_var`` are read, set and observed; ``bill`` is
    read and observed. A new beta, epoch or ball puts the ball where training left it.
    Stands in chapter 2. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.packing()
        >>> shown.beta = 0.3
        >>> shown.bill.total - (shown.bill.reconstruction + shown.bill.pull + shown.bill.barrier)
        0.00
    """
    props = _props()
    return figure("packing", Packing, props, lambda: _still(props), see, try_this)


def _props() -> dict:
    draws = torch.randn(4, 2, generator=make_generator(3), device="cpu")
    return {
        "probes": probes_name("fashion"),
        "snapshots": SNAPSHOTS,
        "decoders": [zoo.beta_name(beta) for beta in zoo.BETAS],
        "betas": list(zoo.BETAS),
        "epochs": list(epochs()),
        "classes": list(class_names("fashion")),
        "side": probes("fashion").images.shape[-1],
        "draws": [[round(v, 3) for v in row] for row in draws.tolist()],
        "start": {
            "beta": START_BETA,
            "epoch": epochs()[-1],
            "selected": START_CLASS * zoo.PROBES_PER_CLASS,
        },
    }


class Packing(LiveFigure):
    """The figure in a notebook; its traits are described in ``packing``."""

    _esm = notebook_module("packing")
    beta = traitlets.Float().tag(sync=True)
    epoch = traitlets.Int().tag(sync=True)
    selected = traitlets.Int(help="which of the 240 probe images").tag(sync=True)
    mu = traitlets.List(help="the selected ball's center").tag(sync=True)
    log_var = traitlets.List(help="the logs of its squared radii").tag(sync=True)
    bill = traitlets.Instance(Bill, help="squared error summed over pixels", read_only=True, allow_none=True)

    def __init__(self, props: dict) -> None:
        names = [props["probes"], props["snapshots"], *props["decoders"]]
        mu, log_var = trained_ball(**props["start"])
        super().__init__(props, names, mu=mu, log_var=log_var, **props["start"])
        self._write_bill()

    @traitlets.validate("beta")
    def _check_beta(self, proposal) -> float:
        return one_of("beta", proposal["value"], zoo.BETAS)

    @traitlets.validate("epoch")
    def _check_epoch(self, proposal) -> int:
        return one_of("epoch", proposal["value"], epochs())

    @traitlets.validate("selected")
    def _check_selected(self, proposal) -> int:
        return probe_index("selected", proposal["value"])

    @traitlets.validate("mu", "log_var")
    def _check_pair(self, proposal) -> list[float]:
        return pair(proposal["trait"].name, proposal["value"])

    @traitlets.observe("beta", "epoch", "selected")
    def _put_back(self, _change) -> None:
        self.mu, self.log_var = trained_ball(self.beta, self.epoch, self.selected)
        self._write_bill()

    @traitlets.observe("mu", "log_var")
    def _reprice(self, _change) -> None:
        self._write_bill()

    def _write_bill(self) -> None:
        self.set_trait("bill", bill(self.beta, self.epoch, self.selected, self.mu, self.log_var))


def trained_ball(beta: float, epoch: int, selected: int) -> tuple[list[float], list[float]]:
    """Where training left a probe image's ball: center and log squared radii."""
    run = zoo.snapshots(zoo.beta_name(beta))
    t = run.epochs.index(epoch)
    return run.mu[t, selected].tolist(), run.log_var[t, selected].tolist()


def _still(props: dict) -> str:
    start = props["start"]
    run = zoo.snapshots(zoo.beta_name(start["beta"]))
    mu, log_var = trained_ball(**start)
    price = bill(**start, mu=mu, log_var=log_var)
    image = probes("fashion").images[start["selected"]]
    with torch.no_grad():
        decoded = trained(zoo.beta_name(start["beta"])).decode(torch.tensor([mu], device="cpu"))[0]
    plane = stills.Plane(40.0, 10.0, 400.0, (0.0, 0.0), HALF)
    x, y = plane.at((0.0, 0.0))
    state = f"β = {start['beta']:g}, epoch {start['epoch']}"
    parts = [
        f"reconstruction {stills.number(price.reconstruction)}",
        f"β × pull {stills.number(price.pull)}",
        f"β × barrier {stills.number(price.barrier)}",
        f"total {stills.number(price.total)}",
    ]
    lines = [f"{state}, a {props['classes'][START_CLASS]}", *parts]
    label = f"240 balls around the prior's unit circle at {state}; the bill of one: {', '.join(parts)}"
    return stills.still(
        740, 440, label, plane.frame(), plane.balls(run.mu[-1], run.log_var[-1]),
        f'<circle cx="{x}" cy="{y}" r="{plane.scale}" fill="none" stroke="var(--rv-prior)"/>',
        plane.handle(mu),
        stills.picture(470, 10, 120, image, "the image"),
        stills.picture(610, 10, 120, decoded, "decoded center"),
        *(stills.text(470, 190 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip
