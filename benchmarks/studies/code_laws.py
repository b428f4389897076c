"""Chapter 4's study of laws over codes: the zoo's grid VQ-VAE, and what its decoder makes of drawn codes.

    python benchmarks/studies/code_laws.py

A codebook says which images can be decoded, not which are likely. Three laws of the 49 codes of an image:
``uniform``, every code in every place alike; ``histogram``, each place by its own shares; ``walk``, the
autoregressive net, trained from three seeds. For each: the nats that it takes to tell the codes of a
held-out image, and scores of 1,000 decoded draws in the features of the zoo's classifier, against 1,000
held-out images and against these images' own reconstructions (``sampler``). ``reconstruction``, of 1,000
other held-out images, is the bound. About four minutes on two cores.
"""

import math

import torch
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo

MODEL, WIDTH, EPOCHS, LR, SEEDS = "fashion-vq-grid", 96, 12, 3e-3, range(3)
SETTINGS = {"model": MODEL, "width": WIDTH, "epochs": EPOCHS, "lr": LR, "draws": 1000, "smoothing": 1.0}


def trained(codes: Tensor, k: int, seed: int) -> rc.CodePrior:
    """The autoregressive law of the training codes."""
    law = rc.make_code_prior(rc.CodePriorConfig(k, tuple(codes.shape[1:]), WIDTH), seed)
    rc.fit(law, rc.codes_as_images(codes), epochs=EPOCHS, lr=LR, seed=seed, progress=False)
    return law


def work(law: str, seed: int) -> dict[str, object]:
    """Nats and scores of one law."""
    model, judge = zoo.load(MODEL), zoo.load("fashion-classifier")
    k, generator = model.config.n_codes, rc.make_generator(seed)
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    with torch.no_grad():
        codes, held_out = (
            torch.cat([model.encode(part).codes for part in images.split(1000)]) for images in (train, test)
        )
    if law == "uniform":
        nats, drawn = held_out[0].numel() * math.log(k), torch.randint(k, (1000, 7, 7), generator=generator)
    elif law == "reconstruction":
        nats, drawn = math.nan, held_out[1000:]
    else:
        found = rc.histogram_prior(codes, k, 1.0) if law == "histogram" else trained(codes, k, seed)
        with torch.no_grad():
            nats, drawn = -found.log_prob(held_out).mean().item(), found.sample(1000, generator)
    with torch.no_grad():
        images, reference = (model.decode(model.codebook[c]) for c in (drawn, held_out[:1000]))
    real, mirror, fake = (judge.features(x) for x in (test[:1000], reference, images))
    return {
        "nats": None if math.isnan(nats) else nats,
        "frechet": rc.frechet_distance(real, fake),
        "precision_recall": rc.precision_recall(real, fake)._asdict(),
        "sampler": rc.sampler_distance(fake, mirror)._asdict(),
    }


if __name__ == "__main__":
    jobs = [
        {"law": law, "seed": seed}
        for seed in SEEDS
        for law in ("reconstruction", "uniform", "histogram", "walk")
    ]
    run_study("code_laws", SETTINGS, jobs, work)
