r"""A use: does the geometry tell an image from elsewhere, better than its reconstruction does?

    python benchmarks/studies/out_of_distribution.py

Asked: a VAE of 16 axes is trained on nine classes (another one is left out with each of five seeds). Images
from elsewhere: that class, digits scaled up, drawn rings and disks, Fashion-MNIST inverted, and with each
image's pixels shuffled. For each score, the chance that an image from elsewhere has more of it than a test
image of the nine classes (AUROC). All signs were fixed beforehand; below 1/2 a score has the wrong one.

Scores of the bound: ``pull``, ``barrier``, ``kl``, ``loss``. Of the metric: minus log sqrt det of G, and of
the averaged metric; distance to the nearest training code in radii of its ball. Of fitted laws: minus log
density. Nulls: reconstruction ``error``, mean ``brightness`` (far from the training mean in either way),
``pixels``, the distance to the nearest training image; of the radii, that to the nearest code by ``euclid``
and in radii of one shared ``ellipsoid``.
What would count: a score of the metric above error and above pixels, with an interval of the paired
difference above 0, on images of most kinds; for its shape, above euclid and ellipsoid too. Intervals over the
seeds. About three minutes on one core; resumes after a kill.
"""

import functools
import time

import torch
from latent_clusters import averaged, in_radii
from resumable import run_study
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional
from uses import BATCH, table, trained

import riemvae_core as rc
from riemvae_core.neighbors import nearest

LEFT_OUT, STEPS, CODES, MOST = (1, 3, 5, 8, 9), 1000, 1000, 500
ELSEWHERE = ("left-out class", "digits", "rings and disks", "inverted", "shuffled pixels")
LAWS = ("gaussian", "mixture", "isotropic", "ball", "kernel")
CONFIG = {"latent_dim": 16, "network": "mlp", "width": 256, "decoder_width": 64, "depth": 3}
SETTINGS = {
    "by": ["elsewhere"], "data": "fashion", "vae": CONFIG, "vae_steps": STEPS, "batch_size": BATCH,
    "left_out": list(LEFT_OUT), "laws": list(LAWS), "codes_of_laws": CODES, "images": MOST,
}  # fmt: skip


class Detector:
    """A model trained on nine classes, with all that its scores need."""

    def __init__(self, seed: int) -> None:
        data = rc.load_images("fashion")
        kept = data.images[data.labels != LEFT_OUT[seed]]
        self.images, held = kept[:-MOST], kept[-MOST:]
        self.model = trained(self.images, seed, STEPS, **CONFIG)
        with torch.no_grad():
            self.balls, unseen = self.model.encode(self.images), self.model.encode(held)
        self.metric = rc.PosteriorMetric.fit(*self.balls)
        self.shared = self.balls.log_var.exp().mean(0).rsqrt()
        mu, log_var = (part[:CODES] for part in self.balls)
        self.laws = {kind: rc.fit_law(mu, log_var, kind, held_out=unseen.mu) for kind in LAWS}

    @torch.no_grad()
    def scores(self, images: Tensor) -> dict[str, Tensor]:
        """How strange each image is, in every sense."""
        mu, log_var = self.model.encode(images)
        error = (self.model.decode(mu) - images).square().flatten(1).sum(1)
        pull, barrier = rc.kl_pull(mu), rc.kl_barrier(log_var)
        codes, balls = mu.double(), rc.Balls(*(part.double() for part in self.balls))
        bright = self.images.mean()
        found = {
            "error": error,
            "brightness": (images.flatten(1).mean(1) - bright).abs(),
            "pixels": nearest(images.flatten(1), self.images.flatten(1)).distances[:, 0],
            "euclid": nearest(mu, self.balls.mu).distances[:, 0],
            "ellipsoid": nearest(mu * self.shared, self.balls.mu * self.shared).distances[:, 0],
            "radii": in_radii(codes, balls).amin(1).clamp_min(0.0).sqrt(),
            "pull": pull,
            "barrier": barrier,
            "kl": pull + barrier,
            "loss": error + pull + barrier,
            "volume": -self.metric.log_volume(mu),
            "averaged volume": -0.5 * averaged(codes, balls).log().sum(1),
        }
        return found | {f"law: {kind}": -law.log_prob(mu) for kind, law in self.laws.items()}


@functools.lru_cache(maxsize=1)
def trained_detector(seed: int) -> tuple[Detector, dict[str, Tensor]]:
    """The detector, and what it says of test images of its classes."""
    test, detector = rc.load_images("fashion", "test"), Detector(seed)
    return detector, detector.scores(test.images[test.labels != LEFT_OUT[seed]][:MOST])


def images_from(elsewhere: str, seed: int) -> Tensor:
    """Images of one kind, ``[n, 1, 28, 28]``."""
    generator = rc.make_generator(seed)
    if elsewhere == "digits":
        images = rc.load_images("digits").images
        images = functional.interpolate(images, size=(28, 28), mode="bilinear")
    elif elsewhere == "rings and disks":
        images = rc.load_images("rings-and-disks").images
    else:
        data = rc.load_images("fashion", "train" if elsewhere == "left-out class" else "test")
        images = data.images[(data.labels == LEFT_OUT[seed]) == (elsewhere == "left-out class")]
    images = images[torch.randperm(len(images), generator=generator)[:MOST]]
    if elsewhere == "inverted":
        return 1.0 - images
    if elsewhere == "shuffled pixels":
        order = torch.rand(images.flatten(1).shape, generator=generator).argsort(1)
        return images.flatten(1).gather(1, order).view_as(images)
    return images


def work(elsewhere: str, seed: int) -> dict[str, object]:
    """AUROC of every score for images of one kind."""
    began = time.process_time()
    detector, known = trained_detector(seed)
    strange = detector.scores(images_from(elsewhere, seed))
    truth = [0] * len(known["error"]) + [1] * len(strange["error"])
    found = {name: float(roc_auc_score(truth, torch.cat([known[name], x]))) for name, x in strange.items()}
    return {"auroc": found, "seconds": time.process_time() - began, "torch": torch.__version__}


if __name__ == "__main__":
    jobs = [{"elsewhere": kind, "seed": seed} for seed in range(len(LEFT_OUT)) for kind in ELSEWHERE]
    run_study("out_of_distribution", SETTINGS, jobs, work)
    print(table("out_of_distribution", "error"))
