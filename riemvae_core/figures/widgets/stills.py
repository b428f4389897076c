"""The still picture of a live figure, drawn as SVG by hand: what stands without JavaScript and on paper."""

import base64
import io
from html import escape
from typing import NamedTuple

import matplotlib.image
import numpy as np
from torch import Tensor

Number = int | float
MINUS = str.maketrans("-", "−")


def number(value: Number, digits: int = 2) -> str:
    """Fixed decimals and a real minus sign, as the live figures write."""
    return f"{value:.{digits}f}".translate(MINUS)


class Plane(NamedTuple):
    """A square latent plane: where its left upper corner stands, its side in pixels, what it shows."""

    x: float
    y: float
    side: float
    center: tuple[float, float]
    half: float

    @property
    def scale(self) -> float:
        return self.side / (2 * self.half)

    def at(self, z) -> tuple[float, float]:
        """The pixel of a point: right for the first coordinate, up for the second."""
        return (
            self.x + (float(z[0]) - self.center[0] + self.half) * self.scale,
            self.y + (self.half - float(z[1]) + self.center[1]) * self.scale,
        )

    def frame(self) -> str:
        """A quiet ground with the values at its edges."""
        right, bottom = self.x + self.side, self.y + self.side
        digits = 0 if float(self.half).is_integer() else 1
        (x0, y0), (x1, y1) = ([number(c + sign * self.half, digits) for c in self.center] for sign in (-1, 1))
        parts = [
            f'<rect x="{self.x}" y="{self.y}" width="{self.side}" height="{self.side}" '
            'fill="none" stroke="var(--rv-grid)"/>',
            text(self.x, bottom + 15, x0),
            text(right, bottom + 15, f"z₁ = {x1}", "end"),
            text(self.x - 5, bottom, y0, "end"),
            text(self.x - 5, self.y + 10, y1, "end"),
        ]
        return "".join(parts)

    def balls(self, mu: Tensor, log_var: Tensor | None) -> str:
        """Ellipses of one sigma, or dots where there are no radii."""
        parts = []
        for i, center in enumerate(mu):
            (x, y), r = self.at(center), (2.2, 2.2)
            if log_var is not None:
                r = [max(0.5, float(v)) for v in (0.5 * log_var[i]).exp() * self.scale]
            parts.append(f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{r[0]:.1f}" ry="{r[1]:.1f}"/>')
        return self._cut("".join(parts), "rv-dots" if log_var is None else "rv-balls")

    def field(self, values: Tensor, low: float, high: float, colors: np.ndarray) -> str:
        """Values ``[n, n]``, row by row from the top, between the first and the last of 256 colors."""
        index = ((values - low) * (256 / (high - low))).clamp(0, 255).byte().numpy()
        place = f'x="{self.x}" y="{self.y}" width="{self.side}" height="{self.side}"'
        return f'<image class="rv-raster" {place} href="{_png(colors[index])}"/>'

    def ellipse(self, center, radii, kind: str) -> str:
        """One outline of a class of the stylesheet, cut off at the plane's edge."""
        x, y = self.at(center)
        a, b = (max(0.5, float(r) * self.scale) for r in radii)
        return self._cut(f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{a:.1f}" ry="{b:.1f}"/>', kind)

    def walkers(self, z: Tensor) -> str:
        """Points on a field."""
        marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in map(self.at, z)]
        return self._cut("".join(marks), "rv-walkers")

    def cells(self, polygons: list[np.ndarray], tinted: int) -> str:
        """Borders of cells, one of them tinted."""
        parts = []
        for k, polygon in enumerate(polygons):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, polygon))
            fill = ' fill-opacity="0.16"' if k == tinted else ""
            parts.append(f'<polygon points="{points}"{fill}/>')
        return self._cut("".join(parts), "rv-cells")

    def codes(self, codebook: Tensor) -> str:
        """Codes as larger dots."""
        marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y in map(self.at, codebook)]
        return self._cut("".join(marks), "rv-codebook")

    def path(self, curve: Tensor, kind: str) -> str:
        """A curve ``[t, 2]`` as a class of the stylesheet draws it, cut off at the plane's edge."""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.at, curve))
        return self._cut(f'<polyline points="{points}"/>', f"rv-path rv-path-{kind}")

    def _cut(self, parts: str, kind: str) -> str:
        box = f"{self.x} {self.y} {self.side} {self.side}"
        place = 'x="{}" y="{}" width="{}" height="{}"'.format(*box.split())
        return f'<svg {place} viewBox="{box}" class="{kind}">{parts}</svg>'

    def handle(self, z) -> str:
        """The point that a hand drags, at z."""
        x, y = self.at(z)
        return f'<circle class="rv-knob" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'


def text(x: Number, y: Number, words: str, anchor: str = "start") -> str:
    """A line of text in the page's color and font."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def picture(x: Number, y: Number, side: Number, image: Tensor, caption: str) -> str:
    """An image (or a row of some, side by side) as ink on the page's ground, its caption below."""
    values = np.asarray(image.detach().cpu().squeeze(0).clamp(0, 1))
    width = f"{side * values.shape[1] / values.shape[0]:g}"
    rgba = np.zeros((*values.shape, 4), np.uint8)
    rgba[..., 3] = np.rint(values * 255)
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{side}" fill="none" stroke="var(--rv-grid)"/>'
        f'<image x="{x}" y="{y}" width="{width}" height="{side}" href="{_png(rgba)}"/>'
        + text(x, y + side + 16, caption)
    )


def _png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    matplotlib.image.imsave(file, pixels, format="png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def still(width: Number, height: Number, label: str, *parts: str) -> str:
    """The whole picture, with its alternative text."""
    return (
        f'<svg class="rv-still" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width: {width:.0f}px" '
        f'role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
