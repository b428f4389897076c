r"""Learned laws: a normalizing flow and a flow matched to straight lines, both with zuko's transforms."""

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.balls import LOG_2PI
from riemvae_core.laws.law import SEARCHED, Choice, Codes, Family, Parts, Widths, centers, score, units
from riemvae_core.numerics import chunks, make_generator, seeded_weights, standard_normal, standard_uniform

#: rules stated beforehand: layers, width, rate and batch; how often and how long the held-out codes are asked
SPLINES = {"transforms": 3, "hidden_features": (64, 64), "bins": 8}
WIDTH, RATE, BATCH = 128, 2e-3, 128
ASKED = {"flow": tuple(range(2, 301, 2)), "flow matching": (25, 50, 100, 200, 400, 800, 1600)}
PATIENCE = {"flow": 8, "flow matching": 2}


def zuko() -> ModuleType:
    """The package of flows, or ImportError with what installs it."""
    try:
        import zuko as package
    except ModuleNotFoundError as error:
        raise ImportError(
            "kinds flow and flow matching need the package zuko: pip install 'riemvae-core[flows]'"
        ) from error
    return package


class Velocity(nn.Module):
    """How fast a point moves at a time, for flow matching: three layers on the point, time and its waves."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d + 3, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, d)
        )

    def forward(self, time: Tensor, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The velocity at points z and a time, one for all or one a row."""
        time = time.reshape(-1, 1).expand(len(z), 1)
        return self.layers(torch.cat([z, time, (math.pi * time).sin(), (math.pi * time).cos()], 1))


def _splines(d: int) -> Any:
    with seeded_weights(0):
        return zuko().flows.NSF(d, **SPLINES)


def _velocity(d: int) -> Velocity:
    zuko()
    with seeded_weights(0):
        return Velocity(d)


def _unlikely(flow: Any, x: Tensor, generator: torch.Generator) -> Tensor:
    return -flow().log_prob(x).mean()


def _missed(velocity: Velocity, x: Tensor, generator: torch.Generator) -> Tensor:
    """The flow matching loss of Lipman et al. (2023): velocities on straight lines from noise to codes."""
    noise = standard_normal(x.shape, x, generator)
    t = standard_uniform((len(x), 1), x, generator)
    return (velocity(t, (1.0 - t) * noise + t * x) - (x - noise)).square().sum(1).mean()


def _spline_parts(flow: Any, like: Tensor) -> Parts:
    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return flow().transform.inv(standard_normal((n, like.shape[1]), like, generator))

    return Parts(draw, lambda x: flow().log_prob(x))


def _matched_parts(velocity: Velocity, like: Tensor) -> Parts:
    transforms = zuko().transforms

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        path = transforms.FreeFormJacobianTransform(velocity, 0.0, 1.0, atol=1e-5)
        return path(standard_normal((n, like.shape[1]), like, generator))

    def density(x: Tensor) -> Tensor:
        noise, log_det = transforms.FreeFormJacobianTransform(velocity, 1.0, 0.0, atol=1e-5).call_and_ladj(x)
        return log_det - 0.5 * (noise.square() + LOG_2PI).sum(1)

    return Parts(draw, density)


MADE: dict[str, tuple[Callable, Callable, Callable]] = {
    "flow": (_splines, _unlikely, _spline_parts),
    "flow matching": (_velocity, _missed, _matched_parts),
}


def _trained(kind: str, codes: Codes) -> Iterator[Parts]:
    """The law after each epoch, in the units of the codes; training goes on as it is asked for."""
    net, loss, parts = MADE[kind]
    center, unit = centers(codes.mu), units(codes.mu)
    x = ((codes.mu - center) / unit).float()
    model, generator = net(x.shape[1]).to(x.device), make_generator(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    inner = parts(model, x)

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return center + unit * inner.sample(n, generator).detach().to(codes.mu)

    def density(z: Tensor) -> Tensor:
        rows = chunks(len(z), 4096 * z.shape[1], 2**26)
        done = [inner.log_prob(((z[s] - center) / unit).float()).detach().to(z) for s in rows]
        return torch.cat(done) - unit.log().sum() if done else z.new_zeros(0)

    while True:
        order = torch.randperm(len(x), generator=generator, device="cpu").to(x.device)
        with torch.enable_grad():
            for batch in order.split(BATCH):
                optimizer.zero_grad()
                loss(model, x[batch], generator).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
        yield Parts(draw, density)


def _make(kind: str) -> Callable[[Codes, Widths], Parts]:
    def make(codes: Codes, widths: Widths) -> Parts:
        epochs, law = int(widths["epochs"]), _trained(kind, codes)
        for _ in range(epochs - 1):
            next(law)
        return next(law)

    return make


def _choose(kind: str) -> Callable[[Codes, Tensor], Choice]:
    def choose(codes: Codes, held: Tensor) -> Choice:
        """Epochs by held-out likelihood: training ends once it has not risen for a while."""
        law, asked, rows = _trained(kind, codes), ASKED[kind], []
        some = held[:SEARCHED]
        for epoch in range(1, asked[-1] + 1):
            parts = next(law)
            if epoch not in asked:
                continue
            with torch.no_grad():
                rows.append(({"epochs": epoch}, score(parts, some)))
            best = max(range(len(rows)), key=lambda i: rows[i][1])
            if len(rows) - 1 - best >= PATIENCE[kind]:
                break
        return Choice(*rows[best], tuple(rows))

    return choose


FLOWS = {kind: Family(("epochs",), _make(kind), _choose(kind)) for kind in MADE}
