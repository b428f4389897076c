"""The same balls as the page has them and as the core has them."""

import torch

import riemvae_core as rc

# a job of the page, run to its end
DRAIN = """const drain = (job) => {
  let step = job.next();
  while (!step.done) step = job.next();
  return step.value;
};
"""


def balls(n: int = 40, d: int = 2, seed: int = 0) -> dict:
    """Balls as the page has them (float32), and three parameters."""
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(n, d, generator=generator)
    log_var = torch.randn(n, d, generator=generator) - 3.0
    return {"mu": mu, "log_var": log_var, "rho": 1.3, "lam": 0.2, "tau": 0.4}


def in_core(b: dict, **changes) -> rc.PosteriorMetric:
    given = b | changes
    return rc.PosteriorMetric(
        given["mu"].double(), given["log_var"].double(), *(given[k] for k in ("rho", "lam", "tau"))
    )


def in_page(b: dict, **more) -> dict:
    return {
        "mu": b["mu"].flatten().tolist(), "logVar": b["log_var"].flatten().tolist(),
        "rho": b["rho"], "lam": b["lam"], "tau": b["tau"],
    } | more  # fmt: skip
