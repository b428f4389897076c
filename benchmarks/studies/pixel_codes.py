"""Chapter 4's bound: k-means on the pixels of the training images, 1 to 512 centers, three seeds each.

    python benchmarks/studies/pixel_codes.py

K codes for whole images draw K images, so on the training images no VQ-VAE with one code an image has a
smaller error than the best K images. k-means finds good ones, from above: its own optimum may be lower
still. About two minutes on two cores; results are written after every run, and a run that was killed goes on
where it was.
"""

from resumable import run_study

import riemvae_core as rc

SEEDS, CODES, MAX_STEPS = range(3), (1, 4, 16, 64, 256, 512), 60
SETTINGS = {"data": "fashion", "max_steps": MAX_STEPS}


def work(k: int, seed: int) -> dict[str, object]:
    """Squared error, summed over pixels, of an image and the nearest of k images."""
    train, test = (rc.load_images("fashion", split).images.flatten(1) for split in ("train", "test"))
    found = rc.kmeans_codebook(train, k, rc.make_generator(seed), MAX_STEPS)
    nearest = found.codebook[rc.nearest_code(test, found.codebook)]
    return {
        "train": found.distortion.item(),
        "test": (test - nearest).square().sum(-1).mean().item(),
        "steps": found.steps,
        "converged": found.converged,
    }


if __name__ == "__main__":
    run_study("pixel_codes", SETTINGS, [{"k": k, "seed": seed} for seed in SEEDS for k in CODES], work)
