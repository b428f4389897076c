"""What a model's encode and decode return, read as balls and as images; what can't be read is named."""

from collections.abc import Mapping
from math import log
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
)

# what models call the two halves of a ball, and a decoded image; a law of codes, and of images
MU = ("mu", "mean", "loc", "z_mean", "embedding", "latents")
LOG_VAR = ("log_var", "logvar", "log_covariance", "log_variance", "z_log_var", "z_logvar")
IMAGE = ("sample", "reconstruction", "recon", "recon_x", "x_recon", "x_hat")
POSTERIOR = ("qz", "q_z", "q", "qz_x", "q_z_x", "z_dist", "posterior", "dist")
LIKELIHOOD = ("px", "p_x", "likelihood", "dist")
SPREAD = ("var", "std", "sigma", "scale", "cov", "prec")  # in the name of what says how large balls are


class Found(NamedTuple):
    """mu and log_var as encode returned them; ``named`` unless only their order says which is which."""

    mu: Tensor
    log_var: Tensor
    named: bool


def read_balls(output: Any, radius: float | None) -> Found:
    """mu and log_var from whatever encode returned. Raises ValueError where it isn't diagonal Gaussians."""
    posterior = _posterior(output)
    if isinstance(posterior, Distribution):
        mu, log_var = _of_normal(posterior)
    elif type(posterior) in (tuple, list):
        mu, log_var = _two_of(posterior)
    elif isinstance(posterior, Tensor):
        mu, log_var = posterior, None
    else:
        mu, log_var = _field(posterior, MU), _field(posterior, LOG_VAR)
        _refuse_levels([_get(posterior, name) for name in MU])
    spread = _spread(posterior)
    if isinstance(mu, Tensor) and log_var is None and radius is not None and not spread:
        log_var, radius = torch.full_like(mu, 2.0 * log(radius), dtype=_real(mu)), None
    if any(isinstance(part, Tensor) and part.is_complex() for part in (mu, log_var)):
        raise ValueError(f"encode must return real numbers, got {say(posterior)}")
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in (mu, log_var)):
        raise ValueError(
            "encode must return a pair (mu, log_var), or an object or dict with mu under one of "
            f"{', '.join(MU)} and log_var under one of {', '.join(LOG_VAR)}, got {say(posterior)}. "
            + _advice(posterior, spread)
        )
    if radius is not None:
        raise ValueError(f"radius must be None for a model that gives log_var, got {radius}")
    return Found(mu, log_var, type(posterior) not in (tuple, list))


def read_images(output: Any, z: Tensor) -> Tensor:
    """The images that decode returned for codes z; of a law its mean, of a Categorical its probabilities."""
    law = _law_of_images(output)
    if law is None:
        x = output if isinstance(output, Tensor) else _field(output, IMAGE)
    elif isinstance(law, Categorical | OneHotCategorical):
        x = law.probs
    else:
        try:
            x = law.mean
        except NotImplementedError as error:
            raise ValueError(f"decode must return a law that has a mean, got {_named(law)}") from error
    if x is None or x.shape[:1] != z.shape[:1] or (len(z) and x.numel() == 0):
        raise ValueError(
            f"decode must return one tensor [{len(z)}, ...] for {len(z)} codes, or an object or dict "
            f"that has it under one of {', '.join(IMAGE)}, got {say(output if law is None else x)}"
            + _choice(output)
        )
    if x.is_complex():
        raise ValueError(
            f"decode must return real numbers, got {say(x)}: return torch.view_as_real(x) for both parts"
        )
    return x


