"""What the live figures carry: packed arrays, made from the zoo, the bundled data and the plots' colors."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from torch import Tensor

from riemvae_core.data import ImageSet, first_of_each_class, load_images
from riemvae_core.figures.widgets import verdict_data
from riemvae_core.models import NOISES, VAE, VQVAE, Autoencoder, decoder_layers, zoo

DTYPES = {"f2": np.dtype("<f2"), "f4": np.dtype("<f4"), "u1": np.dtype("u1")}
SNAPSHOTS = "fashion-beta-snapshots"
FIELD_COLORS = "cividis"
CODEBOOKS = {k: f"fashion-vq-{k}" for k in (4, 16, 64)}  # by their number of codes, each of two numbers


class Packed(NamedTuple):
    """Arrays end to end as little-endian bytes, and the name, dtype and shape of each in that order."""

    header: list[dict]
    data: bytes


def pack(arrays: Mapping[str, np.ndarray]) -> Packed:
    """Pack arrays of float16, float32 or uint8 for the page. Raises ValueError for any other dtype."""
    header, parts = [], []
    for name, array in arrays.items():
        code = next((c for c, dtype in DTYPES.items() if dtype == array.dtype), None)
        if code is None:
            raise ValueError(f"arrays[{name!r}] must be float16, float32 or uint8, got {array.dtype}")
        header.append({"name": name, "dtype": code, "shape": list(array.shape)})
        parts.append(np.ascontiguousarray(array, DTYPES[code]).tobytes())
    return Packed(header, b"".join(parts))


def unpack(packed: Packed) -> dict[str, np.ndarray]:
    """The arrays that were packed. Raises ValueError when header and bytes don't fit each other."""
    arrays, offset = {}, 0
    sizes = [DTYPES[e["dtype"]].itemsize * int(np.prod(e["shape"])) for e in packed.header]
    if sum(sizes) != len(packed.data):
        raise ValueError(f"data must hold the header's {sum(sizes)} bytes, got {len(packed.data)}")
    for entry, size in zip(packed.header, sizes, strict=True):
        flat = np.frombuffer(packed.data[offset : offset + size], DTYPES[entry["dtype"]])
        arrays[entry["name"]] = flat.reshape(entry["shape"])
        offset += size
    return arrays


@functools.cache
def probes(data: str) -> ImageSet:
    """The images that the figures show: the first 24 test images of each class."""
    return first_of_each_class(load_images(data, "test"), zoo.PROBES_PER_CLASS)


@functools.cache
def trained(name: str) -> Autoencoder | VAE | VQVAE:
    """A model of the zoo, read once for all figures, which ask it again at every move of a hand."""
    return zoo.load(name)


def planar_models() -> tuple[str, ...]:
    """The zoo's models that ``points_and_balls`` can show: two latent dimensions, an MLP decoder."""
    return tuple(
        name
        for name in zoo.names()
        if (r := zoo.recipe(name)).kind in ("ae", "vae")
        and r.config.latent_dim == 2
        and r.config.network == "mlp"
        and not r.snapshots
    )


def codes(model: Autoencoder | VAE, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Centers and log squared radii of the images' balls; an autoencoder's points have no radii."""
    with torch.no_grad():
        encoded = model.encode(images)
    return (encoded.mu, encoded.log_var) if isinstance(model, VAE) else (encoded, None)


@functools.cache
def points_of(name: str) -> Tensor:
    """Where a codebook model's encoder puts the probe images, before they go to a code."""
    with torch.no_grad():
        return trained(name).points(probes(zoo.recipe(name).data).images)


def asset_names() -> tuple[str, ...]:
    """The name of every asset that some figure of the book may ask for."""
    planar = planar_models()
    data = dict.fromkeys(zoo.recipe(name).data for name in planar)
    models = (*planar, *map(zoo.beta_name, zoo.BETAS), zoo.CONTRACT_ENCODER, *map(zoo.contract_name, NOISES))
    own = (*map(probes_name, data), *models, *CODEBOOKS.values(), SNAPSHOTS, FIELD_COLORS)
    return own + verdict_data.asset_names()


def field_colors() -> np.ndarray:
    """The 256 colors of fields ``[256, 3]``, bytes: matplotlib's table, which the plots use."""
    return np.ascontiguousarray(matplotlib.colormaps[FIELD_COLORS](range(256), bytes=True)[:, :3])


def probes_name(data: str) -> str:
    """The asset with a data set's probe images and labels."""
    return f"{data}-probes"


@functools.cache
def asset(name: str) -> Packed:
    """An asset by name: probe images and labels; a model's decoder and codes; the beta sweep's snapshots;
    the colors of fields; the verdict's numbers and sheets.
    """
    if name not in asset_names():
        raise ValueError(f"name must be one of {', '.join(asset_names())}, got {name!r}")
    if name == FIELD_COLORS:
        return pack({"rgb": field_colors()})
    if name in verdict_data.asset_names():
        return pack(verdict_data.arrays(name))
    if name == SNAPSHOTS:
        runs = [zoo.snapshots(zoo.beta_name(beta)) for beta in zoo.BETAS]
        return pack(
            {part: torch.stack([getattr(r, part) for r in runs]).half().numpy() for part in ("mu", "log_var")}
        )
    if name.endswith("-probes"):
        images, labels = probes(name.removesuffix("-probes"))
        pixels = (images.flatten(1) * 255).round().byte().numpy()
        return pack({"images": pixels, "labels": labels.byte().numpy()})
    if name == zoo.CONTRACT_ENCODER:
        mu, log_var = codes(trained(name), probes("fashion").images)
        return pack({"mu": mu.numpy(), "log_var": log_var.numpy()})
    model, arrays = trained(name), {}
    for i, (weight, bias) in enumerate(decoder_layers(model.decoder)):
        arrays |= {f"weight.{i}": weight.half().numpy(), f"bias.{i}": bias.half().numpy()}
    if name in planar_models():
        mu, log_var = codes(model, probes(zoo.recipe(name).data).images)
        arrays |= {"mu": mu.numpy()} | ({} if log_var is None else {"log_var": log_var.numpy()})
    if name in CODEBOOKS.values():
        arrays |= {"points": points_of(name).numpy(), "codebook": model.codebook.detach().numpy()}
    return pack(arrays)
