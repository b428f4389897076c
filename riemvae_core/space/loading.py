"""A latent space from its file, alone or with the model that made it."""

from pathlib import Path
from typing import Any

from riemvae_core.metrics import PosteriorMetric
from riemvae_core.space.adapters import adapt
from riemvae_core.space.conditions import each
from riemvae_core.space.files import read_space
from riemvae_core.space.fingerprint import check_fingerprint, fingerprint
from riemvae_core.space.latent import LatentSpace
from riemvae_core.space.making import decode_some


def load_space(path: str | Path, model: Any = None) -> LatentSpace:
    """The latent space that ``LatentSpace.save`` wrote, with the same bits: draws, paths and report repeat.

    model: the model that made the balls, in a form that ``latent_space`` takes; the space then comes to its
    device. Without one it comes to the CPU, and all that needs no images works: draws, paths between codes,
    health, ``on_axes``, ``save``; ``encode``, ``decode``, ``interpolate``, ``pullback`` and paths between
    images raise ValueError.

    A model is refused unless its weights and buffers have the fingerprint of those that encoded the images:
    one trained since, in another dtype, with another seed or size. A BatchNorm's count of batches may differ.
    Of functions, whose weights nobody sees, only this is checked: that a code of the right dimension decodes,
    to an image of the same shape. The program of a model is not compared, nor is anything unpickled or run.

    Raises FileNotFoundError and IsADirectoryError where no file is; ValueError for a file that is truncated,
    damaged, not a latent space or of a newer format, and for a model that is none or doesn't fit.

    Example:
        >>> import tempfile
        >>> vae = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=8, depth=1), seed=0)
        >>> space = rc.latent_space(vae, rc.load_images("digits").images[:50])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     space.save(f"{folder}/digits.safetensors")
        ...     again = rc.load_space(f"{folder}/digits.safetensors")
        >>> again
        LatentSpace(50 balls in 2 dimensions, images [1, 8, 8], cpu, without its model)
        >>> str(again.health()) == str(space.health())
        True
    """
    fields = read_space(path)
    if model is None:
        return LatentSpace(**fields, adapter=None)
    made_by, metric = fields["made_by"], fields["metric"]
    adapter = adapt(model, made_by.radius)
    check_fingerprint(made_by, fingerprint(adapter, made_by.decoded_shape), str(path))
    adapter.check_condition(fields["condition"])
    if adapter.home is not None and adapter.home.device != metric.mu.device:
        device = adapter.home.device
        balls = metric.mu.to(device), metric.log_var.to(device)
        fields["metric"] = PosteriorMetric(*balls, metric.rho, metric.lam, metric.tau)
        for name in ("mu", "log_var", "axes", "rest"):
            fields[name] = None if fields[name] is None else fields[name].to(device)
        fields["condition"] = each(lambda part: part.to(device), fields["condition"])
    space = LatentSpace(**fields, adapter=adapter)
    _check_decoded(space, path)
    return space


def _check_decoded(space: LatentSpace, path: str | Path) -> None:
    """Raise ValueError unless the model decodes the space's codes to images of the shape that they had."""
    shape, wanted = list(space.code_shape), list(space.made_by.decoded_shape)
    try:
        decoded = list(decode_some(space))
    except Exception as error:
        raise ValueError(
            f"model must decode codes {shape} as the one that made the space in {path} did, got "
            f"{type(error).__name__}: {error}"
        ) from error
    if decoded != wanted:
        raise ValueError(
            f"model must decode codes {shape} to images {wanted} as the one that made the space in {path} "
            f"did, got images {decoded}"
        )
