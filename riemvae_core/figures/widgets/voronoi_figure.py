"""Chapter 4's live figure: codes and their cells in a plane; move one and see what images become."""

import math
from typing import NamedTuple

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from scipy import spatial
from torch import Tensor

from riemvae_core.balls import responsibilities
from riemvae_core.codes import count_codes, nearest_code, perplexity
from riemvae_core.data import class_names
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import CODEBOOKS, points_of, probes, probes_name, trained
from riemvae_core.figures.widgets.checks import one_of, pair, probe_index, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module

CENTER, HALF = (-4.0, -3.0), 24.0  # one frame for all codebooks, so that pictures compare
SOFTEST = 12.0
START = {
    "n_codes": 16,
    "selected": 183,
    "softness": 0.0,
}  # a sneaker close to a border: its code shows a boot


class Usage(NamedTuple):
    """How many images each code gets by weight, how many codes are nearest to some, the perplexity, the
    error.
    """

    counts: list[float]
    used: int
    perplexity: float
    error: float


def code_weights(
    z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], softness: float
) -> Float[Tensor, "n k"]:
    r"""The weight of each code in each point: $w_k\propto\exp(-\|z-e_k\|^2/2\sigma^2)$, with sums of 1.

    That is what equally likely balls $N(e_k,\sigma^2I)$ say of a draw at z. With softness $\sigma=0$ the
    nearest code has all the weight.
    """
    if softness == 0:
        return torch.nn.functional.one_hot(nearest_code(z, codebook), len(codebook)).to(z.dtype)
    return responsibilities(z, codebook, torch.full_like(codebook, 2.0 * math.log(softness)))


def code_error(z: Float[Tensor, "n d"], codebook: Float[Tensor, "k d"], softness: float) -> float:
    r"""The mean over points of $-2\sigma^2\log\frac1K\sum_k\exp(-\|z-e_k\|^2/2\sigma^2)$.

    As $\sigma\to0$ it tends to the mean squared distance to the nearest code, which it is at softness 0.
    """
    squares = (z[:, None] - codebook).square().sum(-1)
    if softness == 0:
        return squares.amin(1).mean().item()
    scale = 2.0 * softness**2
    return (-scale * (torch.logsumexp(-squares / scale, 1) - math.log(len(codebook)))).mean().item()


def usage(n_codes: int, codebook: list, selected: int, z: list[float], softness: float) -> Usage:
    """What the 240 probe images' points, that of the selected one at z, make of a codebook."""
    points, e = _points(n_codes, selected, z), torch.tensor(codebook, dtype=torch.float64, device="cpu")
    counts = code_weights(points, e, softness).sum(0)
    used = int((count_codes(nearest_code(points, e), n_codes) > 0).sum())
    return Usage(counts.tolist(), used, perplexity(counts).item(), code_error(points, e, softness))


def image_errors(
    n_codes: int, codebook: list, selected: int, z: list[float], softness: float
) -> dict[str, float]:
    """The selected image's squared error, summed over pixels, decoded from its point and from its codes."""
    image = probes("fashion").images[selected]
    decoded = _decoded(n_codes, codebook, z, softness)
    return {part: (y - image).square().sum().item() for part, y in decoded.items()}


def cells(codebook: Float[Tensor, "k 2"]) -> list[np.ndarray]:
    """Each code's Voronoi cell within the frame, a polygon.

    The frame's edges are borders between the codes and their images in four mirrors. Codes lie inside.
    """
    sites, mirrored = np.asarray(codebook, np.float64), []
    for axis in range(2):
        for edge in (CENTER[axis] - HALF, CENTER[axis] + HALF):
            other = sites.copy()
            other[:, axis] = 2 * edge - other[:, axis]
            mirrored.append(other)
    found = spatial.Voronoi(np.concatenate([sites, *mirrored]))
    return [found.vertices[found.regions[found.point_region[k]]] for k in range(len(sites))]


def trained_codebook(n_codes: int) -> list[list[float]]:
    """The codes as training left them."""
    return trained(CODEBOOKS[n_codes]).codebook.tolist()


def trained_point(n_codes: int, selected: int) -> list[float]:
    """Where the codebook's encoder puts a probe image."""
    return points_of(CODEBOOKS[n_codes])[selected].tolist()


def voronoi(see: str = "", try_this: str = ""):
    r"""Codes of a VQ-VAE and their cells in the plane, 240 images that go to them, and what one becomes.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``n_codes``, ``codebook``, ``selected`` (which of the 240 probe images), its point ``z`` and the
    ``softness`` $\sigma$ of the assignment are read, set and observed; ``usage`` and ``errors`` are read and
    observed. Other codes, or another image, start as trained.
    Stands in chapter 4. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.voronoi()
        >>> sum(shown.usage.counts), shown.usage.used <= shown.n_codes  # each of 240 images has one code
        (240.0, True)
    """
    props = _props()
    return figure("voronoi", VoronoiCells, props, lambda: _still(props), see, try_this)


def _points(n_codes: int, selected: int, z: list[float]) -> Float[Tensor, "n d"]:
    points = points_of(CODEBOOKS[n_codes]).double()
    points[selected] = torch.tensor(z, dtype=points.dtype, device="cpu")
    return points


