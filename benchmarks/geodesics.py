r"""Our geodesics beside stochman's and geomstats', on the half-plane and on a decoder: one table, one JSON.

    python benchmarks/geodesics.py [half-plane decoder balls] [--before FOLDER]

Half-plane: from (-a, 1) to (a, 1) for a = 1, 2, 4, where the length is arccosh(1 + 2 a^2). Decoder: eight
pairs of codes of test images in ``digits-vae-2d``, where no length is known and each is divided by the
shortest found. Every curve is measured by the same ``curve_length`` as a polyline: ours by its 64 points, a
peer's by 1,000 points of its spline or by all its nodes. Float64. We take all pairs of a world in one call,
the peers one after the other.

``stochman`` and ``geomstats`` are as they come (5 nodes and 150 steps of Adam; 100 nodes and L-BFGS-B);
``stochman, patient`` has 16 nodes, 64 points and up to 2,000 steps. A peer's "converged" is its own word:
stochman's largest gradient below 1e-4, L-BFGS-B's success.

Balls, the one part that needs no peers: 20 pairs among the 500 balls of ``fashion-vae-16d``, which no peer
takes on: processor seconds of one call, how many pairs converged, and, with ``--before FOLDER``, the same of
the code in another checkout, run in turn with it, and the largest ratio of our lengths to its.

geomstats 2.8.0 imports ``numpy.trapz``, which numpy 2.4 no longer has; ``trapezoid`` is put in its place.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from peers.measured import clock, machine, save, seconds
from torch import Tensor

import riemvae_core as rc
from riemvae_core.metrics import HalfPlaneMetric
from riemvae_core.models import zoo

Metric = Callable[[Tensor], Tensor]
PARTS = ("half-plane", "decoder", "balls")
LONG = 20.0  # seconds after which a solver isn't run again for a better time


class World(NamedTuple):
    """Pairs of ends in a metric, its embedding if it has one, the lengths if they are known."""

    metric: Metric
    a: Tensor
    b: Tensor
    embed: Callable[[Tensor], Tensor] | None = None
    exact: Tensor | None = None


class Found(NamedTuple):
    """A curve for each pair, and whether the solver says it is done."""

    curve: Tensor
    converged: Tensor


def half_plane() -> World:
    """Three pairs at height 1."""
    half = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    one = torch.ones_like(half)
    a, b = torch.stack([-half, one], 1), torch.stack([half, one], 1)
    return World(HalfPlaneMetric(), a, b, exact=torch.arccosh(1.0 + 2.0 * half.square()))


def decoder() -> World:
    """Eight pairs of test images' codes."""
    model = zoo.load("digits-vae-2d").double()
    images = rc.load_images("digits", "test").images[:16].double()
    with torch.no_grad():
        z = rc.centers(model, images)

    def embed(z: Tensor) -> Tensor:
        return model.decode(z.reshape(-1, 2)).reshape(*z.shape[:-1], -1)

    return World(rc.PullbackMetric(model.decode), z[:8], z[8:], embed)


def by_us(world: World) -> Found:
    found = rc.geodesic(world.metric, world.a, world.b)
    return Found(found.curve, found.converged)


def by_stochman(world: World, nodes: int = 5, steps: int = 150, points: int = 20) -> Found:
    from stochman.curves import CubicSpline
    from stochman.geodesic import geodesic_minimizing_energy
    from stochman.manifold import EmbeddedManifold, Manifold

    class Intrinsic(Manifold):
        def metric(self, z: Tensor) -> Tensor:
            return world.metric(z)

    class Embedded(EmbeddedManifold):
        def embed(self, z: Tensor) -> Tensor:
            return world.embed(z)

    curves, converged = [], []
    for a, b in zip(world.a, world.b, strict=True):
        spline = CubicSpline(a[None], b[None], num_nodes=nodes)
        manifold = Embedded() if world.embed else Intrinsic()
        done = geodesic_minimizing_energy(spline, manifold, max_iter=steps, eval_grid=points)
        with torch.no_grad():
            curves.append(spline(torch.linspace(0.0, 1.0, 1000, dtype=a.dtype)).reshape(1000, -1))
        converged.append(torch.as_tensor(bool(done)))
    return Found(torch.stack(curves), torch.stack(converged))


def by_patient_stochman(world: World) -> Found:
    return by_stochman(world, nodes=16, steps=2000, points=64)


