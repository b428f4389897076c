"""Balls, planes and image grids with matplotlib, in the one look that the page's live figures share."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from scipy.spatial import Voronoi
from torch import Tensor

from riemvae_core.intervals import Interval

#: the book's colors by what they mean, as in the pages' palette (light ground)
COLORS = {
    "data": "#7A808A",
    "prior": "#2F6DB5",
    "posterior": "#D4682A",
    "codes": "#2B8A6E",
    "ink": "#1F2328",
}


def use_style() -> None:
    """Set the book's style: SVG in notebooks and pages, on a white ground outside the book's own build.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from riemvae_core.figures import plotting
        >>> with plt.rc_context():
        ...     plotting.use_style()
        ...     plt.rcParams["axes.spines.top"]
        False
    """
    plt.style.use(Path(__file__).with_name("riemvae.mplstyle"))
    if "RIEMVAE_BOOK" not in os.environ:
        plt.rcParams.update({"figure.facecolor": "white", "savefig.transparent": False})
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("svg")


def latent_plane(ax: Axes, limit: float | tuple[float, float, float, float], label: str = "z") -> Axes:
    """Turn axes into a latent plane: equal units, labels $z_1$ and $z_2$, framed by ``limit``.

    That is the largest coordinate on either side or (left, right, low, high). Raises ValueError for an
    empty frame.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> ax = plotting.latent_plane(ax, 3.0)
        >>> ax.get_xlabel(), [float(v) for v in ax.get_ylim()]
        ('$z_1$', [-3.0, 3.0])
    """
    left, right, low, high = limit if isinstance(limit, tuple) else (-limit, limit, -limit, limit)
    if not (left < right and low < high):
        raise ValueError(f"limit must be positive or (left < right, low < high), got {limit}")
    ax.set(xlim=(left, right), ylim=(low, high), xlabel=f"${label}_1$", ylabel=f"${label}_2$", aspect="equal")
    return ax


def draw_codes(ax: Axes, z: Float[Tensor, "n 2"], color: str = "data", size: float = 4.0, **style) -> None:
    """Scatter codes as dots; more than a thousand of them are drawn as pixels, to keep the page light.

    ``color`` is a name of ``COLORS`` or matplotlib's, ``size`` is in square points.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.draw_codes(ax, torch.zeros(2000, 2))
        >>> ax.collections[0].get_rasterized()  # many dots are pixels
        True
    """
    x, y = z.detach().cpu().unbind(-1)
    style = {"linewidths": 0, "alpha": 0.55, "rasterized": len(z) > 1000} | style
    ax.scatter(x, y, s=size, color=COLORS.get(color, color), **style)


def draw_balls(
    ax: Axes,
    mu: Float[Tensor, "n 2"],
    log_var: Float[Tensor, "n 2"],
    radius: float = 1.0,
    color: str = "posterior",
    alpha: float = 0.16,
) -> None:
    r"""Draw the ellipses $\sum_k (z_k-\mu_k)^2/\sigma_k^2 = $ radius squared, filled faintly.

    Raises ValueError for a radius that is not positive.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.draw_balls(ax, torch.zeros(5, 2), torch.zeros(5, 2), radius=2.0)
        >>> ax.collections[0].get_widths().tolist()  # of five circles of radius 2
        [4.0, 4.0, 4.0, 4.0, 4.0]
    """
    if radius <= 0:
        raise ValueError(f"radius must be positive, got {radius}")
    widths, heights = (2.0 * radius * torch.exp(0.5 * log_var)).detach().cpu().unbind(-1)
    tint = COLORS.get(color, color)
    collection = EllipseCollection(
        widths.numpy(), heights.numpy(), np.zeros(len(mu)), units="xy", offsets=mu.detach().cpu().numpy(),
        transOffset=ax.transData, facecolors=(tint, alpha), edgecolors=(tint, 0.8), linewidths=0.7,
    )  # fmt: skip
    ax.add_collection(collection)


def draw_cells(ax: Axes, codebook: Float[Tensor, "k 2"]) -> None:
    """Draw the straight borders between the cells of a codebook, wherever they lie; the frame stays.

    Raises ValueError for fewer than two codes.
    Used in chapter 4.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.draw_cells(ax, torch.tensor([[-1.0, 0.0], [3.0, 0.0]]))
        >>> border = ax.collections[0].get_segments()[0]  # halfway between the two codes
        >>> border[:, 0].round(6).tolist()
        [1.0, 1.0]
    """
    e = codebook.detach().cpu().double().numpy()
    if len(e) < 2:
        raise ValueError(f"codebook must hold at least 2 codes, got {len(e)}")
    reach = 1e3 * (np.ptp(e, axis=0).max() + 1.0)
    corners = e.mean(0) + reach * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = Voronoi(np.concatenate([e, corners]))  # the far corners end the outermost borders
    ours = (found.ridge_points < len(e)).all(1)
    borders = found.vertices[np.array(found.ridge_vertices)[ours]]
    ax.add_collection(LineCollection(borders, colors=COLORS["codes"], linewidths=0.7), autolim=False)


def draw_prior(ax: Axes, radii: Sequence[float] = (1.0, 2.0)) -> None:
    """Circles around the origin that hold one, two, ... standard deviations of N(0, I).

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.draw_prior(ax, radii=(1.0, 2.0))
        >>> [float(abs(line.get_xdata()).max()) for line in ax.lines]
        [1.0, 2.0]
    """
    angle = torch.linspace(0.0, 2.0 * torch.pi, 181, device="cpu")
    for r in radii:
        ax.plot(r * angle.cos(), r * angle.sin(), color=COLORS["prior"], linewidth=1.1)


def image_grid(images: Float[Tensor, "n c h w"], columns: int) -> np.ndarray:
    """Images row by row as one array ``[rows * h, columns * w]`` (or ``[..., 3]`` in color), cut to [0, 1].

    Raises ValueError where there is no image or no column.

    Example:
        >>> from riemvae_core.figures import plotting
        >>> images = rc.load_images("digits").images
        >>> plotting.image_grid(images[:6], columns=3).shape  # two rows of 8 pixels, three columns
        (16, 24)
    """
    if images.ndim != 4 or columns < 1 or len(images) == 0:
        raise ValueError(
            f"images must be [n, c, h, w] with n and columns at least 1, got {list(images.shape)}, {columns}"
        )
    n, c, h, w = images.shape
    rows = -(-n // columns)
    full = torch.zeros(rows * columns, c, h, w, device="cpu")
    full[:n] = images.detach().cpu().float().clamp(0.0, 1.0)
    grid = full.reshape(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
    return grid.squeeze(-1).numpy()


def show_images(ax: Axes, images: Float[Tensor, "n c h w"], columns: int) -> None:
    """Show a grid of images without axes: ink on paper, so that an empty pixel is light.

    Raises ValueError where there is no image or no column.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.show_images(ax, rc.load_images("digits").images[:6], columns=3)
        >>> ax.images[0].get_array().shape
        (16, 24)
    """
    ax.imshow(1.0 - image_grid(images, columns), cmap="gray", vmin=0.0, vmax=1.0)
    ax.set_axis_off()


def show_decoded_plane(
    ax: Axes,
    decode: Callable[[Tensor], Tensor],
    limit: float | tuple[float, float, float, float],
    n: int = 15,
) -> None:
    """Fill a latent plane with what its points decode to: n x n images, each at its own place.

    ``decode`` takes codes ``[m, 2]`` to images. Raises ValueError for an empty frame.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> from riemvae_core.models import zoo
        >>> plotting.show_decoded_plane(ax, zoo.load("digits-vae-2d").decode, limit=3.0, n=5)
        >>> ax.images[0].get_array().shape  # 5 x 5 images of 8 x 8 pixels
        (40, 40)
    """
    left, right, low, high = limit if isinstance(limit, tuple) else (-limit, limit, -limit, limit)
    step_x, step_y = (right - left) / n, (high - low) / n
    x = left + step_x * (torch.arange(n, device="cpu") + 0.5)
    y = high - step_y * (torch.arange(n, device="cpu") + 0.5)
    z = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    with torch.no_grad():
        grid = image_grid(decode(z), n)
    latent_plane(ax, (left, right, low, high))
    ax.imshow(1.0 - grid, cmap="gray", vmin=0.0, vmax=1.0, extent=(left, right, low, high), aspect="auto")
    ax.set_aspect("equal")


def draw_intervals(
    ax: Axes, x: Sequence[float], intervals: Sequence[Interval], color: str = "ink", **style
) -> None:
    """Means with the whiskers of their confidence intervals.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import plotting
        >>> ax = Figure().subplots()
        >>> plotting.draw_intervals(ax, [0.0], [rc.confidence_interval([1.0, 2.0, 3.0])])
        >>> ax.lines[0].get_ydata().tolist()
        [2.0]
    """
    means = np.array([i.mean for i in intervals])
    whiskers = np.array([[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]])
    style = {"fmt": "o", "capsize": 3, "linewidth": 1.2} | style
    ax.errorbar(x, means, whiskers, color=COLORS.get(color, color), **style)
