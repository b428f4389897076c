"""A space that is saved and loaded is the same space, bit for bit, alone or with its model."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import properties
import pytest
import torch
from safetensors import safe_open
from torch import nn

import riemvae_core as rc
from riemvae_core.space.files import read_space, write_space


class Grid(nn.Module):
    """Codes [2, 2, 2] of images [1, 8, 8], images [3, 8, 8] of codes."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 4, 4), nn.ConvTranspose2d(2, 3, 4, 4)

    def encode(self, x):
        return self.down(x).chunk(2, dim=1)

    def decode(self, z):
        return torch.sigmoid(self.up(z))


def ours(kind: str = "vae", seed: int = 0, d: int = 3) -> nn.Module:
    return rc.make_model(kind, rc.ModelConfig((1, 8, 8), latent_dim=d, width=16, depth=1), seed=seed)


def grid() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Grid()


def make(name: str, x: torch.Tensor) -> tuple[nn.Module, rc.LatentSpace]:
    """A model and a space of it, by name."""
    g = rc.make_generator(0)
    if name == "grid":
        model = grid()
        return model, rc.latent_space(model, x, batch_size=7)
    if name == "autoencoder":
        model = ours("ae")
        return model, rc.latent_space(model, x, radius=0.25)
    model = ours().double() if name == "float64" else ours()
    settings = {"n_centroids": 10, "background": 0.01, "generator": g} if name == "medoids" else {}
    space = rc.latent_space(model, x, **settings)
    if name == "axes":
        space = space.on_axes([2, 0]).on_axes([1], background=0.1)
    if name == "own metric":
        space = replace(space, metric=rc.PosteriorMetric(space.mu[:5], space.log_var[:5], 1.5, 0.0, 0.0))
    return model, space


NAMES = ["float32", "float64", "grid", "autoencoder", "axes", "medoids", "own metric"]


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return rc.load_images("digits").images[:40]


def bits(tensor: torch.Tensor) -> tuple:
    return tensor.dtype, tuple(tensor.shape), tensor.numpy().tobytes()


