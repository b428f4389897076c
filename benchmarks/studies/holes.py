"""Chapter 1's second study: how much of a two-dimensional latent plane the data leave open, five seeds.

    python benchmarks/studies/holes.py

For each of five autoencoders and five VAEs the codes are brought to mean 0 and standard deviation 1, so that
the unit of length plays no part, and four decoders are trained anew on the frozen codes. On a grid
of 61 x 61 places, two and a half standard deviations of the codes to each side of their mean: the share of
places further than 0.2 standard deviations from every code, and how far the four decoders differ, by
distance to the nearest code. About ten minutes on two cores; resumes after a kill.
"""

from itertools import pairwise

import torch
from resumable import run_study

import riemvae_core as rc

SEEDS, DECODERS, EPOCHS, DECODER_EPOCHS = range(5), 4, 30, 10
EDGES, FAR = (0.0, 0.05, 0.1, 0.2, 0.4, 10.0), 0.2
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "beta": 1.0,
    "epochs": EPOCHS, "decoders": DECODERS, "decoder_epochs": DECODER_EPOCHS,
    "codes": "standardized",
    "edges": list(EDGES), "far": FAR,
}  # fmt: skip


def work(kind: str, seed: int) -> dict[str, object]:
    """Train one model and its decoders, and measure the plane."""
    images = rc.load_images("fashion").images
    model = rc.make_model(kind, rc.ModelConfig(width=256, decoder_width=128, depth=3), seed)
    rc.fit(model, images, epochs=EPOCHS, seed=seed, progress=False)
    model = rc.standardize_codes(model, images)
    decoders = [
        rc.retrain_decoder(model, images, seed=100 * (seed + 1) + s, epochs=DECODER_EPOCHS, progress=False)[0]
        for s in range(DECODERS)
    ]
    with torch.no_grad():
        z = rc.centers(model, images)
        steps = torch.linspace(-2.5, 2.5, 61)
        places = torch.cartesian_prod(steps, steps)
        drawings = torch.stack([d.decode(places) for d in decoders])
        disagreement = drawings.var(0).flatten(1).mean(-1).sqrt()
        distance = torch.cdist(places, z).amin(1)
    rings = [(distance >= a) & (distance < b) for a, b in pairwise(EDGES)]
    return {
        "far_share": (distance >= FAR).float().mean().item(),
        "disagreement": disagreement.mean().item(),
        "disagreement_by_distance": [disagreement[r].mean().item() for r in rings],
        "share_by_distance": [r.float().mean().item() for r in rings],
    }


if __name__ == "__main__":
    run_study("holes", SETTINGS, [{"kind": k, "seed": s} for s in SEEDS for k in ("ae", "vae")], work)
