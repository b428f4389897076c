"""Pictures: what was drawn is read back from matplotlib and compared with what was meant."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import properties
import pytest
import torch
from matplotlib.colors import to_hex

from riemvae_core.figures import plotting
from riemvae_core.intervals import Interval


@pytest.fixture
def ax():
    """Axes of a figure that is closed afterwards."""
    with mpl.rc_context():
        plt.switch_backend("agg")
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


@pytest.mark.parametrize(("book", "face"), [(None, "white"), ("1", "none")])
def test_figures_are_white_outside_the_book_and_transparent_within(monkeypatch, book, face):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    if book:
        monkeypatch.setenv("RIEMVAE_BOOK", book)
    with mpl.rc_context():
        plotting.use_style()
        assert mpl.rcParams["figure.facecolor"] == face
        assert mpl.rcParams["image.cmap"] == "cividis"


@pytest.mark.parametrize(
    ("limit", "frame"), [(3.0, (-3.0, 3.0, -3.0, 3.0)), ((-1.0, 2.0, 0.0, 4.0), (-1.0, 2.0, 0.0, 4.0))]
)
def test_a_latent_plane_has_equal_units(ax, limit, frame):
    assert plotting.latent_plane(ax, limit) is ax
    assert (*ax.get_xlim(), *ax.get_ylim()) == frame
    assert ax.get_aspect() == 1.0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$z_1$", "$z_2$")


@pytest.mark.parametrize("limit", [-1.0, (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 1.0)])
def test_a_latent_plane_refuses_an_empty_frame(ax, limit):
    with pytest.raises(ValueError, match="limit must be positive or") as caught:
        plotting.latent_plane(ax, limit)
    properties.message_names(caught.value, limit)


@pytest.mark.parametrize("n", [5, 1001])
def test_codes_are_dots_where_they_lie(ax, n):
    (z,) = properties.random_tensors(1, (n, 2))
    plotting.draw_codes(ax, z.requires_grad_(), color="codes")
    (dots,) = ax.collections
    np.testing.assert_array_equal(dots.get_offsets(), z.detach().numpy())
    assert to_hex(dots.get_facecolor()[0]).upper() == plotting.COLORS["codes"]
    assert dots.get_rasterized() is (n > 1000)


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_balls_are_level_sets_of_the_mahalanobis_distance(ax, radius):
    mu, log_var = properties.random_tensors(2, (4, 2))
    plotting.latent_plane(ax, 8.0)
    plotting.draw_balls(ax, mu, log_var, radius=radius)
    ax.figure.canvas.draw()
    for collection in ax.collections:
        (outline,) = collection.get_paths()
        centers = collection.get_offset_transform().transform(collection.get_offsets())
        for i, (center, ellipse) in enumerate(zip(centers, collection.get_transforms(), strict=True)):
            pixels = collection.get_transform().transform(outline.vertices @ ellipse[:2, :2].T) + center
            z = torch.from_numpy(ax.transData.inverted().transform(pixels))
            # matplotlib's circle is eight cubic splines, whose control points lie a little outside
            distance = ((z - mu[i]) / torch.exp(0.5 * log_var[i])).norm(dim=-1)[::3]
            properties.close(distance, torch.full_like(distance, radius), rtol=1e-6)


def test_balls_need_a_radius(ax):
    with pytest.raises(ValueError, match="radius must be positive, got 0"):
        plotting.draw_balls(ax, torch.zeros(1, 2), torch.zeros(1, 2), radius=0.0)


def test_the_prior_is_circles_around_the_origin(ax):
    plotting.draw_prior(ax, radii=(1.0, 2.0, 3.0))
    for line, radius in zip(ax.lines, (1.0, 2.0, 3.0), strict=True):
        x, y = line.get_data()
        np.testing.assert_allclose(np.hypot(x, y), radius, rtol=1e-6)
        assert line.get_color() == plotting.COLORS["prior"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("n", "columns", "rows"), [(6, 3, 2), (5, 3, 2), (2, 5, 1)])
def test_a_grid_holds_each_image_at_its_place(channels, n, columns, rows):
    images = torch.rand(n, channels, 2, 4, generator=torch.Generator().manual_seed(0))
    grid = plotting.image_grid(images, columns)
    assert grid.shape == (rows * 2, columns * 4, *((3,) if channels == 3 else ()))
    rest = grid.copy()
    for i in range(n):
        r, c = divmod(i, columns)
        place = np.s_[2 * r : 2 * r + 2, 4 * c : 4 * c + 4]
        expected = images[i].permute(1, 2, 0).squeeze(-1).numpy()
        np.testing.assert_array_equal(grid[place], expected)
        rest[place] = 0.0
    assert not rest.any()


def test_a_grid_is_cut_to_the_range_of_an_image():
    grid = plotting.image_grid(torch.tensor([-1.0, 0.5, 2.0]).reshape(3, 1, 1, 1), 3)
    np.testing.assert_array_equal(grid, [[0.0, 0.5, 1.0]])


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("shape", "columns"), [((0, 1, 2, 2), 1), ((1, 2, 2), 1), ((1, 1, 2, 2), 0)])
def test_a_grid_names_what_is_wrong(shape, columns):
    with pytest.raises(ValueError, match=r"images must be \[n, c, h, w\]") as caught:
        plotting.image_grid(torch.zeros(shape), columns)
    properties.message_names(caught.value, list(shape), columns)


def test_shown_images_are_ink_on_paper(ax):
    images = torch.rand(4, 1, 3, 3)
    plotting.show_images(ax, images, 2)
    (shown,) = ax.images
    np.testing.assert_allclose(shown.get_array(), 1.0 - plotting.image_grid(images, 2))
    assert shown.get_clim() == (0.0, 1.0)
    assert not ax.axison


def test_a_decoded_plane_shows_each_point_at_its_place(ax):
    def decode(z):  # an image of 2 x 2 pixels: its point's coordinates, brought into [0, 1]
        return ((z + 4.0) / 8.0).repeat_interleave(2, dim=-1).reshape(-1, 1, 2, 2)

    plotting.show_decoded_plane(ax, decode, (-2.0, 4.0, -1.0, 2.0), n=3)
    (shown,) = ax.images
    assert shown.get_extent() == [-2.0, 4.0, -1.0, 2.0]
    assert (*ax.get_xlim(), *ax.get_ylim()) == (-2.0, 4.0, -1.0, 2.0)
    cells = (1.0 - np.asarray(shown.get_array())) * 8.0 - 4.0
    x, y = cells[::2], cells[1::2]  # the upper pixels of each image tell z_1, the lower ones z_2
    np.testing.assert_allclose(x, np.tile(np.repeat([-1.0, 1.0, 3.0], 2), (3, 1)), atol=1e-5)
    np.testing.assert_allclose(y, np.repeat([[1.5], [0.5], [-0.5]], 6, axis=1), atol=1e-5)


def test_intervals_reach_from_low_to_high(ax):
    intervals = [Interval(1.0, 0.5, 2.0), Interval(3.0, 2.0, 3.5)]
    plotting.draw_intervals(ax, [10.0, 20.0], intervals, color="prior")
    (drawn,) = ax.containers
    np.testing.assert_array_equal(drawn.lines[0].get_xydata(), [[10.0, 1.0], [20.0, 3.0]])
    (whiskers,) = drawn.lines[2]
    ends = [segment[:, 1].tolist() for segment in whiskers.get_segments()]
    assert ends == [[0.5, 2.0], [2.0, 3.5]]
    assert drawn.lines[0].get_color() == plotting.COLORS["prior"]


def test_borders_of_cells_are_as_near_to_one_code_as_to_another(ax):
    codebook = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ax.set(xlim=(-3.0, 3.0), ylim=(-3.0, 3.0))
    plotting.draw_cells(ax, codebook)
    (drawn,) = ax.collections
    a, b = torch.tensor(np.array(drawn.get_segments())).unbind(1)
    steps = torch.linspace(-3.0, 3.0, 61, dtype=torch.float64)
    places = torch.cartesian_prod(steps, steps)
    share = ((places[:, None] - a) * (b - a)).sum(-1) / (b - a).square().sum(-1)
    feet = a + share.clamp(0.0, 1.0)[..., None] * (b - a)
    two = torch.cdist(feet, codebook).topk(2, largest=False).values
    torch.testing.assert_close(two[..., 0], two[..., 1])
    away = (feet - places[:, None]).norm(dim=-1).amin(1)
    undecided = torch.cdist(places, codebook).topk(2, largest=False).values.diff().squeeze() < 0.02
    assert away[undecided].max() < 0.2  # no border is missing
    assert ax.get_xlim() == (-3.0, 3.0)


def test_cells_need_two_codes(ax):
    with pytest.raises(ValueError, match="codebook must hold at least 2 codes, got 1"):
        plotting.draw_cells(ax, torch.zeros(1, 2))
