"""Chapter 7's study: the uniform law of trained models by three samplers, and what the released one does.

    python benchmarks/studies/sampling.py

Conv VAEs of the zoo (16 dimensions, two betas, three seeds), 6,000 training images, 100 medoids. Three
samplers estimate the log volume of the metric that ``PosteriorMetric.fit`` makes. Then the released sampler,
with the released code's rho, lambda and chain length: how far its chains go, what they meet, where they end,
beside codes with plain noise of the size that chains without a force reach. A few minutes on two cores;
resumes after a kill.
"""

import math
import warnings

import torch
from generation import encoded
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.neighbors import nearest

IMAGES, MEDOIDS, LAM, CHAINS, MOVES = 6000, 100, 0.01, 500, 100
SETTINGS = {
    "data": "fashion", "images": IMAGES, "medoids": MEDOIDS, "lam": LAM, "chains": CHAINS, "moves": MOVES,
    "n_leapfrog": 10, "step": 0.01,
}  # fmt: skip
SAMPLERS = {"importance": {"most": 8}, "smc": {}, "hmc": {"draws": 1500}}


@torch.no_grad()
def work(beta: float, seed: int) -> dict[str, object]:
    """The laws of one model."""
    model, images = zoo.load(zoo.conv_name(beta, seed)), rc.load_images("fashion").images[:IMAGES]
    mu, log_var = encoded(model, images)
    metric = rc.PosteriorMetric.fit(mu, log_var, MEDOIDS, generator=rc.make_generator(seed))
    result: dict[str, object] = {"rho": metric.rho, "radius": torch.exp(0.5 * log_var).median().item()}
    for method, settings in SAMPLERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rc.SamplingWarning)  # converged is kept beside each result
            draws = rc.sample_uniform(metric, 500, rc.make_generator(seed), method, **settings)
        result[method] = draws._asdict() | {"z": None}
    everything = rc.PosteriorMetric.fit(mu, log_var)
    log_q = rc.log_prob_mixture(mu, mu, log_var) + math.log(IMAGES) + 8 * math.log(2 * math.pi)
    result["alone"] = (everything.log_volume(mu) - log_q).median().item()
    return result | {"released": released(mu, log_var, seed)}


def released(mu: Tensor, log_var: Tensor, seed: int) -> dict[str, object]:
    """What the released sampler does with the balls of one model."""
    metric = rc.PosteriorMetric.fit(
        mu, log_var, MEDOIDS, generator=rc.make_generator(seed), rho="paper", lam=LAM
    )
    draws = rc.sample_as_released(metric, mu, CHAINS, rc.make_generator(seed), steps=MOVES)
    uniform = rc.sample_uniform(metric, CHAINS, rc.make_generator(seed))
    free = draws.start + 0.05 * math.sqrt(MOVES) * rc.standard_normal(
        draws.z.shape, mu, rc.make_generator(seed)
    )
    end, void = nearest(draws.z, mu), 0.5 * mu.shape[1] * math.log(LAM)
    gap = ((mu[:1000, None] - metric.mu).square() * torch.exp(-metric.log_var)).sum(-1).amin(1).sqrt()
    return {
        "rho": metric.rho,
        "acceptance": draws.acceptance,
        "moved": (draws.z - draws.start).square().mean().sqrt().item(),
        "clamped": (2 * metric.log_volume(mu) > math.log(1e10)).float().mean().item(),
        "in_void": (metric.log_volume(mu) < void + 1.0).float().mean().item(),
        "radii_to_centroid": gap.median().item(),
        "volume_start": metric.log_volume(draws.start).mean().item(),
        "volume_end": metric.log_volume(draws.z).mean().item(),
        "volume_free": metric.log_volume(free).mean().item(),
        "volume_uniform": metric.log_volume(uniform.z).mean().item(),
        "uniform_converged": uniform.converged,
        "same_code": (end.indices == nearest(draws.start, mu).indices).float().mean().item(),
        "to_code": end.distances.mean().item(),
        "code_to_code": nearest(mu[:1000], mu, 2).distances[:, 1].mean().item(),
    }


if __name__ == "__main__":
    jobs = [{"beta": beta, "seed": seed} for beta in zoo.CONV_BETAS for seed in zoo.CONV_SEEDS]
    run_study("sampling", SETTINGS, jobs, work)
