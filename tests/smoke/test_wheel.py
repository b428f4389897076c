"""What an installed core must do, seen from outside the checkout: pytest and the wheel are all it needs.

`make test-oldest` and `make test-newest` run this file in empty environments, `make test` beside the source.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import math
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

import riemvae_core as rc
from riemvae_core import metrics, zoo

FOLDER = Path(rc.__file__).parent


def has(name):
    return importlib.util.find_spec(name) is not None


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    """Nothing that was trained or downloaded before is found."""
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def images():
    return rc.load_images("fashion", "test").images[:300]


@pytest.fixture(scope="module")
def balls(images):
    with torch.no_grad():
        return zoo.load("fashion-vae-2d").encode(images)


def test_the_import_is_light():
    """Beyond torch, only what annotations, weights, folders and bars need; the rest when it is used."""
    script = (
        "import sys, json, torch; before = set(sys.modules); import riemvae_core; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    heavy = {
        "IPython",
        "anywidget",
        "ipywidgets",
        "lightning_fabric",
        "matplotlib",
        "pandas",
        "scipy",
        "sklearn",
        "zuko",
    }
    assert not heavy.intersection(json.loads(done.stdout))


def test_names_and_version_are_there():
    assert [name for name in rc.__all__ if not hasattr(rc, name)] == []
    assert importlib.metadata.version("riemvae-core") == rc.__version__
    assert (FOLDER / "py.typed").is_file()


@pytest.mark.parametrize("name", zoo.names())
def test_every_model_of_the_zoo_is_shipped(name, tmp_path):
    model = zoo.load(name)
    assert not list(tmp_path.rglob("*.safetensors"))  # not trained here
    assert not model.training
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_results_are_shipped():
    names = sorted(path.stem for path in (FOLDER / "assets" / "studies").glob("*.json"))
    assert len(names) > 10
    assert all(zoo.load_study(name).runs for name in names)
    assert zoo.load_benchmark("samplers")["scale"]["result"]["rows"]


def test_a_model_encodes_and_decodes(images):
    model = zoo.load("fashion-vae-2d")
    with torch.no_grad():
        mu, log_var = model.encode(images)
        error = (model.decode(mu) - images).square().mean().item()
    assert mu.shape == log_var.shape == (300, 2)
    assert error < 0.6 * images.var(0, correction=0).mean().item()  # what the best constant image leaves
    parts = rc.kl_pull(mu) + rc.kl_barrier(log_var)
    law = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(parts, expected, rtol=1e-4, atol=1e-4)


def test_one_epoch_of_training(images):
    model = rc.make_model("vae", rc.ModelConfig(width=32, depth=1), seed=0)
    before = rc.evaluate(model, images)["total"]
    history = rc.fit(model, images, epochs=1, batch_size=50, progress=False)
    assert history.epochs == 1
    assert rc.evaluate(model, images)["total"] < before


def test_the_uniform_law_of_balls_that_are_apart():
    r"""A round ball in the plane weighs $\pi\rho^2$ whatever its radius, the background $\pi\lambda/\tau$."""
    mu = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]], dtype=torch.float64)
    log_var = torch.tensor([[-3.0], [-2.0], [-2.5]], dtype=torch.float64).expand(3, 2)
    rho, lam, share = 1.5, 1e-3, 0.1
    metric = rc.PosteriorMetric(mu, log_var, rho, lam, lam / (share * 3 * rho**2))
    draws = rc.sample_uniform(metric, 1000, rc.make_generator(0))
    assert draws.converged
    exact = math.log(3 * (1 + share) * math.pi * rho**2)
    assert draws.log_volume == pytest.approx(exact, abs=max(2e-3, 4 * draws.log_volume_error))


def test_a_fitted_metric_is_drawn_from(balls):
    metric = rc.PosteriorMetric.fit(*balls)
    assert torch.isfinite(metric.log_volume(balls.mu)).all()
    draws = rc.sample_uniform(metric, 100, rc.make_generator(0))
    assert draws.converged
    assert draws.z.shape == (100, 2)
    fitted = rc.sample_mixture(balls.mu, 100, generator=rc.make_generator(0))
    assert torch.isfinite(fitted).all()


def test_a_geodesic_of_the_half_plane():
    """Its search for a start walks on a graph, by scipy."""
    a, b = torch.tensor([-2.0, 1.0]).double(), torch.tensor([2.0, 1.0]).double()
    path = rc.geodesic(metrics.HalfPlaneMetric(), a, b)
    assert path.converged
    assert path.length.item() == pytest.approx(math.acosh(9.0), rel=2e-4)


def test_a_latent_space_draws_decodes_and_reports(images):
    space = rc.latent_space(zoo.load("fashion-vae-2d"), images)
    draws = space.sample_uniform(10, generator=rc.make_generator(0))
    assert space.decode(draws.z).shape == (10, *images.shape[1:])
    assert "axes" in str(space.health())


def test_points_are_moved_to_their_codes():
    codebook = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    found = rc.quantize(torch.tensor([[1.0, 0.0], [3.5, 1.0], [0.0, -1.0]]), codebook)
    assert found.codes.tolist() == [0, 1, 0]
    assert found.commitment.tolist() == pytest.approx([1.0, 1.25, 1.0])
    assert found.perplexity.item() == pytest.approx(3 / 2 ** (2 / 3))  # exp of the entropy of (2/3, 1/3)
    codes = rc.kmeans_codebook(torch.tensor([[0.0], [0.2], [9.0], [9.2]]), 2, rc.make_generator(0)).codebook
    assert sorted(codes.flatten().tolist()) == pytest.approx([0.1, 9.1], abs=1e-5)


def test_scores_and_intervals_in_closed_form():
    a = torch.randn(200, 3, generator=rc.make_generator(0))
    assert rc.frechet_distance(a, a + 2.0) == pytest.approx(12.0, rel=1e-5)  # the means' distance, squared
    assert rc.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert rc.precision_recall(a, a) == (1.0, 1.0)
    interval = rc.confidence_interval([1.0, 2.0, 3.0])  # t of two degrees of freedom: 4.302653
    assert interval.high - interval.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_digits_come_with_scikit_learn():
    assert rc.load_images("digits", "test").images.shape[1:] == (1, 8, 8)


# --- extras: what they are for where they are installed, what to install where they aren't


def test_medoids(balls):
    if not has("kmedoids"):
        with pytest.raises(ImportError, match=r"pip install 'riemvae-core\[medoids\]'"):
            rc.PosteriorMetric.fit(*balls, n_centroids=5)
        return
    metric = rc.PosteriorMetric.fit(*balls, n_centroids=5, generator=rc.make_generator(0))
    assert all((balls.mu == center).all(1).any() for center in metric.mu)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


def test_downloads(tmp_path):
    from riemvae_core.data.downloads import DataFile, download

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.bin").write_bytes(b"bytes" * 1000)
    sha = hashlib.sha256(b"bytes" * 1000).hexdigest()
    if not has("pooch"):
        with pytest.raises(ImportError, match=r"pip install 'riemvae-core\[data\]'"):
            download(DataFile("a.bin", sha, ("http://127.0.0.1/",)), tmp_path / "here")
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "there")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.bin"
        path = download(DataFile("a.bin", sha, (address,)), tmp_path / "here")
        server.shutdown()
    assert path.read_bytes() == b"bytes" * 1000


@pytest.mark.parametrize("part", ["plotting", "widgets"])
def test_figures_say_what_they_lack(part):
    if has("matplotlib") and has("anywidget"):
        assert getattr(rc, part).__name__.endswith(part)
        return
    with pytest.raises(ImportError, match=r"pip install 'riemvae-core\[figures\]'"):
        getattr(rc, part)


@pytest.mark.skipif(not (has("matplotlib") and has("anywidget")), reason="needs the extra [figures]")
def test_figures_are_drawn(balls, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    with plt.rc_context():
        rc.plotting.use_style()
        figure, axes = plt.subplots()
        rc.plotting.draw_balls(axes, balls.mu[:20], balls.log_var[:20])
        figure.savefig(tmp_path / "balls.svg")
        plt.close(figure)
    assert "<svg" in (tmp_path / "balls.svg").read_text()
    figure = rc.widgets.own_latents(mu=balls.mu, log_var=balls.log_var)
    assert len(figure.metric.mu) == 300
