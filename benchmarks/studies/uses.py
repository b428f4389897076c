"""What the studies of uses share: small VAEs, their balls, and a table of means and paired differences."""

import math
import statistics
from typing import Any

import torch
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo

BATCH = 64


def trained(images: Tensor, seed: int, steps: int, **config: Any) -> rc.VAE:
    """A VAE of these images, after about so many steps."""
    model = rc.make_model("vae", rc.ModelConfig(**config), seed)
    epochs = math.ceil(steps / math.ceil(len(images) / BATCH))
    rc.fit(model, images, epochs=epochs, batch_size=BATCH, seed=seed, progress=False)
    return model


def rows_of(labels: Tensor, n: int, seed: int, skip: int = 0) -> Tensor:
    """Rows of n images of each class in a random order, class by class; the first ``skip`` are left out."""
    order = torch.randperm(len(labels), generator=rc.make_generator(seed))
    found = [order[labels[order] == c][skip : skip + n] for c in labels.unique()]
    return torch.cat(found)


def table(name: str, null: str) -> str:
    """Each score of each arm with its 95% interval over seeds, and what it is above the null's, paired.

    One block for each job, as the settings' ``by`` tells them apart; within a seed all else is averaged.
    """
    study, lines = zoo.load_study(name), []
    scores = [key for key, value in study.runs[0].items() if isinstance(value, dict)]
    for job in dict.fromkeys(tuple(run[k] for k in study.settings["by"]) for run in study.runs):
        runs = [run for run in study.runs if tuple(run[k] for k in study.settings["by"]) == job]
        for score in scores:
            lines.append(f"{' '.join(map(str, job))}: {score}, and less that of {null}")
            found = {arm: _by_seed(runs, score, arm) for arm in runs[0][score]}
            for arm, values in found.items():
                apart = [a - b for a, b in zip(values, found[null], strict=True)]
                cells = (f"{rc.confidence_interval(v):.3f}".rjust(28) for v in (values, apart))
                lines.append(arm.rjust(36) + "".join(cells))
    return "\n".join(lines)


def _by_seed(runs: list[dict[str, Any]], score: str, arm: str) -> list[float]:
    seeds = sorted({run["seed"] for run in runs})
    return [statistics.fmean(run[score][arm] for run in runs if run["seed"] == seed) for seed in seeds]
