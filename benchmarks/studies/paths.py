"""Chapter 8's study: straight lines, geodesics and low-cost paths between held-out images, five seeds.

    python benchmarks/studies/paths.py

For an autoencoder and a VAE of 2 and 8 latent axes and a VQ-VAE of 64 codes in the plane: how much longer the
decoded straight line is than the shortest decoded path, how evenly it moves, how far from the training images
it passes; for VAEs the same of the two paths that the balls' metric draws; and how evenly neighboring codes
lie apart. The shortest decoded path is searched from the straight line, so the excess is a lower bound.

Where along a path one looks decides what one finds. So paths are compared at points that stand evenly in the
*decoded* length; beside it stand the same points of each path at its own pace, equal times of the metric that
drew it, which an earlier edition took and which compare different places. Controls of the distance from the
data: the nearest held-out image in place of the nearest training image (centers are codes of training
images), the sharpness of the images (blur lies near many), and a low-cost path among the same centers with
one ellipsoid for all. Controls of neighbors in radii: one scale an axis for all, and the pictures themselves
in place of what their codes decode to.
About a quarter of an hour on one core; resumes after a kill.
"""

import math
import warnings

import torch
from resumable import run_study

import riemvae_core as rc
from riemvae_core.models import VQVAE, VQConfig, make_model
from riemvae_core.paths import respaced, straight_line

