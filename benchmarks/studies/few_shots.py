r"""A use: a class known by a few images. Does the shape of the cloud around them say how to vary them?

    python benchmarks/studies/few_shots.py

A VAE is trained without labels, with 400 images of a class among its own or with none. The class is then
known by 5, 20 or 100 other images. New codes are drawn by kernels $N(\mu_i,h^2S_i)$ around theirs, whose
shape S is borrowed: ``local`` is the covariance of the 50 nearest codes of the cloud, ``balls`` the image's
own ball. Against them: ``isotropic``; ``own``, the covariance of the few; ``global``, that of the cloud; one
``gaussian`` of the few, shrunk toward the cloud's; and the nulls. ``local, elsewhere`` and ``balls,
elsewhere`` have the shapes of random codes of the cloud; ``copies`` are the codes themselves; ``neighbors``
takes one of the ten nearest codes of the cloud, as they are. Widths h and shares of a plain shape are chosen
by the likelihood of the few codes, each left out in turn, and nothing else. Starts and noise are the same.
Added when the first results were known, for the class absent: ``isotropic, wider``, the same draws half as
far again from their starts, since local ones went further; ``shared``, the mean of all local covariances of
the cloud, and ``mean ball``, one shape for all codes in place of each its own.

Score: Frechet distance and coverage, in features of the zoo's classifier, between 300 draws and
reconstructions of 300 unseen images of the class; novelty against the few. ``unseen`` are reconstructions of
300 others, the bound. Four classes, averaged within each of five seeds; the model that has seen all classes
is shared by the four. Intervals over seeds.
What would count: local nearer than isotropic, than global, and than local of elsewhere, with intervals of the
paired differences below 0, for the class absent. About ten minutes on one core; resumes after a kill.
"""

import functools
import math
import time
from typing import NamedTuple

import torch
from resumable import run_study
from torch import Tensor
from uses import BATCH, rows_of, table, trained

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.neighbors import nearest

CLASSES, SIZES, SEEDS = (1, 3, 5, 8), (5, 20, 100), range(5)  # trousers, dresses, sandals, bags
TRAIN, DRAWS, NEAR, TAKEN, STEPS = 400, 300, 50, 10, 800
SHARES, WIDTHS, WIDER = (0.1, 0.3, 1.0), torch.logspace(-2, 1, 46, dtype=torch.float64), 1.5
CONFIG = {"latent_dim": 16, "network": "mlp", "width": 128}
SETTINGS = {
    "by": ["cloud", "images"], "data": "fashion", "vae": CONFIG, "vae_steps": STEPS, "batch_size": BATCH,
    "train_images_a_class": TRAIN, "draws": DRAWS, "neighbors_of_a_shape": NEAR, "neighbors_taken": TAKEN,
    "shares": list(SHARES), "widths": [0.01, 10.0, 46], "wider": WIDER, "classifier": "fashion-classifier",
}  # fmt: skip


class Kernels(NamedTuple):
    """Centers and shapes of kernels; those that code j sees when it is left out; which pairs don't count."""

    centers: Tensor  # [k, d]
    shapes: Tensor  # [k or 1, d, d]
    seen_centers: Tensor  # [n or 1, k, d]
    seen_shapes: Tensor  # [n or 1, k or 1, d, d]
    out: Tensor  # [n, k]


def around(mu: Tensor, shapes: Tensor, seen: Tensor | None = None) -> Kernels:
    """A kernel at each code."""
    return Kernels(mu, shapes, mu[None], shapes[None] if seen is None else seen, torch.eye(len(mu)).bool())


def shrunk(shapes: Tensor, share: float, target: Tensor | None = None) -> Tensor:
    """Shapes with a share of a target of the same trace, round without one."""
    target = torch.eye(shapes.shape[-1], dtype=shapes.dtype) if target is None else target
    size = shapes.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] / target.trace()
    return (1.0 - share) * shapes + share * size * target


def chosen(mu: Tensor, tried: list[Kernels]) -> tuple[Kernels, float]:
    """The kernels and the width with the largest mean log density of codes left out."""
    best = (-math.inf, tried[0], 1.0)
    for kernels in tried:
        root = torch.linalg.cholesky(kernels.seen_shapes)
        apart = (mu[:, None] - kernels.seen_centers)[..., None]
        squares = (torch.linalg.inv(root) @ apart).square().sum((2, 3))
        logs = -0.5 * squares / WIDTHS.square()[:, None, None] - mu.shape[1] * WIDTHS.log()[:, None, None]
        logs = logs - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        value = torch.logsumexp(logs.masked_fill(kernels.out, -math.inf), 2).mean(1)
        value = value - math.log(max(1, kernels.out.shape[1] - 1))
        if value.max() > best[0]:
            best = (value.max().item(), kernels, WIDTHS[value.argmax()].item())
    return best[1], best[2]


def covariance(rows: Tensor) -> Tensor:
    """Covariances of groups of rows, [*, d, d]."""
    apart = rows - rows.mean(-2, keepdim=True)
    return apart.mT @ apart / (rows.shape[-2] - 1)


def local(centers: Tensor, cloud: rc.Balls) -> Tensor:
    """The covariance of the codes of the cloud about each center, ``[n, d, d]``."""
    unit = cloud.mu.std(0)
    return covariance(cloud.mu[nearest(centers / unit, cloud.mu / unit, NEAR).indices])


