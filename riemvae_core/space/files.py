"""A latent space in one file: which tensors and settings it holds, and how every wrong file is named."""

import hashlib
import json
import math
import os
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import riemvae_core
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.models import read_tensors, save_atomically
from riemvae_core.space.conditions import Condition, parts
from riemvae_core.space.fingerprint import Fingerprint, as_bytes

KEY, FORMAT = "riemvae_core.space", 2  # the one entry of the metadata: the order of several is not kept
INPUT = "condition."  # before the place of an input in the names of tensors
REQUIRED, METRIC, AXES = ("mu", "log_var"), ("metric.mu", "metric.log_var"), ("axes", "rest")


def write_space(space: Any, path: str | Path) -> None:
    """Write all of a latent space but its model; see ``LatentSpace.save``."""
    if not isinstance(space.metric, PosteriorMetric):
        raise ValueError(f"metric must be a PosteriorMetric to be saved, got {type(space.metric).__name__}")
    path = _place(path)
    tensors = {"mu": space.mu, "log_var": space.log_var}
    own = {"metric.mu": space.metric.mu, "metric.log_var": space.metric.log_var}
    if not all(_same_bits(a, b) for a, b in zip(own.values(), tensors.values(), strict=True)):
        tensors |= own
    if space.axes is not None:
        tensors |= {"axes": space.axes, "rest": space.rest}
    inputs = parts(space.condition)
    tensors |= {f"{INPUT}{k}": part for k, part in enumerate(inputs.values())}
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}  # none shares memory
    settings = {name: getattr(space, name) for name in ("code_shape", "image_shape", "batch_size")}
    settings |= {name: getattr(space.metric, name) for name in ("rho", "lam", "tau")}
    settings = json.loads(json.dumps(settings | {"made_by": space.made_by._asdict()}))
    beside = space.condition is not None or space.key is not None  # what the first format does not know
    if beside:
        form = "names" if isinstance(space.condition, dict) else "order"
        form = "one" if isinstance(space.condition, torch.Tensor) else form
        settings |= {"key": space.key, "condition": [form, *inputs] if inputs else None}
    _fields(path, dict(tensors), settings)  # what could not be read again is not written
    head = {"format": FORMAT if beside else 1, "written_by": riemvae_core.__version__, "settings": settings}
    text = json.dumps(head | {"sha256": _checksum(tensors, head)})
    save_atomically(tensors, path, {KEY: text})


def read_space(path: str | Path) -> dict[str, Any]:
    """The fields of a latent space that ``write_space`` wrote, without its model; see ``load_space``."""
    path = _place(path)
    if path.is_dir():
        raise IsADirectoryError(f"path must be a file that space.save wrote, got the folder {path}")
    if not path.exists():
        raise FileNotFoundError(f"path must be a file that space.save wrote, got {path}, which is not there")
    try:
        metadata, tensors = read_tensors(path)
    except ValueError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path} holds no latent space that can be read, or only a part of one ({size:,} bytes): copy it "
            f"again, or make the space anew and save it ({error})"
        ) from error
    if KEY not in metadata:
        some = ", ".join(sorted(tensors)[:4]) or "nothing"
        raise ValueError(
            f"{path} holds no latent space, but {some}: load_space reads what space.save wrote, and for the "
            "weights of a model you want its own load_state_dict, or zoo.load"
        )
    damaged = ValueError(
        f"{path} is damaged, its content is not what its sha256 says: copy it again, or make the space anew "
        "and save it"
    )
    try:
        head = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(head, dict) or "format" not in head:
        raise damaged
    if head["format"] not in range(1, FORMAT + 1):
        raise ValueError(
            f"{path} was written by riemvae-core {head.get('written_by')!s:.40} with format "
            f"{head['format']!s:.40}; this riemvae-core {riemvae_core.__version__} reads up to {FORMAT}: "
            "upgrade it"
        )
    try:
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # no longer pages of the file
        known = head.pop("sha256", None) == _checksum(tensors, head)
        if not known or set(head) != {"format", "written_by", "settings"}:
            raise damaged
        return _fields(path, tensors, head["settings"])
    except (MemoryError, RuntimeError) as error:  # torch has no arithmetic for some dtypes, or no room
        raise ValueError(f"{path}: tensors must be numbers that fit into memory ({error})") from error


def _place(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or not Path(path).name:
        raise ValueError(f"path must be the path of a file, got {path!r}")
    return Path(path).expanduser()


def _same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and as_bytes(a) == as_bytes(b)


def _checksum(tensors: Mapping[str, Tensor], head: Mapping[str, Any]) -> str:
    """sha256 of all that a file says of a space: settings, names, dtypes, shapes and bytes of tensors."""
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f";{name} {tensor.dtype} {list(tensor.shape)};".encode())
        digest.update(as_bytes(tensor))
    return digest.hexdigest()


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 64 and all(map(_whole, value))


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e300


def _record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(Fingerprint._fields)
        and isinstance(value["kind"], str)
        and isinstance(value["dtypes"], list)
        and all(isinstance(name, str) for name in value["dtypes"])
        and _whole(value["numbers"])
        and (value["sha256"] is None or isinstance(value["sha256"], str))
        and (value["radius"] is None or (_number(value["radius"]) and value["radius"] > 0))
        and _shape(value["decoded_shape"])
    )


def _inputs(value: Any) -> bool:
    if value is None:
        return True
    names = value[1:] if isinstance(value, list) and value[:1] in (["one"], ["order"], ["names"]) else []
    return bool(names) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


