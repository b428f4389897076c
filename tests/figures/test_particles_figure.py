"""The Python side of chapter 7's figure of particles: its worlds, what is exact, what a kernel sets."""

import json
import math

import pytest
import torch
from test_js_particles import Seen

import riemvae_core as rc
from riemvae_core.figures.widgets import particles
from riemvae_core.figures.widgets.host import StaticFigure
from riemvae_core.figures.widgets.metric_figure import plane_grid
from riemvae_core.figures.widgets.particles_figure import (
    AXES,
    COPIES,
    MIDDLE,
    RING,
    WORLDS,
    Particles,
    World,
    exact_log_volume,
    log_volume_seen,
    metric_of,
    mixture_of,
    world_of,
)
from riemvae_core.laws import smc


def test_in_two_axes_round_balls_have_a_closed_volume():
    """pi rho^2 for each ball, whatever its radius."""
    balls, rho = world_of("ring")
    assert world_of("ring") == World(balls, rho)
    expected = math.log((RING + COPIES) * math.pi * rho**2)
    assert exact_log_volume("ring", 2) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("world", WORLDS)
def test_the_grid_is_fine_enough(world):
    """A finer one gives the same volume, where all of it lies within; the core samples it to its error."""
    values = log_volume_seen(world, 128, plane_grid(150).reshape(-1, 2))
    inside = float(torch.logsumexp(values, 0)) + 2 * math.log(7 / 150)
    assert exact_log_volume(world, 128) == pytest.approx(inside, abs=1e-3)
    draws = rc.sample_uniform(metric_of(world, 4), 50, rc.make_generator(0))
    assert draws.converged
    bound = 4 * draws.log_volume_error + 1e-3
    assert abs(exact_log_volume(world, 4) - draws.log_volume) < bound


def test_from_crowded_balls_every_check_passes_and_most_of_the_law_is_missing():
    """The figure's second world is a failure of the core's own sampler, which a place between repairs."""
    (mu, log_var), rho = world_of("ring")
    law = Seen({"mu": mu, "log_var": log_var, "rho": rho}, 128)
    exact, found = exact_log_volume("ring", 128), {}
    for start in ("crowded", "between"):
        first = mixture_of("ring", 128, start)
        found[start] = smc.sample_by_smc(law, 64, rc.make_generator(0), particles=64, mixture=first)
    assert found["crowded"].converged
    assert found["crowded"].log_volume < exact - 2
    assert (found["crowded"].z[:, 0] > 0).all()
    assert abs(found["between"].log_volume - exact) < 4 * found["between"].log_volume_error + 0.01
    assert (found["between"].z[:, 0] < 0).double().mean() > 0.8


def test_the_core_finds_the_middle_of_the_ring():
    extra = mixture_of("ring", 128, "between").mu[: -RING - COPIES]
    assert len(extra) > 0
    assert torch.allclose(extra, torch.tensor([[MIDDLE, 0.0]], dtype=torch.float64), atol=0.05)
    assert len(mixture_of("ring", 2, "between").mu) == RING + COPIES


def test_a_kernel_sets_the_world_and_reads_it(in_a_notebook):
    figure = particles(see="Here.", try_this="There.", world="ring")
    assert isinstance(figure, Particles)
    assert (figure.world, figure.axes, figure.start) == ("ring", 128, "crowded")
    figure.world, figure.axes, figure.start, figure.probe = "balls", 8, "between", [9, 0]
    assert figure.probe == [3.5, 0.0]
    state = figure.get_state()
    assert set(state["_assets"]) == {"cividis"}
    assert set(json.loads(json.dumps(state["_props"]))["worlds"]) == set(WORLDS)


def test_wrong_values_are_named(in_a_notebook):
    figure = particles()
    with pytest.raises(ValueError, match=r"axes must be one of 2, 4, .*, got 3"):
        figure.axes = 3
    with pytest.raises(ValueError, match=r"sweeps must be one of 0, 1, .*, got 5"):
        figure.sweeps = 5
    with pytest.raises(ValueError, match="frame must be between 0 and"):
        figure.frame = -1
    with pytest.raises(ValueError, match="probe must be two finite numbers"):
        figure.probe = [1.0]
    with pytest.raises(ValueError, match="world must be one of balls, ring, got sphere"):
        particles(world="sphere")
    assert figure.axes in AXES


@pytest.mark.parametrize("world", WORLDS)
def test_in_a_book_it_is_a_picture_with_its_numbers(in_a_book, world):
    figure = particles(see="Here.", try_this="There.", world=world)
    assert isinstance(figure, StaticFigure)
    html, axes = figure._repr_html_(), {"balls": 16, "ring": 128}[world]
    assert f"log volume of the balls’ metric: {exact_log_volume(world, axes):.2f}" in html
    assert html.count("<circle") == 512
