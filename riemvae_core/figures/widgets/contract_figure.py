"""Chapter 3's live figure: three decoders of one encoder, pulled off the center of a ball."""

import math

import torch
import traitlets

from riemvae_core.balls import errors_off_center
from riemvae_core.data import class_names
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import probes, probes_name, trained
from riemvae_core.figures.widgets.checks import pair, probe_index
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.models import NOISES, zoo
from riemvae_core.numerics import make_generator

WORDS = {"ball": "trained on balls", "none": "on centers", "round": "on round noise"}
START_CLASS = 8  # a bag
DRAWS = 8
HALF = 3.5


def broken_contract(see: str = "", try_this: str = ""):
    """Three decoders for one encoder, trained on balls, on centers and on round noise, off a ball's center.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``selected`` (which of the 240 probe images), ``offset`` (from the ball's center, in radii, a
    number for each axis) and ``axes`` (the two in view) are read, set and observed; ``errors`` is read and
    observed.
    Stands in chapter 3. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.broken_contract()
        >>> shown.errors["ball"] < shown.errors["none"]  # one decoder has seen the ball, one its center alone
        True
    """
    props = _props()
    return figure("broken_contract", BrokenContract, props, lambda: _still(props), see, try_this)


def errors_at(selected: int, offset: list[float]) -> dict[str, float]:
    """Each decoder's squared error, summed over pixels, at an offset in radii from a probe's center."""
    image = probes("fashion").images[selected : selected + 1]
    with torch.no_grad():
        mu, log_var = trained(zoo.CONTRACT_ENCODER).encode(image)
    step = torch.exp(0.5 * log_var) * torch.tensor([offset], device="cpu")
    return {
        noise: errors_off_center(trained(zoo.contract_name(noise)).decode, image, mu, step, [1.0]).item()
        for noise in NOISES
    }


def distance(offset: list[float]) -> float:
    """The offset's size t: its root mean square over the axes, which is near 1 for a draw from the ball."""
    return math.sqrt(sum(v * v for v in offset) / len(offset))


def start_axes() -> list[int]:
    """The axis with the smallest balls, on average over the probe images, and the one with the largest."""
    with torch.no_grad():
        radii = trained(zoo.CONTRACT_ENCODER).encode(probes("fashion").images).log_var.mean(0)
    return [int(radii.argmin()), int(radii.argmax())]


def _props() -> dict:
    d = zoo.recipe(zoo.CONTRACT_ENCODER).config.latent_dim
    draws = torch.randn(DRAWS, d, generator=make_generator(4), device="cpu")
    rounded = [[round(v, 3) for v in row] for row in draws.tolist()]
    return {
        "probes": probes_name("fashion"),
        "codes": zoo.CONTRACT_ENCODER,
        "decoders": [{"noise": n, "asset": zoo.contract_name(n), "words": WORDS[n]} for n in NOISES],
        "classes": list(class_names("fashion")),
        "side": probes("fashion").images.shape[-1],
        "draws": rounded,
        "start": {"selected": START_CLASS * zoo.PROBES_PER_CLASS, "offset": rounded[0], "axes": start_axes()},
    }


class BrokenContract(LiveFigure):
    """The figure in a notebook; its traits are described in ``broken_contract``."""

    _esm = notebook_module("broken_contract")
    selected = traitlets.Int(help="which of the 240 probe images").tag(sync=True)
    offset = traitlets.List(help="from the ball's center, in radii").tag(sync=True)
    axes = traitlets.List(help="the two axes in view, counted from 0").tag(sync=True)
    errors = traitlets.Dict(help="squared error of each decoder", read_only=True)

    def __init__(self, props: dict) -> None:
        names = [props["probes"], props["codes"], *(one["asset"] for one in props["decoders"])]
        super().__init__(props, names, **props["start"])
        self._write_errors()

    @traitlets.validate("selected")
    def _check_selected(self, proposal) -> int:
        return probe_index("selected", proposal["value"])

    @traitlets.validate("offset")
    def _check_offset(self, proposal) -> list[float]:
        d, value = len(self._props["start"]["offset"]), list(proposal["value"])
        if len(value) != d or not all(isinstance(v, int | float) and math.isfinite(v) for v in value):
            raise ValueError(f"offset must be {d} finite numbers, got {value!r}")
        return [float(v) for v in value]

    @traitlets.validate("axes")
    def _check_axes(self, proposal) -> list[int]:
        d, axes = len(self._props["start"]["offset"]), [int(v) for v in pair("axes", proposal["value"])]
        if axes[0] == axes[1] or not all(0 <= axis < d for axis in axes):
            raise ValueError(f"axes must be two different ones from 0 to {d - 1}, got {axes}")
        return axes

    @traitlets.observe("selected", "offset")
    def _follow(self, _change) -> None:
        self._write_errors()

    def _write_errors(self) -> None:
        self.set_trait("errors", errors_at(self.selected, self.offset))


def _still(props: dict) -> str:
    start, images = props["start"], probes("fashion").images
    with torch.no_grad():
        mu, log_var = trained(zoo.CONTRACT_ENCODER).encode(images)
        own, radii = mu[start["selected"]], torch.exp(0.5 * log_var[start["selected"]])
        z = own + radii * torch.tensor(start["offset"], device="cpu")
        drawn = {n: trained(zoo.contract_name(n)).decode(z[None])[0] for n in NOISES}
    errors = errors_at(start["selected"], start["offset"])
    plane = stills.Plane(40.0, 10.0, 400.0, (0.0, 0.0), HALF)
    x, y = plane.at((0.0, 0.0))
    rings = "".join(
        f'<circle cx="{x}" cy="{y}" r="{r * plane.scale:.1f}" fill="none" stroke="var(--rv-posterior)"/>'
        for r in (1, 2, 3)
    )
    others = ((mu - own) / radii)[:, start["axes"]]
    told = [f"{WORDS[n]}: error {stills.number(errors[n])}" for n in NOISES]
    label = (
        f"A {props['classes'][START_CLASS]}'s ball in two of its {len(start['offset'])} axes, the other "
        f"images' centers as dots; at distance c = {distance(start['offset']):.2f}, {', '.join(told)}"
    )
    return stills.still(
        760, 440, label, plane.frame(), rings, plane.balls(others, None),
        plane.handle([start["offset"][axis] for axis in start["axes"]]),
        stills.picture(470, 10, 130, images[start["selected"]], "the image"),
        stills.picture(620, 10, 130, drawn["ball"], WORDS["ball"]),
        stills.picture(470, 180, 130, drawn["none"], WORDS["none"]),
        stills.picture(620, 180, 130, drawn["round"], WORDS["round"]),
        *(stills.text(470, 360 + 22 * i, line) for i, line in enumerate(told)),
    )  # fmt: skip
