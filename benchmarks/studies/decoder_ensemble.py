"""Chapter 8's third study: do distances last when the model is trained again, and do ensembles know gaps?

    python benchmarks/studies/decoder_ensemble.py

One encoder and eight decoders are trained together from each seed (Syrota, Moreno-Munoz and Hauberg 2024).
The average of the decoders' pullback metrics is the pullback of one decoder that stacks all images and
divides by the root of their number, so the core's solver takes it as it stands. The same pairs of held-out
images are joined in every retraining, by the paths of the first 1, 2, 4 and 8 decoders, and by rivals:

- ``alone`` and ``wide``: VAEs with one decoder, of a member's size and of all members' parameters together;
- ``mean``: the metric of the average image, which is the ensemble's without its disagreement;
- ``mirrored``: the same with the disagreement read at -z, as much of it and in the wrong places;
- ``sampled``: the energy that draws another decoder at each of the points (the authors' released code);
- ``balls`` and ``low_cost``: the paths of the posterior balls' metric; straight lines; plain distances.

For each path how near the training codes its inner half passes, at equal steps of the average image: in radii
of the nearest ball, and by the log density of all balls together.
Small nets in the plane, on Fashion-MNIST of 14 x 14 pixels. About a minute a retraining on one core; resumes
after a kill.
"""

import math
import time
import warnings
from typing import NamedTuple

import torch
from resumable import run_study
from torch import Tensor, nn
from torch.nn import functional

import riemvae_core as rc
from riemvae_core.paths import respaced, straight_line

SEEDS, AXES, MEMBERS, PAIRS, EPOCHS = range(5), (2,), 8, 32, 10
POINTS, WAVES, STEPS, MEDOIDS = 25, 8, 80, 40
HOLE = 0.3  # share of the codes that new decoders never see
WIDTH, WIDE = 64, 300  # units of a member's layers, and of one decoder with eight members' parameters
SETTINGS = {
    "data": "fashion", "pixels": 14, "width": 128, "decoder_width": WIDTH, "wide": WIDE, "depth": 2,
    "beta": 0.25, "members": MEMBERS, "pairs": PAIRS, "epochs": EPOCHS, "batch_size": 256, "lr": 2e-3,
    "points": POINTS, "waves": WAVES, "steps": STEPS, "medoids": MEDOIDS, "hole": HOLE,
}  # fmt: skip


class Losses(NamedTuple):
    """Per image."""

    total: Tensor
    reconstruction: Tensor


class Ensemble(nn.Module):
    """One encoder and several decoders, each of which decodes every ball: the mean of their VAE losses.

    The decoders' weights lie in one tensor a layer, so that all of them work at once.
    """

    def __init__(self, d: int, seed: int, members: int) -> None:
        super().__init__()
        self.coder = vae(d, seed, WIDTH)
        self.config = self.coder.config
        decoders = [self.coder.decoder, *(vae(d, 1000 * k + seed, WIDTH).decoder for k in range(1, members))]
        linear = [[layer for layer in x if isinstance(layer, nn.Linear)] for x in decoders]
        layers = list(zip(*linear, strict=True))
        weights = (torch.stack([x.weight.detach().T for x in same]) for same in layers)
        biases = (torch.stack([x.bias.detach() for x in same])[:, None] for same in layers)
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)
        self.coder.decoder = None

    def losses(self, x: Tensor, eps: Tensor) -> Losses:
        mu, log_var = self.coder.encode(x)
        images = self.images(rc.reparameterize(mu, log_var, eps))
        reconstruction = (x - images).square().flatten(2).sum(2).mean(0)
        nats = rc.kl_to_standard_normal(mu, log_var)
        return Losses(reconstruction + self.config.beta * nats, reconstruction)

    def images(self, z: Tensor, first: int = MEMBERS) -> Tensor:
        """What each of the first decoders makes of codes, ``[first, n, 1, h, w]``."""
        x = z.expand(min(first, len(self.weights[0])), *z.shape)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[:first], functional.silu(x) if k else x, weight[:first])
        return torch.sigmoid(x).unflatten(-1, self.config.image_shape)


def vae(d: int, seed: int, decoder_width: int) -> rc.VAE:
    shape = {"image_shape": (1, 14, 14), "width": 128, "decoder_width": decoder_width, "depth": 2}
    return rc.make_model("vae", rc.ModelConfig(latent_dim=d, beta=SETTINGS["beta"], **shape), seed)


