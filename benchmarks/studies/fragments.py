"""Chapter 4's study of many codes an image: 1 to 32 vectors for each image, each from its own codebook of 64.

    python benchmarks/studies/fragments.py

An MLP emits M vectors of 4 coordinates for each image, each is replaced by the nearest code of its place, and
the decoder reads all of them. For each trained model: the error of held-out images; how many different
combinations of codes the training images have, and what share of held-out images has one of them; nats, to
tell a held-out image's codes by independent shares of each place (every code counted once in advance); how
many of the 784 pixels one vector changes, when it is replaced by that of another image (the squared sum of
the squared changes over the sum of their squares); and Frechet distances (features of the zoo's classifier,
1,000 images against 1,000 held-out ones) of: reconstructions of other held-out images; ``crossed``, a random
half of these images' vectors replaced by those of another image; ``histogram``, each place drawn by its own
shares; and ``uniform``. About eight minutes on one core; results are written after every model, and a run
that was killed goes on where it was.
"""

import math
from typing import NamedTuple

import torch
from resumable import run_study
from torch import Tensor, nn

import riemvae_core as rc
from riemvae_core.models import zoo

SEEDS, VECTORS, EPOCHS, K, C = range(3), (1, 2, 4, 8, 16, 32), 12, 64, 4
COMMITMENT, DECAY, DEAD, LR = 0.25, 0.9, 0.1, 3e-3
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "n_codes": K,
    "code_dim": C, "commitment": COMMITMENT, "decay": DECAY, "dead_share": DEAD, "epochs": EPOCHS, "lr": LR,
    "draws": 1000, "classifier": "fashion-classifier",
}  # fmt: skip


class Losses(NamedTuple):
    """Per image, nothing averaged."""

    total: Tensor


class ManyVectors(nn.Module):
    """An autoencoder whose code is cut into M vectors; each snaps to the codebook of its place."""

    def __init__(self, m: int, seed: int) -> None:
        super().__init__()
        config = rc.ModelConfig(latent_dim=m * C, width=256, decoder_width=128, depth=3)
        self.net, self.config = rc.make_model("ae", config, seed), config
        self.register_buffer("codebook", torch.zeros(m, K, C))
        self.register_buffer("counts", torch.ones(m, K))

    def points(self, x: Tensor) -> Tensor:
        """The vectors of each image, [m, n, c]."""
        return self.net.encode(x).reshape(len(x), -1, C).transpose(0, 1)

    def codes(self, z: Tensor) -> Tensor:
        """The nearest codes, [m, n]."""
        return torch.cdist(z, self.codebook).argmin(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes [m, n] as vectors, [m, n, c]."""
        return self.codebook.gather(1, codes[..., None].expand(-1, -1, C))

    def decode(self, e: Tensor) -> Tensor:
        """Images for vectors [m, n, c]."""
        return self.net.decode(e.transpose(0, 1).flatten(1))

    def losses(self, x: Tensor, eps: Tensor) -> Losses:
        """The VQ-VAE's loss; in training mode the codebooks follow by moving averages."""
        z = self.points(x)
        codes = self.codes(z.detach())
        e = self.vectors(codes)
        commitment = (z - e).square().sum((0, 2))
        shown = rc.straight_through(z, e).transpose(0, 1).flatten(1)
        if self.training:
            self._learn(z.detach(), codes, eps)
        return Losses(self.net.reconstruction_loss(x, shown) + COMMITMENT * commitment)

    @torch.no_grad()
    def _learn(self, z: Tensor, codes: Tensor, eps: Tensor) -> None:
        """Moving averages at each place; a dead code goes to a point of its place."""
        one = nn.functional.one_hot(codes, K).to(z.dtype)
        counts = torch.lerp(one.sum(1), self.counts, DECAY)
        sums = torch.lerp(one.mT @ z, self.counts[..., None] * self.codebook, DECAY)
        least = DEAD * counts.mean(-1, keepdim=True)
        dead = counts < least
        order = eps.reshape(len(eps), -1, C)[..., 0].argsort(0).T[:, torch.arange(K) % len(eps)]
        fresh = z.gather(1, order[..., None].expand(-1, -1, C))
        self.codebook.copy_(torch.where(dead[..., None], fresh, sums / counts.clamp(min=1e-5)[..., None]))
        self.counts.copy_(torch.where(dead, least, counts))

    @torch.no_grad()
    def start(self, x: Tensor, generator: torch.Generator) -> None:
        """Every codebook on k-means centers of some points of its place."""
        some = x[torch.randperm(len(x), generator=generator)[: 32 * K]]
        for place, z in enumerate(self.points(some)):
            self.codebook[place] = rc.kmeans_codebook(z.contiguous(), K, generator).codebook


@torch.no_grad()
def measure(model: ManyVectors, train: Tensor, test: Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model."""
    generator, judge = rc.make_generator(1000 + seed), zoo.load("fashion-classifier")
    codes, held_out = (model.codes(model.points(x)).T for x in (train, test))
    own, m = held_out[1000:], held_out.shape[1]
    partner = own[torch.randperm(1000, generator=generator)]
    half = torch.rand(own.shape, generator=generator).argsort(-1) < m // 2
    shares = rc.histogram_prior(codes, K, 1.0)
    drawn = {
        "reconstruction": own,
        "crossed": torch.where(half, partner, own),
        "histogram": shares.sample(1000, generator),
        "uniform": torch.randint(K, own.shape, generator=generator),
    }

    def decode(codes: Tensor) -> Tensor:
        return model.decode(model.vectors(codes.T))

    real = judge.features(test[:1000])
    one = torch.arange(m) == torch.randint(m, (1000, 1), generator=generator)
    change = (decode(torch.where(one, partner, own)) - decode(own)).flatten(1).square()
    kept = change[change.sum(-1) > 1e-3]
    known = {tuple(row) for row in codes.tolist()}
    return {
        "error": (decode(held_out) - test).square().flatten(1).sum(-1).mean().item(),
        "train_error": (decode(codes) - train).square().flatten(1).sum(-1).mean().item(),
        "used": sum(len(place.unique()) for place in codes.T) / m,
        "combinations": len(known),
        "known_share": sum(tuple(row) in known for row in held_out.tolist()) / len(held_out),
        "nats": -shares.log_prob(held_out).mean().item(),
        "uniform_nats": m * math.log(K),
        "pixels": (kept.sum(-1).square() / kept.square().sum(-1)).mean().item(),
        "frechet": {n: rc.frechet_distance(real, judge.features(decode(c))) for n, c in drawn.items()},
    }


def work(m: int, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    model = ManyVectors(m, seed)
    model.start(train, rc.make_generator(seed))
    rc.fit(model, train, epochs=EPOCHS, lr=LR, seed=seed, progress=False)
    return measure(model, train, test, seed)


if __name__ == "__main__":
    run_study("fragments", SETTINGS, [{"m": m, "seed": seed} for seed in SEEDS for m in VECTORS], work)