def read_derivable(output: Any, z: Tensor) -> tuple[Tensor, ...]:
    """What of decode's images a pullback differentiates: images, or a Normal's mean and deviation.

    The probabilities of a Bernoulli and a Categorical are all that they have. Raises ValueError for every
    other law, by its name.
    """
    law, x = _law_of_images(output), read_images(output, z)
    if law is not None and not isinstance(law, Normal | Bernoulli | Categorical | OneHotCategorical):
        raise ValueError(
            f"decode must return images, a Normal, a Bernoulli or a Categorical for a pullback, got "
            f"{_named(law)}, whose mean is not all that depends on the code: where it is what you want, "
            "pass the model as a pair (model.encode, lambda z: model.decode(z).mean)"
        )
    if not x.is_floating_point():
        raise ValueError(f"decode must return floating numbers for a pullback, got {say(x)}")
    return (x, law.stddev) if isinstance(law, Normal) else (x,)


def say(thing: Any) -> str:
    """A value in words for an error: shapes of tensors, fields of objects."""
    kind = type(thing).__name__
    if isinstance(thing, Tensor):
        return f"a tensor {list(thing.shape)} of {thing.dtype} on {thing.device}"
    if hasattr(thing, "dtype") and hasattr(thing, "shape"):
        return f"{kind} {list(thing.shape)} of {thing.dtype}"
    if isinstance(thing, Mapping):
        return f"{kind} with {', '.join(map(str, thing)) or 'nothing'}"
    if hasattr(thing, "_fields"):
        return f"{kind} with {', '.join(thing._fields)}"
    if isinstance(thing, tuple | list):
        return f"{kind} of {len(thing)} ({', '.join(map(say, thing[:4]))})"
    if isinstance(thing, Distribution):
        return _named(thing)
    fields = [name for name in getattr(thing, "__dict__", {}) if not name.startswith("_")]
    return f"{kind} with {', '.join(fields)}" if fields and not callable(thing) else kind


def _real(mu: Tensor) -> torch.dtype | None:
    return mu.dtype if mu.is_floating_point() else None


