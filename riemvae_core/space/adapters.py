"""Any trained model as two functions: a batch of items to balls, a batch of codes to images."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from riemvae_core.space.conditions import Condition, Inputs, check_handed, inputs_of
from riemvae_core.space.finite import check_finite
from riemvae_core.space.outputs import Found, read_balls, read_derivable, read_images, say

# models of pythae whose decoder reads another space than their encoder's Gaussians lie in, and why
_FLOW = "whose flow moves draws: let decode begin with it, as in (model.encoder, lambda z: model.decoder({}))"
ELSEWHERE = {
    "VAE_IAF": _FLOW.format("model.iaf_flow.inverse(z).out"),
    "VAE_LinNF": _FLOW.format("functools.reduce(lambda z, flow: flow(z).out, model.net, z)"),
    "PoincareVAE": "whose codes lie in hyperbolic space: rc.geodesic takes the metric of that space",
    "VQVAE": "whose decoder reads codes of a list: rc.quantize finds them",
}
# what depends on chance or on other items in training mode
MOVING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@dataclass(frozen=True, eq=False, repr=False)
class Adapter:
    """A model as ``balls(x)`` and ``images(z)``, to be called within ``at_rest()``; made by ``adapt``.

    ``modules`` are those put in eval mode while it works; ``home`` a parameter of theirs, on whose device and
    in whose dtype batches are handed over (None: they are handed over as they come; whole numbers keep their
    dtype). ``further`` says what encode and decode take beside their first input.
    """

    encode: Callable[..., Any]
    decode: Callable[..., Any]
    modules: tuple[nn.Module, ...]
    home: Tensor | None
    radius: float | None
    further: tuple[Inputs, Inputs]

    def at_rest(self) -> AbstractContextManager[None]:
        """Eval mode within, as ``at_rest`` has it."""
        return at_rest(self.modules, self.home)

    def check_condition(self, condition: Condition | None) -> None:
        """Raise ValueError unless the model takes the condition, and needs no other."""
        check_handed(condition, *self.further)

    @property
    def needs(self) -> tuple[str, ...]:
        """The further inputs that encode or decode can't do without, by name."""
        return max((inputs.needs for inputs in self.further), key=len)

    @property
    def may_need(self) -> str:
        """The name of encode's or decode's second input, if it has one that may be left out."""
        return next((inputs.names[0] for inputs in self.further if inputs.names and not inputs.needs), "")

    def encodes_with(self, condition: Condition | None) -> bool:
        """Whether encode takes any of a condition's inputs."""
        return any(self.further[0].hand(condition))

    def decodes_with(self, condition: Condition | None) -> bool:
        """Whether decode takes any of a condition's inputs."""
        return any(self.further[1].hand(condition))

    def balls(
        self, x: Tensor, condition: Condition | None = None, first: int = 0, others: Tensor | None = None
    ) -> Found:
        """mu and log_var ``[n, ...]`` of items ``[n, ...]``, in float32 or float64; ``first`` numbers item 0.

        Raises ValueError where encode returns anything else; ``others`` are items that went well before.
        """
        mu, log_var, named = read_balls(self._call("encode", x, condition, first), self.radius)
        if mu.ndim < 2 or len(mu) != len(x) or mu[0].numel() == 0:
            raise ValueError(f"encode must return mu as [{len(x)}, ...] for {len(x)} items, got {say(mu)}")
        if log_var.shape != mu.shape:
            raise ValueError(f"encode must return log_var of mu's shape {list(mu.shape)}, got {say(log_var)}")
        dtype = torch.float64 if mu.dtype == torch.float64 else torch.float32
        for name, part in (("mu", mu), ("log_var", log_var)):
            check_finite(part, f"encode {name}", x, "item", first, others)
        mu, log_var = mu.to(dtype), log_var.to(dtype)
        check_finite(mu.square(), "encode mu^2", x, "item", first, others)
        check_finite(log_var.abs().exp(), "encode exp|log_var|", x, "item", first, others)
        return Found(mu, log_var, named)

    def images(self, z: Tensor, condition: Condition | None = None, first: int = 0) -> Tensor:
        """Images ``[n, ...]`` of codes ``[n, ...]``; ``first`` numbers code 0.

        Raises ValueError unless decode returns one finite image for each code.
        """
        x = read_images(self._call("decode", z, condition, first), z)
        check_finite(x, "decode images", z, "code", first)
        return x

    def derivable(self, z: Tensor, condition: Condition | None = None) -> tuple[Tensor, ...]:
        """What torch differentiates for a pullback: images, or the mean and deviation of a Normal.

        They have the dtype of z, as a metric has that of its points: half precision knows no determinants.
        Raises ValueError unless decode returns one of them for each code.
        """
        checks = Distribution._validate_args
        Distribution.set_default_validate_args(False)  # they read numbers, which no derivative can
        try:
            found = read_derivable(self._call("decode", z, condition), z)
            found = tuple(part.to(z.dtype) for part in found)
        finally:
            Distribution.set_default_validate_args(checks)
        with suppress(RuntimeError):  # within vmap numbers can't be read
            for part in found:
                check_finite(part.detach(), "decode images", z.detach(), "code")
        return found

    def _call(self, name: str, batch: Tensor, condition: Condition | None, first: int = 0) -> Any:
        function, inputs = (
            (self.encode, self.further[0]) if name == "encode" else (self.decode, self.further[1])
        )
        batch = self._at_home(batch)
        given, named = inputs.hand(condition)
        try:
            return function(
                *(batch, *map(self._at_home, given)), **{k: self._at_home(v) for k, v in named.items()}
            )
        except Exception as error:
            with_them = ", ".join(say(part) for part in (*given, *named.values()))
            error.add_note(
                f"This came from the model's own {name}, called with {say(batch)}"
                + (f", items from {first} on" if first else "")
                + (f" and the condition {with_them}" if with_them else "")
                + f"{_as_it_came(batch)}."
            )
            raise

    def _at_home(self, x: Tensor) -> Tensor:
        if self.home is None:
            return x
        return x.to(self.home) if x.is_floating_point() else x.to(self.home.device)