SETTINGS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "code_shape": ("a list of whole numbers", _shape),
    "image_shape": ("a list of whole numbers", _shape),
    "batch_size": ("a whole number of at least 1", lambda v: _whole(v) and v >= 1),
    "made_by": ("a fingerprint", _record),
    "rho": ("a positive number", lambda v: _number(v) and v > 0),
    "lam": ("a number of at least 0", _number),
    "tau": ("a number of at least 0", _number),
}
BESIDE: dict[str, tuple[str, Callable[[Any], bool]]] = {  # from the second format on, where there are any
    "key": ("a name, a place or null", lambda v: v is None or type(v) in (str, int)),
    "condition": ("null, or a form and the names of inputs", _inputs),
}


def _fields(path: Path, tensors: dict[str, Tensor], settings: Any) -> dict[str, Any]:
    """The fields of a space; raises ValueError, which names the file, where they don't make one."""
    known = SETTINGS | (BESIDE if isinstance(settings, dict) and set(settings) & set(BESIDE) else {})
    if not isinstance(settings, dict) or set(settings) != set(known):
        got = ", ".join(sorted(settings)) if isinstance(settings, dict) else reprlib.repr(settings)
        raise ValueError(f"{path}: settings must be {', '.join(sorted(known))}, got {got:.400}")
    for name, (kind, right) in known.items():
        if not right(settings[name]):
            raise ValueError(f"{path}: {name} must be {kind}, got {reprlib.repr(settings[name])}")
    given = _take_inputs(path, tensors, settings.get("condition"))
    _check_tensors(path, tensors, math.prod(settings["code_shape"]))
    rho, lam, tau = (settings[name] for name in ("rho", "lam", "tau"))
    balls = METRIC if "metric.mu" in tensors else REQUIRED
    try:
        metric = PosteriorMetric(*(tensors[name] for name in balls), rho, lam, tau)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    made_by = settings["made_by"] | {k: tuple(settings["made_by"][k]) for k in ("dtypes", "decoded_shape")}
    return {
        "batch_size": settings["batch_size"],
        **{name: tuple(settings[name]) for name in ("code_shape", "image_shape")},
        "made_by": Fingerprint(**made_by),
        "metric": metric,
        **{name: tensors.get(name) for name in (*REQUIRED, *AXES)},
        "condition": given,
        "key": settings.get("key"),
    }


def _take_inputs(path: Path, tensors: dict[str, Tensor], form: list[str] | None) -> Condition | None:
    """The condition in its form; its tensors are taken out of the others."""
    form = form or ["order"]
    wanted = [f"{INPUT}{k}" for k in range(len(form) - 1)]
    there = sorted(name for name in tensors if name.startswith(INPUT))
    if there != sorted(wanted) or (form[0] == "one" and len(wanted) != 1):
        raise ValueError(f"{path}: the condition's tensors must be {wanted}, got {there}")
    found = [tensors.pop(name) for name in wanted]
    n = len(tensors["mu"]) if "mu" in tensors and tensors["mu"].ndim else 0
    for name, part in zip(form[1:], found, strict=True):
        if part.ndim == 0 or len(part) not in (1, n):
            raise ValueError(
                f"{path}: condition {name} must be [{n}, ...] or [1, ...], got {list(part.shape)}"
            )
        if bool(part.isnan().any()):
            raise ValueError(f"{path}: condition {name} must not be NaN, got {int(part.isnan().sum())} of it")
    if not found:
        return None
    if form[0] == "one":
        return found[0]
    return dict(zip(form[1:], found, strict=True)) if form[0] == "names" else tuple(found)


def _check_tensors(path: Path, tensors: dict[str, Tensor], size: int) -> None:
    """Raise ValueError unless these are the tensors of a space whose codes hold ``size`` numbers."""
    names = {*REQUIRED, *(n for part in (METRIC, AXES) if part[0] in tensors for n in part)}
    if names != set(tensors):
        raise ValueError(f"{path}: tensors must be {sorted(names)}, got {sorted(tensors)}")
    for name, tensor in tensors.items():
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ValueError(f"{path}: {name} must hold finite numbers, got {bad} that are not")
    axes, pairs = tensors.get("axes"), (REQUIRED, METRIC) if METRIC[0] in tensors else (REQUIRED,)
    d = size if axes is None else axes.numel()
    wanted = {} if axes is None else {"axes": (d,), "rest": (size,)}
    for pair in pairs:
        dtypes = [tensors[name].dtype for name in pair]
        if dtypes not in ([torch.float32] * 2, [torch.float64] * 2):
            raise ValueError(
                f"{path}: {' and '.join(pair)} must both be float32 or both float64, got {dtypes}"
            )
        wanted |= dict.fromkeys(pair, (*tensors[pair[0]].shape[:1], d))
    for name, shape in wanted.items():
        if tuple(tensors[name].shape) != shape or 0 in shape:
            raise ValueError(
                f"{path}: {name} must be {list(shape)} and not empty, got {list(tensors[name].shape)}"
            )
    if axes is None:
        return
    if not set(axes.tolist()) <= set(range(size)) or len(set(axes.tolist())) < d:
        raise ValueError(
            f"{path}: axes must be different whole numbers below {size}, got {axes.tolist()[:8]}"
        )
    if axes.dtype != torch.int64 or tensors["rest"].dtype != tensors["mu"].dtype:
        got = f"{axes.dtype} and {tensors['rest'].dtype}"
        raise ValueError(f"{path}: axes and rest must be int64 and of mu's dtype, got {got}")