def _get(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _field(output: Any, names: tuple[str, ...]) -> Tensor | None:
    """The first tensor that an object or dict has under one of the names."""
    return next((v for v in (_get(output, name) for name in names) if isinstance(v, Tensor)), None)


def _posterior(output: Any) -> Any:
    """What tells of the balls: the output itself, or the law within it."""
    if isinstance(output, Tensor | Distribution):
        return output
    if type(output) in (tuple, list):
        laws = [part for part in output if isinstance(part, Distribution)]
        _refuse_levels(laws)
        return laws[0] if laws else output
    wrapped = _get(output, "latent_dist")  # diffusers wraps its posterior once more
    if wrapped is not None:
        return wrapped
    if _field(output, MU) is not None and _field(output, LOG_VAR) is not None:
        return output
    laws = [law for law in (_get(output, name) for name in POSTERIOR) if isinstance(law, Distribution)]
    if not laws:  # one under another name is still what tells of the balls, and no radius may hide it
        laws = [part for part in _values(output) if isinstance(part, Distribution)]
        laws = laws if len(laws) == 1 else []
    return laws[0] if laws else output


def _values(output: Any) -> list[Any]:
    """What an object or dict without tensors of its own holds."""
    if isinstance(output, Mapping):
        return list(output.values())
    return list(output) if hasattr(output, "_fields") else list(getattr(output, "__dict__", {}).values())


def _of_normal(law: Distribution) -> tuple[Tensor, Tensor]:
    base = law
    while isinstance(base, Independent):
        base = base.base_dist
    if isinstance(base, Normal):
        return base.mean, 2.0 * base.stddev.log()
    why = "whose codes are not Gaussian on each axis"
    if isinstance(base, MultivariateNormal | LowRankMultivariateNormal):
        why = (
            "whose axes may be correlated: where they are not, return Normal(q.mean, q.stddev); where they "
            "are, neither its diagonal nor a radius has its balls"
        )
    raise ValueError(f"encode must return diagonal Gaussians, such as a Normal, got {_named(law)}, {why}")


def _two_of(parts: Any) -> tuple[Any, Any]:
    """mu and log_var of a tuple or list without names: both its parts, or the only two that can be them."""
    _refuse_levels(parts)
    if len(parts) == 2:
        return parts[0], parts[1]
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in parts]
    twice = {shape for shape in shapes if shape is not None and shapes.count(shape) == 2}
    rest = [shape for shape in shapes if shape is not None and shape not in twice]
    if len(twice) == 1 and not any(_broadcasts(shape, *twice) for shape in rest):
        mu, log_var = (part for part, shape in zip(parts, shapes, strict=True) if shape in twice)
        return mu, log_var
    return None, None


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether numbers of one shape could stand for radii of the other, one for several axes."""
    try:
        return torch.broadcast_shapes(shape, to) == torch.Size(to)
    except RuntimeError:
        return False


def _refuse_levels(parts: Any) -> None:
    """Raise ValueError for several laws, pairs or lists of tensors: the levels of a hierarchical model."""
    parts = [part for part in parts if part is not None]
    nested = [part for part in parts if isinstance(part, tuple | list | Mapping | Distribution)]
    if len(nested) > 1 or (nested and len(nested) == len(parts) and not isinstance(nested[0], Distribution)):
        raise ValueError(
            f"encode must return the balls of one level of codes, got {say(list(parts))}: of a hierarchical "
            "model choose a level that decode takes alone, by a pair (encode, decode) of functions"
        )


def _spread(posterior: Any) -> str:
    """The name under which an object or dict tells radii in another form than log_var, if it does."""
    if isinstance(posterior, Tensor | Distribution) or type(posterior) in (tuple, list):
        return ""
    names = posterior if isinstance(posterior, Mapping) else getattr(posterior, "_fields", None)
    names = getattr(posterior, "__dict__", {}) if names is None else names
    sounds = [str(n) for n in names if any(s in str(n).lower() for s in SPREAD) and str(n) not in LOG_VAR]
    return next((name for name in sounds if _get(posterior, name) is not None), "")


def _advice(posterior: Any, spread: str) -> str:
    if spread:
        return (
            f"It tells of radii under {spread}: return a pair with their log variance, 2 * sigma.log() where "
            "these are deviations sigma; radius= would hide them"
        )
    parts = posterior if type(posterior) in (tuple, list) else _values(posterior)
    if any(isinstance(part, np.ndarray) for part in parts):
        return "Return tensors: torch.from_numpy(mu), torch.from_numpy(log_var)"
    if type(posterior) in (tuple, list) and len(posterior) > 2:
        return (
            "Neither names nor shapes say which two these are: choose them by a pair, such as "
            "(lambda x: model.encode(x)[1:], model.decode) where a draw comes first"
        )
    return (
        "A model without variances needs radius=..., the radius of its balls; one that returns them in "
        "another form a pair, such as (lambda x: model.encode(x).chunk(2, dim=1), model.decode)"
    )


def _choice(output: Any) -> str:
    """How to choose images among several parts, or to make tensors of arrays."""
    if isinstance(output, np.ndarray):
        return ": return torch.from_numpy(x)"
    several = isinstance(output, tuple | list) and any(isinstance(part, Tensor) for part in output)
    return ": choose by a pair, such as (model.encode, lambda z: model.decode(z)[0])" if several else ""


def _law_of_images(output: Any) -> Distribution | None:
    """The law that decode returned, itself or under a usual name."""
    law = output
    if not isinstance(output, Tensor | Distribution):
        if _field(output, IMAGE) is not None:
            return None
        found = (_get(output, name) for name in (*IMAGE, *LIKELIHOOD))
        law = next((value for value in found if isinstance(value, Distribution)), None)
    while isinstance(law, Independent):
        law = law.base_dist
    return law if isinstance(law, Distribution) else None


def _named(law: Distribution) -> str:
    kind = type(law).__name__
    base = getattr(law, "base_dist", None)
    return f"{kind} of a {_named(base)}" if isinstance(base, Distribution) else kind
