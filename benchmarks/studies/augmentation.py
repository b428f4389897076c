"""A use: are draws of a VAE's codes worth labels, and does it take the geometry to make them?

    python benchmarks/studies/augmentation.py

Asked: a classifier has 20, 50 or 200 labeled images a class. A VAE is trained on these same images, laws are
fitted to the codes of one class at a time (widths by codes held out, none by accuracy), and three draws for
each image are decoded and added under the class's label.

Arms of equal cost: all sets have the same size and are trained for the same number of steps. ``copies`` adds
the images themselves and is what all others are held against. ``no addition`` has as many epochs and so a
quarter of the steps: what is often, and wrongly, taken for the null. Further nulls: pixel noise, shifts by up
to two pixels and flips, reconstructions (a walk of zero steps), ``round balls`` (noise of each ball's volume
that has no axes), ``shuffled balls`` (swelled as the balls are, but with other images' radii).
``real images`` adds as many other images of the class, the bound.

Score: balanced accuracy on the 2,000 test images; five seeds, each with images, VAE, first weights and
batches of its own, the same for all arms; paired differences with 95% intervals over seeds.
What would count: balls or kernels above copies, above reconstructions and above the law that lacks their
shape (isotropic, round or shuffled), with intervals above 0 at two sizes at least; of use only if also not
below shifts and flips. About 14 minutes on one core; resumes after a kill.
"""

import math
import time
from typing import NamedTuple

import torch
from resumable import run_study
from torch import Tensor, nn
from torch.nn import functional
from uses import BATCH, rows_of, table, trained

import riemvae_core as rc
from riemvae_core.numerics import seeded_weights

SIZES, SEEDS, EXTRA, STEPS, VAE_STEPS, PIXELS, SHIFT = (20, 50, 200), range(5), 3, 300, 1000, 0.1, 2
LAWS = {
    "round balls": ("aggregate posterior", "even"), "aggregate posterior": ("aggregate posterior", "own"),
    "isotropic": ("isotropic", "own"), "shuffled balls": ("ball", "shuffled"), "balls": ("ball", "own"),
    "kernels": ("kernel", "own"), "gaussian": ("gaussian", "own"),
}  # fmt: skip
CONFIG = {"latent_dim": 8, "network": "mlp", "width": 128}
SETTINGS = {
    "by": ["images_a_class"], "data": "fashion", "vae": CONFIG, "vae_steps": VAE_STEPS,
    "classifier": "convolutions of 8 and 16 channels, stride 2, 64 features", "steps": STEPS,
    "laws": {k: list(v) for k, v in LAWS.items()}, "batch_size": BATCH,
    "draws_an_image": EXTRA, "pixel_noise": PIXELS, "shift": SHIFT,
}  # fmt: skip


class Priced(NamedTuple):
    """What ``rc.fit`` asks for: the loss of each image."""

    total: Tensor


class Judge(nn.Module):
    """A classifier small enough to be trained two hundred times."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with seeded_weights(seed):
            self.logits = nn.Sequential(
                nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.SiLU(),
                nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.SiLU(), nn.Flatten(),
                nn.Linear(16 * 7 * 7, 64), nn.SiLU(), nn.Linear(64, 10),
            )  # fmt: skip

    def losses(self, x: Tensor, labels: Tensor) -> Priced:
        """Cross-entropy in nats."""
        return Priced(functional.cross_entropy(self.logits(x), labels, reduction="none"))


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to ``SHIFT`` pixels, every second one flipped, by chance."""
    n, sides = len(x), torch.arange(x.shape[-1])
    down, right = torch.randint(2 * SHIFT + 1, (2, n, 1), generator=generator) + sides
    moved = functional.pad(x, [SHIFT] * 4)[
        torch.arange(n)[:, None, None], 0, down[:, :, None], right[:, None]
    ]
    flip = torch.rand(n, 1, 1, generator=generator) < 0.5
    return torch.where(flip, moved.flip(2), moved)[:, None]


@torch.no_grad()
def drawn(model: rc.VAE, images: Tensor, labels: Tensor, seed: int) -> tuple[dict[str, Tensor], dict]:
    """Decoded draws of each law, class by class in the order of the labels, and the classes' median width."""
    mu, log_var = model.encode(images)
    other = log_var[torch.randperm(len(mu), generator=rc.make_generator(seed))]
    even = log_var.mean(1, keepdim=True).expand_as(log_var)
    shapes = {"own": log_var, "shuffled": other, "even": even}
    arms, widths = {"reconstructions": model.decode(mu.repeat(EXTRA, 1))}, {}
    for name, (kind, shape) in LAWS.items():
        codes = []
        for c in labels.unique():
            rows = labels == c
            law = rc.fit_law(mu[rows], shapes[shape][rows], kind, generator=rc.make_generator(seed))
            codes.append(law.sample(EXTRA * int(rows.sum()), rc.make_generator(1000 * seed + int(c))))
            widths.setdefault(name, []).append(law.widths.get("h", math.nan))
        arms[name] = model.decode(torch.cat(codes))
    return arms, {name: torch.tensor(h).median().item() for name, h in widths.items() if h[0] == h[0]}


def accuracy(images: Tensor, labels: Tensor, epochs: int, seed: int, test: tuple[Tensor, Tensor]) -> float:
    """Balanced accuracy on the test images after training on these."""
    judge = Judge(seed)
    rc.fit(judge, images, labels, epochs=epochs, batch_size=BATCH, lr=2e-3, seed=seed, progress=False)
    with torch.no_grad():
        right = judge.logits(test[0]).argmax(1) == test[1]
    return torch.stack([right[test[1] == c].double().mean() for c in test[1].unique()]).mean().item()


def work(images_a_class: int, seed: int) -> dict[str, object]:
    """Train a VAE on the images, and a classifier for each arm."""
    began, data, test = time.process_time(), rc.load_images("fashion"), rc.load_images("fashion", "test")
    known = rows_of(data.labels, images_a_class, seed)
    more = rows_of(data.labels, EXTRA * images_a_class, seed, skip=images_a_class)
    images, labels = data.images[known], data.labels[known]
    copies, generator = images.repeat(EXTRA, 1, 1, 1), rc.make_generator(seed)
    noise = PIXELS * rc.standard_normal(copies.shape, copies, generator)
    arms = {
        "copies": copies,
        "real images": data.images[more],
        "pixel noise": (copies + noise).clamp(0, 1),
        "shifts and flips": shifted(copies, generator),
    }
    by_laws, widths = drawn(trained(images, seed, VAE_STEPS, **CONFIG), images, labels, seed)
    arms, repeated, sorted_labels = arms | by_laws, labels.repeat(EXTRA), labels.repeat_interleave(EXTRA)
    epochs = math.ceil(STEPS / math.ceil((1 + EXTRA) * len(images) / BATCH))
    found = {"no addition": accuracy(images, labels, epochs, seed, test)}
    for name, extra in arms.items():
        whose = sorted_labels if name in LAWS or name == "real images" else repeated
        everything = torch.cat([images, extra]), torch.cat([labels, whose])
        found[name] = accuracy(*everything, epochs, seed, test)
    seconds = time.process_time() - began
    return {"accuracy": found, "widths": list(widths.items()), "seconds": seconds, "torch": torch.__version__}


if __name__ == "__main__":
    jobs = [{"images_a_class": n, "seed": seed} for n in SIZES for seed in SEEDS]
    run_study("augmentation", SETTINGS, jobs, work)
    print(table("augmentation", "copies"))
