"""Encoder bodies (images to features) and decoders (codes to logits): MLP, conv, grid, a published one."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
}


class Networks(NamedTuple):
    """An encoder body, how many features it gives, a decoder from ``[b, d]`` to logits ``[b, c, h, w]``."""

    body: nn.Module
    features: int
    decoder: nn.Module


def make_networks(
    name: str,
    image_shape: tuple[int, int, int],
    latent_dim: int,
    *,
    width: int,
    decoder_width: int | None = None,
    depth: int,
    activation: str,
) -> Networks:
    """Build a named pair: ``mlp``, ``conv`` (light), ``grid``, ``paper-conv`` (Chadebec, Allassonniere 2022).

    ``width`` and ``depth`` are the units of a hidden layer and their number (for ``conv``: the channels of
    the first layer; its depth is fixed). ``depth=0`` gives a linear map. ``decoder_width`` is ``width``
    unless given. ``grid`` is convolutions only: features and codes are [b, h/4, w/4, .], a vector in each
    place; ``width`` are its channels and ``depth`` the 3 x 3 layers at that size. Raises ValueError for an
    unknown name or activation, or sizes that the net can't take.
    """
    if name not in list(_BUILDERS):
        raise ValueError(f"network must be one of {', '.join(_BUILDERS)}, got {name!r}")
    if activation not in list(ACTIVATIONS):
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    widths = (width, width if decoder_width is None else decoder_width)
    if len(image_shape) != 3 or min(*widths, latent_dim, *image_shape) < 1 or depth < 0:
        raise ValueError(
            "width, decoder_width, latent_dim and image_shape (c, h, w) must be positive, depth at least 0, "
            f"got {width}, {decoder_width}, {latent_dim}, {image_shape}, {depth}"
        )
    return _BUILDERS[name](image_shape, latent_dim, widths, depth, ACTIVATIONS[activation])


def _stack(sizes: list[int], activation: Callable[[], nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return layers


def _mlp(image_shape, latent_dim, widths, depth, activation) -> Networks:
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    body = nn.Sequential(nn.Flatten(), *_stack([pixels] + [widths[0]] * depth, activation))
    hidden = _stack([latent_dim] + [widths[1]] * depth, activation)
    last = nn.Linear(widths[1] if depth else latent_dim, pixels)
    decoder = nn.Sequential(*hidden, last, nn.Unflatten(-1, image_shape))
    return Networks(body, widths[0] if depth else pixels, decoder)


def _conv(image_shape, latent_dim, widths, depth, activation) -> Networks:
    c, h, w = image_shape
    if h % 4 or w % 4:
        raise ValueError(f"image_shape must have sides divisible by 4 for network 'conv', got {h} x {w}")
    k, m = widths
    body = nn.Sequential(
        nn.Conv2d(c, k, 3, stride=2, padding=1), activation(),  # h/2
        nn.Conv2d(k, 2 * k, 3, stride=2, padding=1), activation(),  # h/4
        nn.Conv2d(2 * k, 2 * k, 3, padding=1), activation(),
        nn.Flatten(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 2 * m * (h // 4) * (w // 4)), activation(),
        nn.Unflatten(-1, (2 * m, h // 4, w // 4)),
        nn.Conv2d(2 * m, 2 * m, 3, padding=1), activation(),
        nn.ConvTranspose2d(2 * m, m, 4, stride=2, padding=1), activation(),  # h/2
        nn.ConvTranspose2d(m, c, 4, stride=2, padding=1),  # h
    )  # fmt: skip
    return Networks(body, 2 * k * (h // 4) * (w // 4), decoder)


class _Permute(nn.Module):
    """Axes in another order: channels last for what works on each place alone, first for convolutions."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


def _grid(image_shape, latent_dim, widths, depth, activation) -> Networks:
    c, h, w = image_shape
    if h % 4 or w % 4:
        raise ValueError(f"image_shape must have sides divisible by 4 for network 'grid', got {h} x {w}")
    k, m = widths
    body = [nn.Conv2d(c, k, 4, stride=2, padding=1), activation()]  # h/2
    body += [nn.Conv2d(k, k, 4, stride=2, padding=1), activation()]  # h/4
    decoder = [nn.Linear(latent_dim, m), _Permute(0, 3, 1, 2), activation()]
    for _ in range(depth):
        body += [nn.Conv2d(k, k, 3, padding=1), activation()]
        decoder += [nn.Conv2d(m, m, 3, padding=1), activation()]
    decoder += [nn.ConvTranspose2d(m, m, 4, stride=2, padding=1), activation()]  # h/2
    decoder += [nn.ConvTranspose2d(m, c, 4, stride=2, padding=1)]  # h
    return Networks(nn.Sequential(*body, _Permute(0, 2, 3, 1)), k, nn.Sequential(*decoder))


def _paper_conv(image_shape, latent_dim, widths, depth, activation) -> Networks:
    """The net of Chadebec and Allassonniere (2022) for MNIST and CIFAR10, as their code builds it."""
    c, h, w = image_shape
    if (h, w) != (32, 32):
        raise ValueError(
            f"image_shape must be 32 x 32 for network 'paper-conv', got {h} x {w}: use pad_to=32"
        )
    encoder: list[nn.Module] = []
    for n_in, n_out in ((c, 128), (128, 256), (256, 512), (512, 1024)):
        encoder += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 1024 * 8 * 8), nn.Unflatten(-1, (1024, 8, 8)),
        nn.ConvTranspose2d(1024, 512, 4, stride=2, padding=1), nn.BatchNorm2d(512), nn.ReLU(),  # 16
        nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(256),  # 33
        nn.ReLU(),
        nn.ConvTranspose2d(256, c, 4, stride=1, padding=2),  # 32
    )  # fmt: skip
    return Networks(nn.Sequential(*encoder, nn.Flatten()), 1024 * 2 * 2, decoder)


_BUILDERS = {"mlp": _mlp, "conv": _conv, "grid": _grid, "paper-conv": _paper_conv}


def count_parameters(module: nn.Module) -> int:
    """The number of trained scalars in a module.

    Example:
        >>> rc.count_parameters(torch.nn.Linear(3, 2))  # 3 x 2 weights and 2 biases
        8
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def decoder_layers(decoder: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weights ``[m, n]`` and biases ``[m]`` of an MLP decoder, first layer first.

    The live figures pack them. Raises ValueError for a decoder with convolutions.

    Example:
        >>> from riemvae_core.models import decoder_layers, zoo
        >>> [tuple(weight.shape) for weight, _ in decoder_layers(zoo.load("digits-vae-2d").decoder)]
        [(64, 2), (64, 64), (64, 64)]
    """
    layers = [m for m in decoder.modules() if isinstance(m, nn.Linear)]
    if any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in decoder.modules()) or not layers:
        raise ValueError("decoder must be an MLP from make_networks('mlp', ...), got one with convolutions")
    with torch.no_grad():
        return [(m.weight.clone(), m.bias.clone()) for m in layers]
