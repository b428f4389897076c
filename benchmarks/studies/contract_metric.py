r"""Is a ball the pullback metric's own? The precisions of trained VAEs' posteriors against their decoders.

    python benchmarks/studies/contract_metric.py [NAME ...]

Names are the zoo's, by default all that are listed below. For 1,000 held-out images, the precisions
$\sigma_k^{-2}(x)$ that the encoder gives are compared with $1+\tfrac2\beta\|\partial_kg(\mu(x))\|^2$, the
optimum of the loss's second-order expansion: correlations of the logs over all images and axes (Pearson,
Spearman), the slope of the one log against the other, the quartiles of the ratio, the same for the
used axes alone (variance of mu_k above 0.01). Axes differ more than images do, so two more: Pearson of the
axes' means over images (``between``), and of what is left when these are taken away (``within``). Last, the
share of off-diagonal entries in the squared norm of J^T J (median over images), which a diagonal encoder
can't follow. Seconds for d = 2, a few minutes for d = 16; resumes after a kill. A model that isn't shipped
is trained first.
"""

import sys

import torch
from resumable import run_study
from scipy.stats import linregress, spearmanr
from torch import Tensor

import riemvae_core as rc
from riemvae_core.balls import optimal_log_var
from riemvae_core.models import zoo

IMAGES = 1000
NAMES = (
    "digits-vae-2d", "rings-vae-2d", "fashion-vae-2d",
    *(zoo.beta_name(beta) for beta in zoo.BETAS), "fashion-vae-16d",
    *(zoo.conv_name(beta, seed) for beta in zoo.CONV_BETAS for seed in zoo.CONV_SEEDS),
)  # fmt: skip
SETTINGS = {"images": IMAGES, "used_axis": "variance of mu_k above 0.01"}


def agreement(found: Tensor, predicted: Tensor) -> dict[str, object]:
    """How two sets of logs of precisions agree."""
    x, y = predicted.flatten().double().numpy(), found.flatten().double().numpy()
    line, ratio = linregress(x, y), torch.exp(found - predicted).flatten().double()
    means = torch.stack([predicted.mean(0), found.mean(0)])
    rest = torch.stack([predicted - means[0], found - means[1]]).flatten(1)
    return {
        "n": len(x),
        "pearson": float(line.rvalue),
        "spearman": float(spearmanr(x, y).statistic),
        "slope": float(line.slope),
        "between": torch.corrcoef(means)[0, 1].item() if means.shape[1] > 2 else None,
        "within": torch.corrcoef(rest)[0, 1].item(),
        "ratio_quartiles": ratio.quantile(torch.tensor([0.25, 0.5, 0.75]).double()).tolist(),
    }


def work(model: str) -> dict[str, object]:
    """Measure one model."""
    recipe, vae = zoo.recipe(model), zoo.load(model)
    images = rc.load_images(recipe.data, "test").images[:IMAGES]
    with torch.no_grad():
        mu, log_var = vae.encode(images)
        g = rc.PullbackMetric(vae.decode)(mu)
    diagonal = g.diagonal(dim1=-2, dim2=-1)
    predicted, used = -optimal_log_var(diagonal, recipe.config.beta), mu.var(0) > 0.01
    off = 1.0 - diagonal.square().sum(-1) / g.square().sum((-2, -1))
    return {
        "beta": recipe.config.beta,
        "latent_dim": recipe.config.latent_dim,
        "seed": recipe.seed,
        "used_axes": int(used.sum()),
        "all": agreement(-log_var, predicted),
        "used": agreement(-log_var[:, used], predicted[:, used]) if used.any() else None,
        "off_diagonal": off.median().item(),
    }


if __name__ == "__main__":
    run_study("contract_metric", SETTINGS, [{"model": name} for name in sys.argv[1:] or NAMES], work)