def small(images: Tensor) -> Tensor:
    """Means of 2 x 2 pixels: a quarter of the numbers, so that many trainings are cheap."""
    return functional.avg_pool2d(images, 2)


def stacked(images, n: int):
    """The first n decoders as one, whose pullback metric is the average of theirs."""
    return lambda z: images(z, n).movedim(0, 1) / math.sqrt(n)


def average(images):
    return lambda z: images(z).mean(0)


def mirrored(images):
    """The average image, and beside it what the members disagree about at the opposite place."""

    def decode(z: Tensor) -> Tensor:
        here, there = images(z).movedim(0, 1), images(-z).movedim(0, 1)
        apart = (there - there.mean(1, keepdim=True)) / math.sqrt(there.shape[1])
        return torch.cat([here.mean(1, keepdim=True), apart], 1)

    return decode


def work(d: int, seed: int) -> dict[str, object]:
    """Train an ensemble and its two rivals once, and measure all pairs."""
    train, test = (small(rc.load_images("fashion", split).images) for split in ("train", "test"))
    everywhere = torch.randperm(len(test), generator=rc.make_generator(0))[: 2 * PAIRS]
    picked = test[everywhere]  # the same in all retrainings
    ensemble = Ensemble(d, seed, MEMBERS)
    seconds = {"train": trained(ensemble, train, seed)}
    result = {"distance": {}, "radii": {}, "density": {}, "converged": {}, "seconds": seconds}
    balls, ends = encoded(ensemble.coder, train, picked)
    for name, curve, length in ensemble_paths(ensemble, ends, result):
        note(result, name, curve, length, average(ensemble.images), balls)
    for name, curve, length in ball_paths(balls, ends, result):
        note(result, name, curve, length, average(ensemble.images), balls)
    plain = {"euclid": torch.eye(d), "whitened": torch.linalg.inv(balls.mu.T.cov())}
    step = ends[1] - ends[0]
    for name, matrix in plain.items():
        result["distance"][name] = rounded((step @ matrix * step).sum(1).sqrt())
    images = average(ensemble.images)(torch.cat(ends)).flatten(1)
    result["distance"]["chord"] = rounded((images[:PAIRS] - images[PAIRS:]).norm(dim=1))
    result["distance"]["pixels"] = rounded((picked[:PAIRS] - picked[PAIRS:]).flatten(1).norm(dim=1))
    for name, width in (("alone", WIDTH), ("wide", WIDE)):
        model = vae(d, seed, width)
        seconds[f"train_{name}"] = trained(model, train, seed)
        own_balls, own_ends = encoded(model, train, picked)
        path = solved(result, name, model.decode, *own_ends)
        note(result, name, path.curve, path.length, model.decode, own_balls)
        result["distance"][f"euclid_{name}"] = rounded((own_ends[1] - own_ends[0]).norm(dim=1))
    result |= {"gaps": gaps(ensemble, balls, seed), "sums": sums(ensemble, ends)}
    return result | {"hole": hole(ensemble, train, test, balls, seed)}


def trained(model: nn.Module, train: Tensor, seed: int) -> float:
    """Train, freeze, and say for how many seconds of the processor."""
    began = time.process_time()
    rc.fit(model, train, epochs=EPOCHS, batch_size=256, lr=2e-3, seed=seed, progress=False)
    model.eval().requires_grad_(False)
    return time.process_time() - began


def encoded(model: rc.VAE, train: Tensor, picked: Tensor) -> tuple[rc.Balls, tuple[Tensor, Tensor]]:
    return model.encode(train), rc.centers(model, picked).split(PAIRS)


# ---- paths


def solved(result, name: str, decode, a: Tensor, b: Tensor) -> rc.Geodesic:
    began = time.process_time()
    path = rc.shortest_decoded(decode, a, b, POINTS, waves=WAVES, max_steps=STEPS)
    result["seconds"][name] = time.process_time() - began
    result["converged"][name] = int(path.converged.sum())
    return path


