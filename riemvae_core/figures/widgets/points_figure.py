"""Chapter 1's live figure: one handle in the latent planes of several models, at the same relative place."""

import math
from collections.abc import Sequence

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.data import class_names
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import (
    asset,
    codes,
    planar_models,
    probes,
    probes_name,
    trained,
    unpack,
)
from riemvae_core.figures.widgets.checks import clipped_pair, pair
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.models import zoo

FRAME = 3.0  # the plane shows the mean +- this many standard deviations of the wider axis
START_WITHIN = 2.0  # standard deviations
GRID = 41


def points_and_balls(
    models: Sequence[str] = ("fashion-ae-2d", "fashion-vae-2d"), see: str = "", try_this: str = ""
):
    """Points against balls: drag a handle through each model's latent plane and see what it decodes to.

    ``models`` are names of the zoo with two latent dimensions and the same data. ``see`` and ``try_this`` are
    the two sentences of the caption, plain text. In a notebook the result is a widget: ``position`` (standard
    deviations from each cloud's mean, clipped to +-3) and ``z`` (model name to latent point) are read, set
    and observed.
    Stands in chapter 1. Raises ValueError for models that don't suit.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.points_and_balls(["digits-ae-2d", "digits-vae-2d"])
        >>> shown.position = [9.0, 0.0]
        >>> shown.position, sorted(shown.z)
        ([3.0, 0.0], ['digits-ae-2d', 'digits-vae-2d'])
    """
    names = tuple(models)
    allowed = planar_models()
    if not names or any(name not in allowed for name in names) or len(set(names)) < len(names):
        raise ValueError(f"models must be different names among {', '.join(allowed)}, got {models!r}")
    if len({zoo.recipe(name).data for name in names}) > 1:
        raise ValueError(f"models must be trained on the same data, got {models!r}")
    props = _props(names)
    return figure("points_and_balls", PointsAndBalls, props, lambda: _still(props), see, try_this)


def _props(names: tuple[str, ...]) -> dict:
    data = zoo.recipe(names[0]).data
    images = probes(data).images
    models = []
    for name in names:
        mu, _ = codes(trained(name), images)
        models.append(
            {
                "name": name, "asset": name, "kind": zoo.recipe(name).kind,
                "mean": mu.mean(0).tolist(), "std": mu.std(0, correction=0).tolist(),
            }
        )  # fmt: skip
    return {
        "models": models,
        "probes": probes_name(data),
        "side": images.shape[-1],
        "classes": list(class_names(data)),
        "half": FRAME,
        "start": start_position(names),
    }


def rms_to_nearest(y: Float[Tensor, "m c h w"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, " m"]:
    """Root mean squared pixel difference from each y to the nearest of the images."""
    pixels = images[0].numel()
    return torch.cdist(y.flatten(1), images.flatten(1)).amin(1) / math.sqrt(pixels)


def start_position(names: Sequence[str]) -> list[float]:
    """Where an autoencoder's decoded image is furthest from every probe image; without one, the cloud's mean.

    Searched for the first autoencoder on a grid of 41 x 41 within two standard deviations of its cloud's
    mean; in standard deviations from that mean.
    """
    name = next((n for n in names if zoo.recipe(n).kind == "ae"), None)
    if name is None:
        return [0.0, 0.0]
    images = probes(zoo.recipe(name).data).images
    model = trained(name)
    mu, _ = codes(model, images)
    steps = torch.linspace(-START_WITHIN, START_WITHIN, GRID, device="cpu")
    u = torch.cartesian_prod(steps, steps)
    with torch.no_grad():
        decoded = model.decode(mu.mean(0) + u * mu.std(0, correction=0))
    return [round(v, 3) for v in u[rms_to_nearest(decoded, images).argmax()].tolist()]


class PointsAndBalls(LiveFigure):
    """The figure in a notebook. ``position`` is what page and kernel share; ``z`` follows it and leads it."""

    _esm = notebook_module("points_and_balls")
    position = traitlets.List(help="standard deviations from each cloud's mean").tag(sync=True)
    z = traitlets.Dict(help="the handle's latent point in each model")

    def __init__(self, props: dict) -> None:
        names = [props["probes"], *(m["asset"] for m in props["models"])]
        super().__init__(props, names, position=props["start"])

    @traitlets.validate("position")
    def _check_position(self, proposal) -> list[float]:
        return clipped_pair("position", proposal["value"], FRAME)

    @traitlets.observe("position")
    def _follow(self, _change) -> None:
        with self.hold_trait_notifications():
            self.z = {
                m["name"]: [c + p * s for c, p, s in zip(m["mean"], self.position, m["std"], strict=True)]
                for m in self._props["models"]
            }

    @traitlets.validate("z")
    def _check_z(self, proposal) -> dict[str, list[float]]:
        names = [m["name"] for m in self._props["models"]]
        if unknown := set(proposal["value"]) - set(names):
            raise ValueError(f"z must be keyed by {', '.join(names)}, got {', '.join(sorted(unknown))}")
        return {name: pair(f"z[{name!r}]", v) for name, v in proposal["value"].items()}

    @traitlets.observe("z")
    def _lead(self, change) -> None:
        """Set z of one model and the handle moves in all; of several given, the first that changed counts."""
        for m in self._props["models"]:
            to = change["new"].get(m["name"])
            here = [c + p * s for c, p, s in zip(m["mean"], self.position, m["std"], strict=True)]
            if to is not None and max(abs(a - b) for a, b in zip(to, here, strict=True)) > 1e-9:
                self.position = [(v - c) / s for v, c, s in zip(to, m["mean"], m["std"], strict=True)]
                return
        self._follow(None)


TITLES = {"ae": "Autoencoder: an image is a point", "vae": "VAE: an image is a ball"}


def _still(props: dict) -> str:
    images, parts, told = probes(zoo.recipe(props["models"][0]["name"]).data).images, [], []
    for i, m in enumerate(props["models"]):
        arrays = {k: torch.from_numpy(v.copy()) for k, v in unpack(asset(m["asset"])).items()}
        left, top = 40.0 + 370 * i, 30.0
        plane = stills.Plane(left, top, 300.0, tuple(m["mean"]), props["half"] * max(m["std"]))
        z = [c + p * s for c, p, s in zip(m["mean"], props["start"], m["std"], strict=True)]
        with torch.no_grad():
            decoded = trained(m["name"]).decode(torch.tensor([z], device="cpu"))
        nearest = (images - decoded).square().flatten(1).sum(-1).argmin()
        rms = float(rms_to_nearest(decoded, images))
        parts += [
            stills.text(left, 16, TITLES[m["kind"]]),
            plane.frame(),
            plane.balls(arrays["mu"], arrays.get("log_var")),
            plane.handle(z),
            stills.picture(left, 370.0, 150, decoded[0], "decoded"),
            stills.picture(left + 170, 430.0, 90, images[nearest], "nearest real"),
            stills.text(left, 560, f"z = ({stills.number(z[0])}, {stills.number(z[1])}), RMS {rms:.3f}"),
        ]
        shape = "ellipses" if m["kind"] == "vae" else "points"
        told.append(
            f"{TITLES[m['kind']]}. {len(images)} codes as {shape}; the handle stands at "
            f"({stills.number(z[0])}, {stills.number(z[1])}), decoded {rms:.3f} from the nearest real image."
        )
    return stills.still(370.0 * len(props["models"]) + 10, 570.0, " ".join(told), *parts)