SEEDS, EPOCHS, PAIRS, POINTS, STEPS, MEDOIDS = range(5), 12, 24, 65, 600, 100
FINE = 8  # points on each piece where lengths are measured
INNER = [0, POINTS - 1, *range(POINTS // 4, 3 * POINTS // 4 + 1, 4)]  # both ends, then the inner half
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 64, "depth": 2, "beta": 1.0,
    "epochs": EPOCHS, "pairs": PAIRS, "points": POINTS, "steps": STEPS, "medoids": MEDOIDS, "codes": 64,
    "fine": FINE,
}  # fmt: skip


def work(kind: str, d: int, seed: int) -> dict[str, object]:
    """Train one model and walk between pairs of held-out images."""
    train, (test, labels) = rc.load_images("fashion").images, rc.load_images("fashion", "test")
    model = trained(kind, d, seed, train)
    picked = torch.randperm(len(test), generator=rc.make_generator(seed))[: 2 * PAIRS]
    with torch.no_grad():
        z = model.points(test) if kind == "vq" else rc.centers(model, test)
    a, b = z[picked[:PAIRS]], z[picked[PAIRS:]]
    curves, converged = {"straight": straight_line(a, b, POINTS)}, {}
    if kind != "vq":
        path = rc.shortest_decoded(model.decode, a, b, POINTS, max_steps=STEPS)
        curves["geodesic"], converged["geodesic"] = path.curve, int(path.converged.sum())
    if kind == "vae":
        converged |= draw_metric_paths(model, train, curves)
    rest = torch.ones(len(test), dtype=torch.bool)
    rest[picked] = False
    known, line = {"train": train.flatten(1), "test": test[rest].flatten(1)}, curves["straight"]
    result = {name: scores(model, curve, line, known) for name, curve in curves.items()}
    near = neighbors(model, z, kind, test, labels) if kind != "vq" else {}
    return result | {"converged": converged} | near


def trained(kind: str, d: int, seed: int, train: torch.Tensor) -> torch.nn.Module:
    """A model of the study."""
    shape = {"width": 256, "decoder_width": 64, "depth": 2}
    if kind == "vq":
        model = make_model("vq", VQConfig(n_codes=64, code_dim=d, **shape), seed)
        model.start_codebook(train, rc.make_generator(seed))
    else:
        model = rc.make_model(kind, rc.ModelConfig(latent_dim=d, **shape), seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return model.eval()


# ---- paths


def draw_metric_paths(model, train: torch.Tensor, curves: dict[str, torch.Tensor]) -> dict[str, int]:
    """Put the paths of the balls' metric beside the others; how many of each converged."""
    with torch.no_grad():
        balls = model.encode(train)
    a, b = (curves["straight"][:, k].double() for k in (0, -1))
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
    curves |= {name: path.curve.float() for name, path in found.items()}
    return {name: int(path.converged.sum()) for name, path in found.items()}


def complete(mu: torch.Tensor, log_var: torch.Tensor) -> rc.PosteriorMetric:
    """The metric of a hundred medoids with a background that doesn't fade: no way out to infinity."""
    fitted = rc.PosteriorMetric.fit(mu, log_var, MEDOIDS, generator=rc.make_generator(0))
    return rc.PosteriorMetric(fitted.mu.double(), fitted.log_var.double(), fitted.rho, fitted.lam, tau=0.0)


@torch.no_grad()
def decode_curve(model, curve: torch.Tensor) -> torch.Tensor:
    """Images along curves ``[pairs, points, pixels]``; a VQ-VAE reads the nearest code."""
    z = model.quantize(curve).z_q if isinstance(model, VQVAE) else curve
    return model.decode(z).flatten(2)


# ---- what is measured of them


def finely(curve: torch.Tensor) -> torch.Tensor:
    """The same curve with FINE points on each of its pieces."""
    step = curve.diff(dim=1)
    part = torch.arange(FINE) / FINE
    inner = curve[:, :-1, None] + part[:, None] * step[:, :, None]
    return torch.cat([inner.flatten(1, 2), curve[:, -1:]], 1)


def scores(
    model, curve: torch.Tensor, line: torch.Tensor, known: dict[str, torch.Tensor]
) -> dict[str, object]:
    """Medians over the pairs: length against the straight line's and against the chord's, evenness, data."""
    fine, own = finely(curve), decode_curve(model, curve)
    pieces = steps_of(decode_curve(model, fine))
    length, straight = pieces.sum(-1), steps_of(decode_curve(model, finely(line))).sum(-1)
    chord = (own[:, -1] - own[:, 0]).norm(dim=-1).clamp_min(1e-6)
    excess, steps = straight / length.clamp_min(1e-6) - 1, steps_of(own)
    even = decode_curve(model, respaced(fine, pieces, POINTS))
    return {
        "excess_median": excess.median().item(),
        "excess_most": excess.quantile(0.9).item(),
        "within_5_percent": (excess < 0.05).float().mean().item(),
        "over_chord": (length / chord).median().item(),
        "step_cv": (steps.std(-1) / steps.mean(-1).clamp_min(1e-6)).median().item(),
        "largest_step": (steps.amax(-1) / steps.sum(-1).clamp_min(1e-6)).median().item(),
        "off_data": off_data(even, known["train"]),
        "off_test": off_data(even, known["test"]),
        "off_data_own_pace": off_data(own, known["train"]),
        "sharpness": over_ends(sharpness(even[:, INNER])),
    }


def steps_of(images: torch.Tensor) -> torch.Tensor:
    return images.diff(dim=1).norm(dim=-1)


def off_data(images: torch.Tensor, known: torch.Tensor) -> float:
    """Distance to the nearest known image along the inner half of the way over that at the ends."""
    some = images[:, INNER]
    return over_ends(torch.cdist(some.flatten(0, 1), known).amin(1).reshape(some.shape[:2]))


def over_ends(values: torch.Tensor) -> float:
    """Mean over the inner places over the mean at both ends, which stand first."""
    return (values[:, 2:].mean() / values[:, :2].mean()).item()


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """Root mean square of the differences between neighboring pixels."""
    square = images.unflatten(-1, (28, 28))
    down, right = square.diff(dim=-2).square().mean((-2, -1)), square.diff(dim=-1).square().mean((-2, -1))
    return (down + right).sqrt()


# ---- neighbors


@torch.no_grad()
def neighbors(
    model, z: torch.Tensor, kind: str, test: torch.Tensor, labels: torch.Tensor
) -> dict[str, object]:
    """How evenly held-out codes lie apart, beside a Gaussian's draws; for balls also in their radii."""
    generator = rc.make_generator(0)
    normal = z.mean(0) + z.std(0) * torch.randn(z.shape, generator=generator)
    near, index = to_nearest(z, torch.ones_like(z))
    result = {"cv": variation(near), "cv_normal": variation(to_nearest(normal, torch.ones_like(z))[0])}
    if kind == "vae":
        log_var = model.encode(test).log_var
        radii, other = to_nearest(z, torch.exp(-log_var))
        _, scaled = to_nearest(z, (-log_var.exp().mean(0).log()).exp().expand_as(z))
        used = z.var(0) > 0.01
        sigma = torch.exp(0.5 * log_var[:, used])
        ways = {"euclidean": index, "scaled": scaled, "mahalanobis": other}
        pictures = {"image_change": model.decode(z).flatten(1), "pixel_change": test.flatten(1)}
        result |= {
            "cv_mahalanobis": variation(radii),
            "other_neighbor": (index != other).float().mean().item(),
            "axis_ratio": (sigma.amax(1) / sigma.amin(1)).median().item(),
            "radius_spread": (sigma.log().mean(1).std().exp()).item(),
            "same_label": {way: (labels == labels[i]).float().mean().item() for way, i in ways.items()},
            "used_axes": int(used.sum()),
        }
        for name, x in pictures.items():
            result[name] = {way: (x - x[i]).norm(dim=1).mean().item() for way, i in ways.items()}
    return {"neighbors": result}


def to_nearest(z: torch.Tensor, precision: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance from each point to the nearest other one, with the point's own precisions, and which."""
    square = torch.stack([((z - p) ** 2 * w).sum(1) for p, w in zip(z, precision, strict=True)])
    square.fill_diagonal_(math.inf)
    least, index = square.min(1)
    return least.sqrt(), index


def variation(distance: torch.Tensor) -> float:
    return (distance.std() / distance.mean()).item()


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", rc.PathWarning)  # how many converged is written down
    kinds = [("ae", 2), ("vae", 2), ("vq", 2), ("vae", 8), ("ae", 8)]
    jobs = [{"kind": kind, "d": d, "seed": seed} for seed in SEEDS for kind, d in kinds]
    run_study("paths", SETTINGS, jobs, work)