def ensemble_paths(ensemble: Ensemble, ends, result):
    """Name, curve and length of each path that the decoders draw."""
    images, line = ensemble.images, straight_line(*ends, POINTS)
    yield "straight", line, rc.decoded_steps(stacked(images, 1), line).sum(1)
    yield "straight_8", line, rc.decoded_steps(stacked(images, MEMBERS), line).sum(1)
    decoders = {f"first_{n}": stacked(images, n) for n in (1, 2, 4, 8)}
    decoders |= {"mean": average(images), "mirrored": mirrored(images)}
    for name, decode in decoders.items():
        path = solved(result, name, decode, *ends)
        yield name, path.curve, path.length
    yield "sampled", *sampled(ensemble, *ends)


def ball_paths(balls: rc.Balls, ends, result):
    fitted = rc.PosteriorMetric.fit(*(part[:2000] for part in balls), MEDOIDS, generator=rc.make_generator(0))
    metric = rc.PosteriorMetric(fitted.mu.double(), fitted.log_var.double(), fitted.rho, fitted.lam, tau=0.0)
    for name, solve in (("balls", rc.geodesic), ("low_cost", rc.low_cost_path)):
        began = time.process_time()
        path = solve(metric, *(end.double() for end in ends), POINTS, nodes=metric.mu, max_steps=100)
        result["seconds"][name] = time.process_time() - began
        result["converged"][name] = int(path.converged.sum())
        yield name, path.curve.float(), path.length.float()


def sampled_squares(images, curve: Tensor) -> Tensor:
    """Expected squared steps if each point's image comes from a member drawn anew: the average image's, and
    the variance at both ends."""
    every = images(curve.flatten(0, 1)).flatten(2).unflatten(1, curve.shape[:2])
    mean = every.mean(0)
    spread = (every - mean).square().sum(-1).mean(0)
    return mean.diff(dim=1).square().sum(-1) + spread[:, 1:] + spread[:, :-1]