def assert_same(one: rc.LatentSpace, other: rc.LatentSpace) -> None:
    """All that a space holds, and all that it works out from it, has the same bits."""
    for name in ("code_shape", "image_shape", "batch_size", "made_by"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("mu", "log_var", "axes", "rest"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) is (b is None), name
        assert a is None or bits(a) == bits(b), name
    for name in ("mu", "log_var"):
        assert bits(getattr(one.metric, name)) == bits(getattr(other.metric, name))
    for name in ("rho", "lam", "tau"):
        assert getattr(one.metric, name) == getattr(other.metric, name)
    z = one.mu[:9] + 0.1
    assert torch.equal(one.metric.log_volume(z), other.metric.log_volume(z))


@pytest.mark.parametrize("name", NAMES)
def test_a_space_comes_back_bit_for_bit(name, x, tmp_path):
    model, space = make(name, x)
    path = tmp_path / "a folder" / "space"  # no suffix: the name is taken as it is
    assert space.save(str(path)) is None
    assert [p.name for p in path.parent.iterdir()] == ["space"]
    alone, whole = rc.load_space(path), rc.load_space(str(path), model)
    assert_same(alone, space)
    assert_same(whole, space)
    for batch in (space.mu[:3], space.mu[:4].reshape(2, 2, -1)):
        properties.close(whole.decode(batch), space.decode(batch), 1e-5, 1e-5)
    properties.close(whole.encode(x).mu, space.mu, 1e-5, 1e-5)
    assert repr(whole) == repr(space)
    assert repr(alone) == repr(space).replace(")", ", without its model)")


@pytest.mark.parametrize("name", ["float32", "axes"])
def test_draws_report_and_paths_are_the_same_without_the_model(name, x, tmp_path):
    _, space = make(name, x)
    space.save(tmp_path / "space")
    alone = rc.load_space(tmp_path / "space")
    draws = [s.sample_uniform(16, rc.make_generator(0)) for s in (space, alone)]
    assert torch.equal(draws[0].z, draws[1].z)
    assert draws[0].log_volume == draws[1].log_volume
    assert str(space.health()) == str(alone.health())
    for path in ("geodesic", "low_cost_path"):
        curves = [getattr(s, path)(space.mu[0], space.mu[1], 8).curve for s in (space, alone)]
        assert torch.equal(*curves)


def test_what_is_loaded_without_its_model_is_saved_again_whole(x, tmp_path):
    model, space = make("axes", x)
    space.save(tmp_path / "one")
    rc.load_space(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert_same(rc.load_space(tmp_path / "two", model), space)
    larger = make("float32", x)[1]
    larger.save(tmp_path / "larger")
    assert_same(rc.load_space(tmp_path / "larger").on_axes([1]), larger.on_axes([1]))


def test_signs_of_zero_and_a_metric_of_nearly_the_same_balls_are_kept(x, tmp_path):
    _, space = make("float32", x)
    minus = space.mu.clone()
    minus[0], space.mu[0] = -0.0, 0.0
    metric = rc.PosteriorMetric(minus, space.log_var, 1.0, 0.1, 0.1)
    replace(space, metric=metric).save(tmp_path / "space")
    assert torch.signbit(rc.load_space(tmp_path / "space").metric.mu[0]).all()
    assert not torch.signbit(rc.load_space(tmp_path / "space").mu[0]).any()


def test_a_file_has_two_numbers_for_each_ball_and_axis(x, tmp_path):
    images = x.repeat(50, 1, 1, 1)
    for name, size in (("float32", 8), ("float64", 16)):
        rc.latent_space(make(name, x)[0], images).save(tmp_path / name)
        assert 0 < (tmp_path / name).stat().st_size - size * 2000 * 3 < 1500


def test_another_program_reads_the_file(x, tmp_path):
    """With safetensors and json alone."""
    _, space = make("medoids", x)
    space.save(tmp_path / "space")
    with safe_open(tmp_path / "space", "pt") as file:
        assert torch.equal(file.get_tensor("mu"), space.mu)
        assert file.get_tensor("metric.mu").shape == (10, 3)
        said = json.loads(file.metadata()["riemvae_core.space"])
    assert (said["format"], said["written_by"]) == (1, rc.__version__)
    settings = said["settings"]
    assert settings["rho"] == space.metric.rho
    assert settings["image_shape"] == [1, 8, 8]
    assert settings["made_by"]["kind"] == "VAE"


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device(x, tmp_path):
    model, space = make("axes", x)
    space.save(tmp_path / "space")
    for loaded in (rc.load_space(tmp_path / "space"), rc.load_space(tmp_path / "space", model)):
        assert {t.device.type for t in (loaded.mu, loaded.metric.mu, loaded.axes, loaded.rest)} == {"cpu"}


# --- without the model


@pytest.mark.parametrize(
    "work",
    [
        lambda space, x: space.encode(x),
        lambda space, x: space.decode(space.mu[:2]),
        lambda space, x: space.interpolate(space.mu[:2], 3),
        lambda space, x: space.pullback(),
        lambda space, x: space.geodesic(x[0], x[1], images=True),
        lambda space, x: space.low_cost_path(x[:1], x[1:2], images=True),
    ],
    ids=["encode", "decode", "interpolate", "pullback", "geodesic", "low_cost_path"],
)
def test_what_needs_the_model_says_how_to_pass_it(work, x, tmp_path):
    make("grid", x)[1].save(tmp_path / "space")
    with pytest.raises(ValueError, match="model must be given") as caught:
        work(rc.load_space(tmp_path / "space"), x)
    properties.message_names(caught.value, "load_space(path, model=...)", "without the Grid that made it")


def test_paths_in_another_metric_need_no_model(x, tmp_path):
    _, space = make("float32", x)
    space.save(tmp_path / "space")
    path = rc.load_space(tmp_path / "space").geodesic(
        space.mu[0], space.mu[1], 8, metric=lambda z: torch.eye(3).expand(*z.shape, 3)
    )
    properties.close(path.length, (space.mu[1] - space.mu[0]).norm(), 1e-5, 1e-5)


# --- whole or not at all

KILL = """
import os, signal, sys
from dataclasses import replace
import torch
import riemvae_core as rc

torch.set_num_threads(1)
space, real = rc.load_space(sys.argv[1]), os.replace

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def torn(file):
    os.ftruncate(file, 100)
    die()

def replaced(*names):
    real(*names)
    die()

for name, function in (("fsync", torn), ("replace", die), ("replace", replaced)):
    if (child := os.fork()) == 0:
        setattr(os, name, function)
        replace(space, batch_size=99).save(sys.argv[1])
        os._exit(0)
    print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), rc.load_space(sys.argv[1]).batch_size)
"""


def test_a_kill_while_saving_leaves_the_old_file_or_the_new(x, tmp_path, root):
    """Killed in the middle of writing, before the file takes its place, and right after."""
    path = tmp_path / "space"
    make("grid", x)[1].save(path)
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(path)], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(int(signal.SIGKILL)), "7", "9", "7", "9", "99"]


@pytest.mark.usefixtures("no_hook")
def test_a_save_that_fails_leaves_the_old_file(x, tmp_path, monkeypatch):
    _, space = make("float32", x)
    path = tmp_path / "space"
    space.save(path)
    before = path.read_bytes()
    pullback = replace(space, metric=space.pullback())
    with pytest.raises(ValueError, match="metric must be a PosteriorMetric to be saved, got PullbackMetric"):
        pullback.save(path)
    with pytest.raises(ValueError, match="space: mu must hold finite numbers, got 120 that are not"):
        replace(space, mu=space.mu / 0).save(path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"space can't be written .*No space left on device"):
        space.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["space"]


def test_a_place_where_no_file_can_be_is_named(x, tmp_path):
    _, space = make("float32", x)
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "space"):
        with pytest.raises(OSError, match=f"{place} can't be written"):
            space.save(place)


def test_a_tilde_is_the_home(x, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    _, space = make("float32", x)
    write_space(space, Path("~/space"))
    assert torch.equal(read_space("~/space")["mu"], space.mu)
    assert (tmp_path / "space").is_file()
