"""Chapter 8's second study: paths compared at the same share of their decoded length, with controls.

    python benchmarks/studies/even_paths.py

Where along a path one looks decides what one finds. paths.py took points at equal times of the metric that
drew the path; the geodesic of the balls spends most of such time near its ends. Here points stand
evenly in the *decoded* length, and those of each path's own pace beside them, for the VAEs of paths.py.
Controls of the distance from the data: the nearest held-out image in place of the nearest training image
(centers are codes of training images), the sharpness of the images (blur lies near many), and a low-cost path
among the same centers with one ellipsoid for all. Controls of neighbors in radii: one scale an axis for all,
and the pictures themselves in place of what their codes decode to.
About two minutes a training on one core; resumes after a kill.
"""

import warnings

import torch
from paths import (
    INNER,
    MEDOIDS,
    PAIRS,
    POINTS,
    SETTINGS,
    decode_curve,
    off_data,
    over_ends,
    to_nearest,
    trained,
)
from resumable import run_study

import riemvae_core as rc
from riemvae_core.paths import respaced, straight_line

SEEDS, FINE = range(5), 8  # points on each piece where lengths are measured


def work(d: int, seed: int) -> dict[str, object]:
    """Train one VAE and walk between pairs of held-out images."""
    train, (test, labels) = rc.load_images("fashion").images, rc.load_images("fashion", "test")
    model = trained("vae", d, seed, train)
    picked = torch.randperm(len(test), generator=rc.make_generator(seed))[: 2 * PAIRS]
    with torch.no_grad():
        balls, codes = model.encode(train), model.encode(test)
    line = straight_line(codes.mu[picked[:PAIRS]], codes.mu[picked[PAIRS:]], POINTS)
    curves, converged = metric_paths(balls, line)
    rest = torch.ones(len(test), dtype=torch.bool)
    rest[picked] = False
    known = {"train": train.flatten(1), "test": test[rest].flatten(1)}
    result = {name: scores(model, curve, line, known) for name, curve in curves.items()}
    return result | {"converged": converged, "neighbors": neighbors(model, codes, test, labels)}


def metric_paths(balls: rc.Balls, line: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """The paths that the balls draw, with the straight line; how many searches of each converged."""
    a, b = (line[:, k].double() for k in (0, -1))
    shared = balls.log_var.exp().mean(0).log().expand_as(balls.log_var)
    own, one = complete(*balls), complete(balls.mu, shared)
    searches = {
        "posterior": (rc.geodesic, own),
        "low_cost": (rc.low_cost_path, own),
        "shared": (rc.low_cost_path, one),
    }
    found = {
        name: solve(metric, a, b, POINTS, nodes=metric.mu, max_steps=300)
        for name, (solve, metric) in searches.items()
    }
    curves = {"straight": line} | {name: path.curve.float() for name, path in found.items()}
    return curves, {name: int(path.converged.sum()) for name, path in found.items()}


def complete(mu: torch.Tensor, log_var: torch.Tensor) -> rc.PosteriorMetric:
    """The metric of a hundred medoids with a background that doesn't fade: no way out to infinity."""
    fitted = rc.PosteriorMetric.fit(mu, log_var, MEDOIDS, generator=rc.make_generator(0))
    return rc.PosteriorMetric(fitted.mu.double(), fitted.log_var.double(), fitted.rho, fitted.lam, tau=0.0)


# ---- what is measured of them


def finely(curve: torch.Tensor) -> torch.Tensor:
    """The same curve with FINE points on each of its pieces."""
    step = curve.diff(dim=1)
    part = torch.arange(FINE) / FINE
    inner = curve[:, :-1, None] + part[:, None] * step[:, :, None]
    return torch.cat([inner.flatten(1, 2), curve[:, -1:]], 1)


@torch.no_grad()
def scores(
    model, curve: torch.Tensor, line: torch.Tensor, known: dict[str, torch.Tensor]
) -> dict[str, object]:
    """Length against the straight line's and the chord's (medians over the pairs), data, sharpness."""
    fine, own = finely(curve), decode_curve(model, curve)
    pieces = steps_of(decode_curve(model, fine))
    length, straight = pieces.sum(-1), steps_of(decode_curve(model, finely(line))).sum(-1)
    chord = (own[:, -1] - own[:, 0]).norm(dim=-1).clamp_min(1e-6)
    excess = straight / length.clamp_min(1e-6) - 1
    even = decode_curve(model, respaced(fine, pieces, POINTS))
    return {
        "excess_median": excess.median().item(),
        "over_chord": (length / chord).median().item(),
        "off_data": off_data(even, known["train"]),
        "off_test": off_data(even, known["test"]),
        "off_data_own_pace": off_data(own, known["train"]),
        "sharpness": over_ends(sharpness(even[:, INNER])),
    }


def steps_of(images: torch.Tensor) -> torch.Tensor:
    return images.diff(dim=1).norm(dim=-1)


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """Root mean square of the differences between neighboring pixels."""
    square = images.unflatten(-1, (28, 28))
    down, right = square.diff(dim=-2).square().mean((-2, -1)), square.diff(dim=-1).square().mean((-2, -1))
    return (down + right).sqrt()


# ---- neighbors


@torch.no_grad()
def neighbors(model: rc.VAE, codes: rc.Balls, test: torch.Tensor, labels: torch.Tensor) -> dict[str, object]:
    """How far a code's nearest other one is in pictures and labels, counted in three ways."""
    z, precision = codes.mu, torch.exp(-codes.log_var)
    scale = (1.0 / codes.log_var.exp().mean(0)).expand_as(z)
    ways = {"euclidean": torch.ones_like(z), "scaled": scale, "mahalanobis": precision}
    nearest = {way: to_nearest(z, weights)[1] for way, weights in ways.items()}
    pictures = {"image_change": model.decode(z).flatten(1), "pixel_change": test.flatten(1)}
    result = {
        name: {way: (x - x[i]).norm(dim=1).mean().item() for way, i in nearest.items()}
        for name, x in pictures.items()
    }
    same = {way: (labels == labels[i]).float().mean().item() for way, i in nearest.items()}
    return result | {"same_label": same}


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", rc.PathWarning)  # how many converged is written down
    jobs = [{"d": d, "seed": seed} for seed in SEEDS for d in (8, 2)]
    run_study("even_paths", SETTINGS | {"medoids": MEDOIDS, "fine": FINE}, jobs, work)
