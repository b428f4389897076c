"""Chapter 8's study: straight lines, geodesics and low-cost paths between held-out images, five seeds.

    python benchmarks/studies/paths.py

For an autoencoder and a VAE of 2 and 8 latent axes and a VQ-VAE of 64 codes in the plane: how much longer the
decoded straight line is than the shortest decoded path, how evenly it moves, how far from the training images
it passes; for VAEs the same of the two paths that the balls' metric draws; and how evenly neighboring codes
lie apart. The shortest decoded path is searched from the straight line, so the excess is a lower bound.
Each path is looked at at its own pace; for paths of the balls' metric that compares different places, and
even_paths.py does better.
About ten minutes on one core; resumes after a kill.
"""

import math
import warnings

import torch
from resumable import run_study

import riemvae_core as rc
from riemvae_core.models import VQVAE, VQConfig, make_model
from riemvae_core.paths import straight_line

SEEDS, EPOCHS, PAIRS, POINTS, STEPS, MEDOIDS = range(5), 12, 24, 65, 600, 100
INNER = [0, -1, *range(POINTS // 4, 3 * POINTS // 4 + 1, 4)]  # both ends, then the inner half
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 64, "depth": 2, "beta": 1.0,
    "epochs": EPOCHS, "pairs": PAIRS, "points": POINTS, "steps": STEPS, "medoids": MEDOIDS, "codes": 64,
}  # fmt: skip


def work(kind: str, d: int, seed: int) -> dict[str, object]:
    """Train one model and walk between pairs of held-out images."""
    train, test = (rc.load_images("fashion", split).images for split in ("train", "test"))
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
    drawn = {name: decode_curve(model, curve) for name, curve in curves.items()}
    straight_length = lengths(drawn["straight"])
    result = {name: scores(images, straight_length, train) for name, images in drawn.items()}
    return result | {"converged": converged} | (neighbors(model, z, kind, test) if kind != "vq" else {})


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
    fitted = rc.PosteriorMetric.fit(*balls, MEDOIDS, generator=rc.make_generator(0))
    balls = fitted.mu.double(), fitted.log_var.double()
    metric = rc.PosteriorMetric(*balls, fitted.rho, fitted.lam, tau=0.0)  # complete: no way out to infinity
    a, b = (curves["straight"][:, k].double() for k in (0, -1))
    found = {
        name: solve(metric, a, b, POINTS, nodes=metric.mu, max_steps=300)
        for name, solve in (("posterior", rc.geodesic), ("low_cost", rc.low_cost_path))
    }
    curves |= {name: path.curve.float() for name, path in found.items()}
    return {name: int(path.converged.sum()) for name, path in found.items()}


@torch.no_grad()
def decode_curve(model, curve: torch.Tensor) -> torch.Tensor:
    """Images along curves ``[pairs, points, pixels]``; a VQ-VAE reads the nearest code."""
    z = model.quantize(curve).z_q if isinstance(model, VQVAE) else curve
    return model.decode(z).flatten(2)


# ---- what is measured of them


def lengths(images: torch.Tensor) -> torch.Tensor:
    return images.diff(dim=1).norm(dim=-1).sum(-1)


def scores(images: torch.Tensor, straight_length: torch.Tensor, train: torch.Tensor) -> dict[str, float]:
    """Medians over the pairs: length against the straight line's and against the chord's, evenness, data."""
    steps = images.diff(dim=1).norm(dim=-1)
    chord = (images[:, -1] - images[:, 0]).norm(dim=-1).clamp_min(1e-6)
    excess = straight_length / steps.sum(-1).clamp_min(1e-6) - 1
    return {
        "excess_median": excess.median().item(),
        "excess_most": excess.quantile(0.9).item(),
        "within_5_percent": (excess < 0.05).float().mean().item(),
        "over_chord": (steps.sum(-1) / chord).median().item(),
        "step_cv": (steps.std(-1) / steps.mean(-1).clamp_min(1e-6)).median().item(),
        "largest_step": (steps.amax(-1) / steps.sum(-1).clamp_min(1e-6)).median().item(),
        "off_data": off_data(images, train),
    }


def off_data(images: torch.Tensor, train: torch.Tensor) -> float:
    """Distance to the nearest training image along the inner half of the way over that at the ends."""
    some = images[:, INNER]
    return over_ends(torch.cdist(some.flatten(0, 1), train.flatten(1)).amin(1).reshape(some.shape[:2]))


def over_ends(values: torch.Tensor) -> float:
    """Mean over the inner places over the mean at both ends, which stand first."""
    return (values[:, 2:].mean() / values[:, :2].mean()).item()


# ---- neighbors


@torch.no_grad()
def neighbors(model, z: torch.Tensor, kind: str, test: torch.Tensor) -> dict[str, object]:
    """How evenly held-out codes lie apart, beside a Gaussian's draws; for balls also in their radii."""
    generator = rc.make_generator(0)
    normal = z.mean(0) + z.std(0) * torch.randn(z.shape, generator=generator)
    near, index = to_nearest(z, torch.ones_like(z))
    result = {"cv": variation(near), "cv_normal": variation(to_nearest(normal, torch.ones_like(z))[0])}
    if kind == "vae":
        log_var = model.encode(test).log_var
        radii, other = to_nearest(z, torch.exp(-log_var))
        used = z.var(0) > 0.01
        sigma = torch.exp(0.5 * log_var[:, used])
        images = model.decode(z).flatten(1)
        changed = [(images - images[i]).norm(dim=1).mean().item() for i in (index, other)]
        result |= {
            "cv_mahalanobis": variation(radii),
            "other_neighbor": (index != other).float().mean().item(),
            "axis_ratio": (sigma.amax(1) / sigma.amin(1)).median().item(),
            "radius_spread": (sigma.log().mean(1).std().exp()).item(),
            "image_change": dict(zip(("euclidean", "mahalanobis"), changed, strict=True)),
            "used_axes": int(used.sum()),
        }
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