def laws(few: rc.Balls, cloud: rc.Balls, generator: torch.Generator) -> dict[str, list[Kernels]]:
    """What each law may be, before width and share are chosen."""
    mu, n, d = few.mu, *few.mu.shape
    whole, eye = covariance(cloud.mu), torch.eye(d, dtype=few.mu.dtype)
    elsewhere = torch.randperm(len(cloud.mu), generator=generator)[:n]
    rest = torch.arange(n).expand(n, n)[~torch.eye(n).bool()].view(n, n - 1)
    own, own_seen = covariance(mu)[None], covariance(mu[rest])[:, None]
    tried = {
        "isotropic": [around(mu, eye[None])],
        "global": [around(mu, whole[None])],
        "own": [around(mu, shrunk(own, s), shrunk(own_seen, s)) for s in SHARES],
        "gaussian": [
            Kernels(
                mu.mean(0, keepdim=True),
                shrunk(own, s, whole),
                mu[rest].mean(1, keepdim=True),
                shrunk(own_seen, s, whole),
                torch.zeros(n, 1).bool(),
            )
            for s in SHARES
        ],
    }
    for name, centers in (("local", mu), ("local, elsewhere", cloud.mu[elsewhere])):
        tried[name] = [around(mu, shrunk(local(centers, cloud), s)) for s in SHARES]
    for name, log_var in (("balls", few.log_var), ("balls, elsewhere", cloud.log_var[elsewhere])):
        tried[name] = [around(mu, torch.diag_embed(log_var.exp()))]
    return tried


def one_shape(few: rc.Balls, cloud: rc.Balls) -> dict[str, list[Kernels]]:
    """Laws in which all codes have one shape: the cloud's mean local covariance, its mean ball."""
    mean = local(cloud.mu, cloud).mean(0, keepdim=True)
    ball = torch.diag_embed(cloud.log_var.exp().mean(0, keepdim=True))
    return {
        "shared": [around(few.mu, shrunk(mean, s)) for s in SHARES],
        "mean ball": [around(few.mu, ball)],
    }


@functools.lru_cache(maxsize=1)
def seen_without(label: int | None, seed: int) -> tuple[rc.VAE, rc.Balls]:
    """A VAE that was trained without one class, or with all, and its cloud."""
    data = rc.load_images("fashion")
    rows = rows_of(data.labels, TRAIN, seed)
    images = data.images[rows[data.labels[rows] != label] if label is not None else rows]
    model = trained(images, seed, STEPS, **CONFIG)
    with torch.no_grad():
        return model, rc.Balls(*(part.double() for part in model.encode(images)))


@functools.lru_cache(maxsize=1)
def judge():
    """The classifier whose features are compared."""
    return zoo.load("fashion-classifier")


@torch.no_grad()
def work(cloud: str, seed: int, label: int, images: int) -> dict[str, object]:
    """Draw from every law around a few codes of one class, and score the decoded draws."""
    began, data = time.process_time(), rc.load_images("fashion")
    with torch.enable_grad():
        model, known = seen_without(label if cloud == "absent" else None, seed)
    rows = rows_of(data.labels, 10**6, seed)
    rows = rows[data.labels[rows] == label][TRAIN:]
    few, kept, others = rows[:images], rows[100 : 100 + DRAWS], rows[100 + DRAWS : 100 + 2 * DRAWS]
    balls = rc.Balls(*(part.double() for part in model.encode(data.images[few])))
    generator = rc.make_generator(1000 * seed + 10 * label)
    start = torch.randint(images, (DRAWS,), generator=generator)
    eps = torch.randn(DRAWS, balls.mu.shape[1], generator=generator, dtype=torch.float64)
    taken = nearest(balls.mu[start], known.mu, TAKEN).indices
    pick = torch.randint(TAKEN, (DRAWS, 1), generator=generator)
    codes, widths = {"copies": balls.mu[start], "neighbors": known.mu[taken.gather(1, pick)[:, 0]]}, []
    added = one_shape(balls, known) if cloud == "absent" else {}
    for name, tried in (laws(balls, known, generator) | added).items():
        kernels, h = chosen(balls.mu, tried)
        roots, place = torch.linalg.cholesky(kernels.shapes), start.clamp(max=len(kernels.centers) - 1)
        noise = roots[place.clamp(max=len(roots) - 1)] @ eps[:, :, None]
        codes[name] = kernels.centers[place] + h * noise[:, :, 0]
        widths.append([name, h])
    if added:
        codes["isotropic, wider"] = balls.mu[start] + WIDER * (codes["isotropic"] - balls.mu[start])
    codes["unseen"] = model.encode(data.images[others]).mu

    def seen(z: Tensor) -> Tensor:
        return judge().features(model.decode(z.float()))

    reference, copies = seen(model.encode(data.images[kept]).mu), seen(balls.mu)
    found = {name: seen(z) for name, z in codes.items()}
    scores = {name: rc.sampler_distance(fake, reference) for name, fake in found.items()}
    return {
        "distance": {name: round(score.frechet, 4) for name, score in scores.items()},
        "coverage": {name: round(score.coverage, 4) for name, score in scores.items()},
        "novelty": {name: round(rc.novelty(fake, copies, reference), 4) for name, fake in found.items()},
        "widths": widths,
        "seconds": time.process_time() - began,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    jobs = [
        {"cloud": cloud, "seed": seed, "label": label, "images": images}
        for seed in SEEDS
        for cloud in ("present", "absent")
        for label in CLASSES
        for images in SIZES
    ]
    run_study("few_shots", SETTINGS, jobs, work)
    print(table("few_shots", "isotropic"))
