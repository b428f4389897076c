r"""Many small VAEs of one shape: one after the other, side by side, or as one batched training.

    python benchmarks/many_models.py [--models 5] [--steps 20]

The verdict's study trains five seeds of each model, on 64 images a step, convolutions of width 16, d = 16.
``alone``: a loop over models, each with its own Adam. ``batched``: weights stacked by
``torch.func.stack_module_state``, gradients of all models by one ``vmap``, one Adam. ``beside``: as many
processes as cores, a thread each, which share the models; their start (a second or two) isn't counted. All on
the device that ``rc.default_device`` names; the first two must end with the same weights up to rounding.
Numbers are seconds for a step of all models, and ratios to ``alone``.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable

import torch
from peers.measured import save
from torch.func import functional_call, grad, stack_module_state, vmap

import riemvae_core as rc

BATCH, WIDTH, D = 64, 16, 16


def make(seed: int, device: torch.device) -> rc.VAE:
    """One of the study's models with its first weights."""
    config = rc.ModelConfig((1, 28, 28), latent_dim=D, network="conv", width=WIDTH, beta=0.01)
    return rc.make_model("vae", config, seed).to(device)


def batch(seed: int, step: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and noise of a model's step; images of noise cost what photographs cost."""
    g = rc.make_generator(10**6 * seed + step)
    pair = torch.rand(BATCH, 1, 28, 28, generator=g), torch.randn(BATCH, D, generator=g)
    return tuple(t.to(device) for t in pair)


def optimizer(weights) -> torch.optim.Optimizer:
    """Adam, large enough in epsilon that rounding of tiny gradients isn't blown up to whole steps."""
    return torch.optim.Adam(weights, 1e-3, eps=1e-4)


def finished(device: torch.device) -> float:
    """The time when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def alone(seeds: list[int], steps: int, device: torch.device) -> tuple[float, list[dict]]:
    """Seconds of the steps of all models one after the other, and their weights; the first step warms up."""
    models = [make(seed, device) for seed in seeds]
    optimizers = [optimizer(model.parameters()) for model in models]
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            began = finished(device)
        for seed, model, own in zip(seeds, models, optimizers, strict=True):
            own.zero_grad()
            model.losses(*batch(seed, step, device)).total.mean().backward()
            own.step()
    return finished(device) - began, [dict(model.named_parameters()) for model in models]


def batched(seeds: list[int], steps: int, device: torch.device) -> tuple[float, list[dict]]:
    """The same as one training of stacked weights."""
    models = [make(seed, device) for seed in seeds]
    weights, buffers = stack_module_state(models)
    skeleton = models[0]

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = skeleton

        def forward(self, x: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
            return self.model.losses(x, eps).total.mean()

    loss = Loss()

    def value(weights: dict, buffers: dict, x: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        named = {f"model.{name}": tensor for name, tensor in (weights | buffers).items()}
        return functional_call(loss, named, (x, eps))

    gradients: Callable = vmap(grad(value))
    own, began = optimizer(weights.values()), 0.0
    for step in range(steps + 1):
        if step == 1:
            began = finished(device)
        x, eps = (torch.stack(t) for t in zip(*(batch(s, step, device) for s in seeds), strict=True))
        with torch.no_grad():
            found = gradients({k: v.detach() for k, v in weights.items()}, buffers, x, eps)
        for name, tensor in weights.items():
            tensor.grad = found[name]
        own.step()
    apart = [{name: tensor[i] for name, tensor in weights.items()} for i in range(len(seeds))]
    return finished(device) - began, apart


def _share(seeds: list[int], steps: int, barrier, results) -> None:
    """One process' models; all processes begin together, and each puts its seconds into the queue."""
    torch.set_num_threads(1)
    device = rc.default_device()
    alone(seeds[:1], 1, device)
    barrier.wait()
    results.put(alone(seeds, steps, device)[0])


def beside(seeds: list[int], steps: int) -> float:
    """Seconds of the slowest of as many processes as there are cores."""
    context, n = multiprocessing.get_context("spawn"), min(len(seeds), os.cpu_count() or 1)
    barrier, results = context.Barrier(n), context.Queue()
    shares = [(seeds[i::n], steps, barrier, results) for i in range(n)]
    workers = [context.Process(target=_share, args=share) for share in shares]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return max(found)


def main() -> None:
    """Run the three ways and keep the result."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    seeds, device = list(range(chosen.models)), rc.default_device()
    first, one = alone(seeds, chosen.steps, device)
    second, other = batched(seeds, chosen.steps, device)
    gap = max((a[k] - b[k]).abs().max().item() for a, b in zip(one, other, strict=True) for k in a)
    if gap > 1e-3:
        raise SystemExit(f"both trainings must give the same weights, got a difference of {gap:.1e}")
    ways = {"alone": first, "batched": second, "beside": beside(seeds, chosen.steps)}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    rows = [
        {"way": way, "step": seconds / chosen.steps, "speed": first / seconds}
        for way, seconds in ways.items()
    ]
    for row in rows:
        print(f"{row['way']:8} {row['step']:.3f} s a step of all, {row['speed']:.2f} times as fast")
    save("many_models", device.type, {"device": name, "models": chosen.models, "gap": gap, "rows": rows})


if __name__ == "__main__":
    main()
