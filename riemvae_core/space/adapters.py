"""Any trained model as two functions: a batch of images to balls, a batch of codes to images."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.utils.data import DataLoader, Dataset, IterableDataset

from riemvae_core.numerics import chunks

# what models call the two halves of a ball, and a decoded image
MU = ("mu", "mean", "loc", "z_mean", "embedding")
LOG_VAR = ("log_var", "logvar", "log_covariance", "log_variance", "z_log_var", "z_logvar")
IMAGE = ("sample", "reconstruction", "recon", "recon_x", "x_recon", "x_hat")

Images = Tensor | Iterable[Any] | Dataset  # in the forms that ``batches`` takes


@dataclass(frozen=True, eq=False, repr=False)
class Adapter:
    """A model as ``balls(x)`` and ``images(z)``, to be called within ``at_rest()``; made by ``adapt``.

    ``modules`` are those put in eval mode while it works; ``home`` a parameter of theirs, on whose device and
    in whose dtype batches are handed over (None: they are handed over as they come).
    """

    encode: Callable[[Tensor], Any]
    decode: Callable[[Tensor], Any]
    modules: tuple[nn.Module, ...]
    home: Tensor | None
    radius: float | None

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Eval mode within, so no dropout and no new BatchNorm statistics; afterwards, also after an error,
        each submodule has its own mode again and torch's global generators are where they were."""
        modes = [(m, m.training) for module in self.modules for m in module.modules()]
        if self.home is None and torch.cuda.is_initialized():  # a model unseen may be on any of them
            cuda = list(range(torch.cuda.device_count()))
        else:
            cuda = [self.home.device] if self.home is not None and self.home.is_cuda else []
        with torch.random.fork_rng(devices=cuda):
            try:
                for module, _ in modes:
                    module.training = False  # not eval(), which a model may have given side effects
                yield
            finally:
                for module, training in modes:
                    module.training = training

    def balls(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log_var ``[n, ...]`` of images ``[n, ...]``, in float32 or float64.

        Raises ValueError where encode returns anything else.
        """
        mu, log_var = _read_balls(self._call("encode", self.encode, x), self.radius)
        if mu.ndim < 2 or len(mu) != len(x) or mu[0].numel() == 0:
            raise ValueError(f"encode must return mu as [{len(x)}, ...] for {len(x)} images, got {_say(mu)}")
        if log_var.shape != mu.shape:
            raise ValueError(
                f"encode must return log_var of mu's shape {list(mu.shape)}, got {_say(log_var)}"
            )
        dtype = torch.float64 if mu.dtype == torch.float64 else torch.float32
        for name, part in (("mu", mu), ("log_var", log_var)):
            bad = int((~torch.isfinite(part)).sum())
            if bad:
                raise ValueError(f"encode must return finite numbers, got {bad} in {name} that are not")
        return mu.to(dtype), log_var.to(dtype)

    def images(self, z: Tensor) -> Tensor:
        """Images ``[n, ...]`` of codes ``[n, ...]``; torch can differentiate it.

        Raises ValueError unless decode returns one image for each code.
        """
        output = self._call("decode", self.decode, z)
        output = output.mean if isinstance(output, Distribution) else output
        x = output if isinstance(output, Tensor) else _field(output, IMAGE)
        if x is None or x.shape[:1] != z.shape[:1]:
            raise ValueError(
                f"decode must return one tensor [{len(z)}, ...] for {len(z)} codes, or an object or dict "
                f"that has it under one of {', '.join(IMAGE)}, got {_say(output)}"
            )
        return x

    def _call(self, name: str, function: Callable[[Tensor], Any], batch: Tensor) -> Any:
        batch = batch.to(self.home) if self.home is not None else batch
        try:
            return function(batch)
        except Exception as error:
            error.add_note(f"This came from the model's own {name}, called with {_say(batch)}.")
            raise


def adapt(model: Any, radius: float | None = None) -> Adapter:
    """Find how a model encodes and decodes; see ``latent_space`` for which models and what ``radius`` is.

    Raises ValueError for a model without encode or decode and a radius that is not positive.
    """
    if radius is not None and not 0.0 < radius < float("inf"):
        raise ValueError(f"radius must be None or a positive number, got {radius}")
    if isinstance(model, nn.Module):
        found = [_first_callable(model, names) for names in (("encode", "encoder"), ("decode", "decoder"))]
        modules: tuple[nn.Module, ...] = (model,)
    else:
        found = list(model) if isinstance(model, tuple | list) else [None, None]
        owners = [f if isinstance(f, nn.Module) else getattr(f, "__self__", None) for f in found]
        modules = tuple(owner for owner in owners if isinstance(owner, nn.Module))
    if len(found) != 2 or not all(map(callable, found)):
        raise ValueError(
            "model must be an nn.Module with encode (or encoder) and decode (or decoder), or a pair "
            f"(encode, decode) of callables, got {_say(model)}"
        )
    parameters = (p for module in modules for p in module.parameters() if p.is_floating_point())
    return Adapter(*found, modules, next(parameters, None), radius)


def batches(images: Images, batch_size: int) -> Iterator[Tensor]:
    """Images in batches of at most ``batch_size``, in their order, from any of these: a tensor ``[n, ...]``;
    an iterable of such tensors, or of tuples and lists that begin with one, as a DataLoader's batches do; a
    map-style Dataset, whose items are single images. Raises ValueError for anything else."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
    if isinstance(images, Dataset) and not isinstance(images, IterableDataset):
        images = DataLoader(images, batch_size)
    for batch in (images,) if isinstance(images, Tensor) else images:
        x = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(x, Tensor) or x.ndim < 2 or not x.is_floating_point():
            raise ValueError(
                "images must be a tensor [n, ...] of floating numbers, or an iterable of these or of tuples "
                f"that begin with one, got {_say(batch)}"
            )
        for s in chunks(len(x), 1, batch_size):
            yield x[s]


def _first_callable(model: nn.Module, names: tuple[str, ...]) -> Callable[[Tensor], Any] | None:
    found = (getattr(model, name, None) for name in names)
    return next((f for f in found if callable(f)), None)


def _get(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _field(output: Any, names: tuple[str, ...]) -> Tensor | None:
    """The first tensor that an object or dict has under one of the names."""
    return next((v for v in (_get(output, name) for name in names) if isinstance(v, Tensor)), None)


def _read_balls(output: Any, radius: float | None) -> tuple[Tensor, Tensor]:
    """mu and log_var from whatever encode returned."""
    posterior = _get(output, "latent_dist")  # diffusers wraps its posterior once more
    posterior = output if posterior is None else posterior
    if isinstance(posterior, Independent):
        posterior = posterior.base_dist
    if isinstance(posterior, Normal):
        mu, log_var = posterior.mean, 2.0 * posterior.stddev.log()
    elif type(posterior) in (tuple, list) and len(posterior) == 2:
        mu, log_var = posterior
    elif isinstance(posterior, Tensor):
        mu, log_var = posterior, None
    else:
        mu, log_var = _field(posterior, MU), _field(posterior, LOG_VAR)
    if isinstance(mu, Tensor) and log_var is None and radius is not None:
        return mu, torch.full_like(mu, 2.0 * log(radius))
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in (mu, log_var)):
        raise ValueError(
            "encode must return a pair (mu, log_var), or an object or dict with mu under one of "
            f"{', '.join(MU)} and log_var under one of {', '.join(LOG_VAR)}, got {_say(posterior)}. "
            "A model without variances needs radius=..., the radius of its balls; one that returns them in "
            "another form a pair, such as (lambda x: model.encode(x).chunk(2, dim=1), model.decode)"
        )
    if radius is not None:
        raise ValueError(f"radius must be None for a model that gives log_var, got {radius}")
    return mu, log_var


def _say(thing: Any) -> str:
    """A value in words for an error: shapes of tensors, fields of objects."""
    kind = type(thing).__name__
    if isinstance(thing, Tensor):
        return f"a tensor {list(thing.shape)} of {thing.dtype} on {thing.device}"
    if isinstance(thing, Mapping):
        return f"{kind} with {', '.join(map(str, thing)) or 'nothing'}"
    if hasattr(thing, "_fields"):
        return f"{kind} with {', '.join(thing._fields)}"
    if isinstance(thing, tuple | list):
        return f"{kind} of {len(thing)} ({', '.join(map(_say, thing[:4]))})"
    fields = [name for name in getattr(thing, "__dict__", {}) if not name.startswith("_")]
    return f"{kind} with {', '.join(fields)}" if fields and not callable(thing) else kind