def adapt(model: Any, radius: float | None = None) -> Adapter:
    """Find how a model encodes and decodes; see ``latent_space`` for which models and what ``radius`` is.

    Raises ValueError for a model without encode or decode, for one of ``ELSEWHERE`` and for a radius that is
    not positive.
    """
    if radius is not None and not 0.0 < radius < float("inf"):
        raise ValueError(f"radius must be None or a positive number, got {radius}")
    if isinstance(model, nn.Module):
        model = _unwrapped(model)
        _check_space(model)
        found = _found_in(model)
        modules: tuple[nn.Module, ...] = (model,)
    else:
        found = list(model) if isinstance(model, tuple | list) else [None, None]
        owners = [_owner(f) for f in found]
        modules = tuple(owner for owner in owners if isinstance(owner, nn.Module))
    if len(found) != 2 or not all(map(callable, found)):
        raise ValueError(
            "model must be an nn.Module with encode (or encoder) and decode (or decoder), or a pair "
            f"(encode, decode) of callables, got {say(model)}{_inner(model)}"
        )
    for module in modules:
        if any(p.is_meta for p in module.parameters()):
            raise ValueError(f"model must have weights, got {say(module)} on meta, without any: load them")
    if not isinstance(model, nn.Module):
        _warn_of_training(found, modules)
    parameters = (p for module in modules for p in module.parameters() if p.is_floating_point())
    return Adapter(*found, modules, next(parameters, None), radius, tuple(map(inputs_of, found)))


def _check_space(model: nn.Module) -> None:
    for kind in type(model).__mro__:
        if kind.__module__.startswith("pythae.") and kind.__name__ in ELSEWHERE:
            raise ValueError(
                f"model must decode the space that its Gaussians lie in, got {kind.__name__} of pythae, "
                f"{ELSEWHERE[kind.__name__]}"
            )


def _as_it_came(batch: Tensor) -> str:
    """What to do about a dtype that is handed over as it is."""
    if batch.is_floating_point():
        return ""
    if batch.is_complex():
        return "; complex numbers are handed over as they are: torch.view_as_real(data) has both parts"
    return "; whole numbers are handed over as they are: pass data.float() where the model wants no tokens"


def _found_in(model: nn.Module) -> list[Any]:
    return [_first_callable(model, names) for names in (("encode", "encoder"), ("decode", "decoder"))]


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model within what only wraps it: compiled, in parallel, averaged."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if (
            inner is None
            and not all(_found_in(model))
            and [k for k, _ in model.named_children()] == ["module"]
        ):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@contextmanager
def at_rest(modules: Sequence[nn.Module], home: Tensor | None) -> Iterator[None]:
    """Eval mode within, so no dropout and no new BatchNorm statistics; afterwards, also after an error,
    each submodule has its own mode again and torch's global generators are where they were."""
    modes = [(m, m.training) for module in modules for m in module.modules()]
    if home is None and torch.cuda.is_initialized():  # a model unseen may be on any of them
        cuda = list(range(torch.cuda.device_count()))
    else:
        cuda = [home.device] if home is not None and home.is_cuda else []
    with torch.random.fork_rng(devices=cuda):
        try:
            for module, _ in modes:
                module.training = False  # not eval(), which a model may have given side effects
            yield
        finally:
            for module, training in modes:
                module.training = training


def resting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the modules that it is of or calls by name in eval mode while it is asked."""
    modules = [part for part in (_owner(function), *_held(function)) if isinstance(part, nn.Module)]
    home = next((parameter for module in modules for parameter in module.parameters()), None)

    def asked(*args: Any) -> Any:
        with at_rest(modules, home):
            return function(*args)

    return asked


def _owner(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function if isinstance(function, nn.Module) else getattr(function, "__self__", None)


def _held(function: Any) -> list[Any]:
    """What a function has in its closure, and of the globals that it names."""
    code = getattr(function, "__code__", None)
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return held + [function.__globals__.get(name) for name in (code.co_names if code else ())]


def _warn_of_training(functions: list[Any], known: tuple[nn.Module, ...]) -> None:
    """Warn where a function calls a module whose dropout or batch norm is in training mode."""
    for function in functions:
        for module in (part for part in _held(function) if isinstance(part, nn.Module) and part not in known):
            if any(part.training and isinstance(part, MOVING) for part in module.modules()):
                warnings.warn(
                    f"a function of the pair calls {say(module)} in training mode, where a ball depends on "
                    "chance or on its batch: call .eval() on it first",
                    stacklevel=4,
                )
                return


def _inner(model: Any) -> str:
    """A hint at the part of a module that could be the model meant, or at what makes one."""
    if isinstance(model, type):
        return f" {model.__name__} itself: pass one, {model.__name__}(...)"
    if not isinstance(model, nn.Module):
        return ""
    names = [name for name, part in model.named_modules() if name and all(map(callable, _found_in(part)))]
    return f": it holds one, pass model.{names[0]}" if names else ""


def _first_callable(model: nn.Module, names: tuple[str, ...]) -> Callable[..., Any] | None:
    found = (getattr(model, name, None) for name in names)
    return next((f for f in found if callable(f)), None)