def by_geomstats(world: World) -> Found:
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"
    setattr(np, "trapz", np.trapezoid)  # noqa: B010
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from geomstats.geometry.euclidean import Euclidean
        from geomstats.geometry.riemannian_metric import RiemannianMetric
        from geomstats.numerics.geodesic import PathStraightening
        from geomstats.numerics.optimization import ScipyMinimize

    class Ours(RiemannianMetric):
        def metric_matrix(self, base_point: Tensor) -> Tensor:
            return world.metric(base_point)

    space = Euclidean(2, equip=False)
    space.equip_with_metric(Ours)
    optimizer = ScipyMinimize(method="L-BFGS-B", autodiff_jac=True, options={"disp": False}, save_result=True)
    solver = PathStraightening(space, n_nodes=100, optimizer=optimizer)
    curves, converged = [], []
    for a, b in zip(world.a, world.b, strict=True):
        curves.append(solver.discrete_geodesic_bvp(b, a).detach())
        converged.append(torch.as_tensor(bool(optimizer.result_.success)))
    return Found(torch.stack(curves), torch.stack(converged))


SOLVERS = {
    "ours": by_us,
    "stochman": by_stochman,
    "stochman, patient": by_patient_stochman,
    "geomstats": by_geomstats,
}


def compare(name: str, world: World) -> dict[str, dict[str, object]]:
    """Run every solver on one world and print its rows."""
    found, spent = {}, {}
    for solver, call in SOLVERS.items():
        began = clock()
        found[solver], first = call(world), clock() - began
        spent[solver] = first if first > LONG else seconds(partial(call, world), 2)
    length = {k: rc.curve_length(world.metric, v.curve.detach()) for k, v in found.items()}
    yardstick = world.exact if world.exact is not None else torch.stack(list(length.values())).amin(0)
    rows = {}
    for solver in SOLVERS:
        excess = length[solver] / yardstick - 1.0
        rows[solver] = {
            "excess": excess.tolist(), "lengths": length[solver].tolist(),
            "converged": int(found[solver].converged.sum()), "pairs": len(world.a),
            "seconds_a_pair": spent[solver] / len(world.a),
        }  # fmt: skip
        r = rows[solver]
        r["times_ours"] = r["seconds_a_pair"] / rows["ours"]["seconds_a_pair"]
        print(
            f"{name:<12}{solver:<20}{excess.abs().median():>12.1e}{excess.max():>12.1e}"
            f"{r['seconds_a_pair']:>10.3f}{r['times_ours']:>9.1f}{r['converged']:>9} of {r['pairs']}",
            flush=True,
        )
    return rows


AMONG_BALLS = """
import json, sys, time, warnings, torch, riemvae_core as rc
from riemvae_core.models import zoo
warnings.simplefilter("ignore")
images = rc.load_images("fashion", "test").images
space, found = rc.latent_space(zoo.load("fashion-vae-16d"), images[:500]), {}
a, b = space.mu[:20], space.mu[100:120]
for name, find in (("low_cost", rc.low_cost_path), ("geodesic", rc.geodesic)):
    began = time.process_time()
    path = find(space.metric, a, b)
    found[name] = [time.process_time() - began, path.converged.tolist(), path.length.tolist()]
print(json.dumps(found))
"""


def among_balls(folders: dict[str, str], turns: int = 2) -> dict[str, object]:
    """The code of each folder on the same pairs, in turn; the least processor time of the turns."""
    found: dict[str, dict] = {}
    for _ in range(turns):
        for name, folder in folders.items():
            told = subprocess.run(
                [sys.executable, "-c", AMONG_BALLS],
                check=True, capture_output=True, text=True, cwd=folder,
                env=os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            new = json.loads(told.stdout)
            old = found.setdefault(name, new)
            for way, (spent, *_) in new.items():
                old[way][0] = min(old[way][0], spent)
    rows = {}
    for way in ("low_cost", "geodesic"):
        rows[way] = {
            name: {"processor_seconds": run[way][0], "converged": sum(run[way][1]), "pairs": len(run[way][1])}
            for name, run in found.items()
        }
        if "before" in found:
            ratio = [x / y for x, y in zip(found["ours"][way][2], found["before"][way][2], strict=True)]
            rows[way]["largest_ratio_of_lengths"] = max(ratio)
            rows[way]["least_ratio_of_lengths"] = min(ratio)
        print(f"balls       {way:<20}{json.dumps(rows[way])}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them")
    parser.add_argument(
        "--before", metavar="FOLDER", help="a checkout of an earlier state of this repository"
    )
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if wrong := [part for part in parts if part not in PARTS]:
        parser.error(f"PART must be one of {', '.join(PARTS)}, got {wrong[0]}")
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"{'world':<12}{'solver':<20}{'median exc.':>12}{'worst exc.':>12}", end="")
    print(f"{'s a pair':>10}{'x ours':>9}{'converged':>14}")
    for name, world in (("half-plane", half_plane), ("decoder", decoder)):
        if name in parts:
            save("geodesics", name, compare(name, world()))
    if "balls" in parts:
        folders = {"ours": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
        if asked.before:
            folders["before"] = os.path.abspath(asked.before)
        save("geodesics", "balls", among_balls(folders))


if __name__ == "__main__":
    main()