def sampled(ensemble: Ensemble, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The curve of least sampled energy among straight lines plus sine waves, and its length."""
    line, order = straight_line(a, b, POINTS), torch.arange(1, WAVES + 1)[:, None]
    shapes = torch.sin(math.pi * order * torch.linspace(0, 1, POINTS)) / order
    shapes[:, [0, -1]] = 0.0
    size = torch.zeros(len(a), WAVES, a.shape[1], requires_grad=True)

    def bent() -> Tensor:
        return line + torch.einsum("bmd,mt->btd", size, shapes)

    search = torch.optim.LBFGS([size], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = (POINTS - 1) * sampled_squares(ensemble.images, bent()).sum()
        loss.backward()
        return loss

    search.step(closure)
    curve = bent().detach()
    return curve, sampled_squares(ensemble.images, curve).sqrt().sum(1)


# ---- what is measured of them


def note(result, name: str, curve: Tensor, length: Tensor, decode, balls: rc.Balls) -> None:
    """Keep a path's length and how near the training codes its inner half passes."""
    even = respaced(curve, rc.decoded_steps(decode, curve), POINTS)
    inner = even[:, POINTS // 4 : -(POINTS // 4) : 2]
    squares, density = against(balls, inner.flatten(0, 1))
    result["distance"][name] = rounded(length)
    result["radii"][name] = rounded(squares.sqrt().reshape(inner.shape[:2]).mean(1))
    result["density"][name] = rounded(density.reshape(inner.shape[:2]).mean(1))


def against(balls: rc.Balls, z: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance to the nearest ball in its radii; log density of all balls with equal weights."""
    precision = torch.exp(-balls.log_var)
    parts = []
    for rows in z.split(256):
        square = rows.square() @ precision.T - 2 * rows @ (balls.mu * precision).T
        square = (square + (balls.mu.square() * precision).sum(1)).clamp_min(0.0)
        parts.append((square.amin(1), torch.logsumexp(-0.5 * (square + balls.log_var.sum(1)), 1)))
    nearest, density = (torch.cat(part) for part in zip(*parts, strict=True))
    return nearest, density - math.log(len(balls.mu)) - 0.5 * z.shape[1] * math.log(2 * math.pi)


def gaps(ensemble: Ensemble, balls: rc.Balls, seed: int, n: int = 600) -> dict[str, float]:
    """On lines between codes, how the metric and its part from disagreement go with the density there."""
    generator = rc.make_generator(seed)
    i, j = torch.randint(len(balls.mu), (2, n), generator=generator)
    z = balls.mu[i] + torch.rand(n, 1, generator=generator) * (balls.mu[j] - balls.mu[i])
    apart, whole = disagreement(ensemble, z)
    density = against(balls, z)[1]
    parts = {"share": apart / whole, "apart": apart, "mean": whole - apart}
    found = {name: rank_correlation(density, part) for name, part in parts.items()}
    return found | {"share_median": parts["share"].median().item()}


def disagreement(ensemble: Ensemble, z: Tensor) -> tuple[Tensor, Tensor]:
    """Trace of the averaged metric: the part that the average image lacks, and the whole."""
    decoders = stacked(ensemble.images, MEMBERS), average(ensemble.images)
    whole, mean = (rc.PullbackMetric(x)(z).diagonal(dim1=1, dim2=2).sum(1) for x in decoders)
    return whole - mean, whole


def hole(ensemble: Ensemble, train: Tensor, test: Tensor, balls: rc.Balls, seed: int) -> dict[str, object]:
    """A gap that is known to be there: the encoder stays, new decoders never see the middle codes.

    Which part of the metric is disagreement within the hole and outside, and which share of their plain
    length paths across it spend there, by the decoders that have seen its codes and those that have not.
    """
    middle = balls.mu.mean(0)
    away = (balls.mu - middle).norm(dim=1)
    radius = away.quantile(HOLE)
    holed = Ensemble(balls.mu.shape[1], 500 + seed, MEMBERS)
    holed.coder.load_state_dict(ensemble.coder.state_dict())
    holed.coder.requires_grad_(False)
    trained(holed, train[away > radius], seed)
    codes = rc.centers(ensemble.coder, test)
    a, b = codes[torch.randperm(len(codes), generator=rc.make_generator(seed))[:800]].split(400)
    across = within(straight_line(a, b, 50), middle, radius) > 0.2
    for end in (a, b):
        across &= (end - middle).norm(dim=1) > radius
    a, b = a[across][:PAIRS], b[across][:PAIRS]
    own = balls.log_var.exp().mean(1).sqrt().median().item()
    found = {"radius": radius.item(), "ball_radius": own, "pairs": len(a), "apart": {}}
    found["share"] = {"straight": rounded(within(straight_line(a, b, 50), middle, radius))}
    for name, each in (("seen", ensemble), ("unseen", holed)):
        z = balls.mu[torch.randperm(len(away), generator=rc.make_generator(seed))[:1500]]
        inside = (z - middle).norm(dim=1) < radius
        apart, whole = disagreement(each, z)
        part = apart / whole
        found["apart"][name] = {
            "inside": part[inside].median().item(),
            "outside": part[~inside].median().item(),
        }
        for n in (1, MEMBERS):
            path = rc.shortest_decoded(stacked(each.images, n), a, b, POINTS, waves=WAVES, max_steps=STEPS)
            found["share"][f"{name}_{n}"] = rounded(within(path.curve, middle, radius))
    return found


def within(curve: Tensor, middle: Tensor, radius: Tensor) -> Tensor:
    """Which share of a curve's plain length lies within a ball."""
    even = respaced(curve, curve.diff(dim=1).norm(dim=-1), 200)
    return ((even - middle).norm(dim=-1) < radius).float().mean(1)


def sums(ensemble: Ensemble, ends) -> dict[str, float]:
    """Mean length of straight lines with more and more points: sampled steps, and the stacked images'."""
    found = {}
    for points in (9, 33, 129):
        line = straight_line(*ends, points)
        found[f"sampled_{points}"] = sampled_squares(ensemble.images, line).sqrt().sum(1).mean().item()
        steps = rc.decoded_steps(stacked(ensemble.images, MEMBERS), line)
        found[f"stacked_{points}"] = steps.sum(1).mean().item()
    return found


def rank_correlation(x: Tensor, y: Tensor) -> float:
    ranks = torch.stack([v.argsort().argsort().double() for v in (x, y)])
    return torch.corrcoef(ranks)[0, 1].item()


def rounded(values: Tensor) -> list[float]:
    return [float(f"{v:.5g}") for v in values.tolist()]


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", rc.PathWarning)  # how many converged is written down
    jobs = [{"d": d, "seed": seed} for d in AXES for seed in SEEDS]
    run_study("decoder_ensemble", SETTINGS, jobs, work)