def _decoded(n_codes: int, codebook: list, z: list[float], softness: float) -> dict[str, Tensor]:
    at, e = (torch.tensor(v, dtype=torch.float64, device="cpu") for v in ([z], codebook))
    read = {"point": at, "code": code_weights(at, e, softness) @ e}
    with torch.no_grad():
        return {part: trained(CODEBOOKS[n_codes]).decode(v.float())[0] for part, v in read.items()}


def _props() -> dict:
    return {
        "probes": probes_name("fashion"),
        "models": {str(k): name for k, name in CODEBOOKS.items()},
        "classes": list(class_names("fashion")),
        "side": probes("fashion").images.shape[-1],
        "center": list(CENTER),
        "half": HALF,
        "softest": SOFTEST,
        "start": START,
    }


class VoronoiCells(LiveFigure):
    """The figure in a notebook; its traits are described in ``voronoi``."""

    _esm = notebook_module("voronoi")
    n_codes = traitlets.Int().tag(sync=True)
    selected = traitlets.Int(help="which of the 240 probe images").tag(sync=True)
    softness = traitlets.Float(help="radius of the codes' balls; 0 for the nearest code").tag(sync=True)
    codebook = traitlets.List(help="the codes, a pair each").tag(sync=True)
    z = traitlets.List(help="the selected image's point").tag(sync=True)
    usage = traitlets.Instance(Usage, read_only=True, allow_none=True)
    errors = traitlets.Dict(help="squared error of the image decoded from point and code", read_only=True)

    def __init__(self, props: dict) -> None:
        start = props["start"]
        at = {
            "codebook": trained_codebook(start["n_codes"]),
            "z": trained_point(start["n_codes"], start["selected"]),
        }
        super().__init__(props, [props["probes"], *props["models"].values()], **start, **at)
        self._measure(None)

    @traitlets.validate("n_codes")
    def _check_n_codes(self, proposal) -> int:
        return one_of("n_codes", proposal["value"], CODEBOOKS)

    @traitlets.validate("selected")
    def _check_selected(self, proposal) -> int:
        return probe_index("selected", proposal["value"])

    @traitlets.validate("softness")
    def _check_softness(self, proposal) -> float:
        return within("softness", proposal["value"], 0.0, SOFTEST)

    @traitlets.validate("codebook")
    def _check_codebook(self, proposal) -> list[list[float]]:
        codes = list(proposal["value"])
        if len(codes) != self.n_codes:
            raise ValueError(f"codebook must be {self.n_codes} pairs of numbers, got {len(codes)}")
        return [_in_frame("codebook", e) for e in codes]

    @traitlets.validate("z")
    def _check_z(self, proposal) -> list[float]:
        return _in_frame("z", proposal["value"])

    @traitlets.observe("n_codes", "selected")
    def _put_back(self, change) -> None:
        if change["name"] == "n_codes":
            self.codebook = trained_codebook(self.n_codes)
        self.z = trained_point(self.n_codes, self.selected)

    @traitlets.observe("codebook", "z", "softness")
    def _measure(self, _change) -> None:
        if len(self.codebook) == self.n_codes:  # else the codes of the new number are on their way
            now = self.n_codes, self.codebook, self.selected, self.z, self.softness
            self.set_trait("usage", usage(*now))
            self.set_trait("errors", image_errors(*now))


def _in_frame(name: str, value: list) -> list[float]:
    return [min(c + HALF, max(c - HALF, v)) for c, v in zip(CENTER, pair(name, value), strict=True)]


def _still(props: dict) -> str:
    k, selected, softness = (props["start"][key] for key in ("n_codes", "selected", "softness"))
    codebook, z = trained_codebook(k), trained_point(k, selected)
    e, points = torch.tensor(codebook, dtype=torch.float64, device="cpu"), _points(k, selected, z)
    own = int(nearest_code(points[selected], e))
    plane = stills.Plane(40.0, 10.0, 400.0, CENTER, HALF)
    name = props["classes"][probes("fashion").labels[selected]]
    decoded, errors = (
        f(k, codebook, *a) for f, a in ((_decoded, (z, softness)), (image_errors, (selected, z, softness)))
    )
    now = usage(k, codebook, selected, z, softness)
    told = [
        f"{now.used} of {k} codes in use",
        f"perplexity {stills.number(now.perplexity)}",
        f"mean squared distance {stills.number(now.error)}",
        f"error of the point's image {stills.number(errors['point'])}",
        f"error of the code's image {stills.number(errors['code'])}",
    ]
    label = (
        f"{len(points)} images' points, {k} codes and their cells; a {name} goes to "
        f"code {own + 1}: {', '.join(told)}"
    )
    return stills.still(
        760, 440, label, plane.frame(), plane.cells(cells(e), own), plane.balls(points, None), plane.codes(e),
        plane.path(torch.stack([points[selected], e[own]]), "geodesic"), plane.handle(z),
        stills.picture(470, 10, 80, probes("fashion").images[selected], name),
        stills.picture(570, 10, 80, decoded["point"], "point"),
        stills.picture(670, 10, 80, decoded["code"], "code"),
        *(stills.text(470, 150 + 24 * i, line) for i, line in enumerate(told)),
    )  # fmt: skip
