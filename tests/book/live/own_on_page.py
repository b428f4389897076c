"""Latents of a reader, how they are given to the page, and what it must show of them."""

import io
from unittest.mock import patch

import numpy as np
import pytest
import torch
from figures import state

from riemvae_core import latent_health
from riemvae_core.figures.widgets.reader_latents import (
    checked_latents,
    metric_balls,
    own_metric,
    slice_through,
)
from riemvae_core.laws import crowds, sample_by_importance
from riemvae_core.numerics import make_generator

OWN = 0
IDLE = "() => !document.querySelector('figure').__rv.state.busy"


def latents(n=80, d=6, seed=0, dtype="f4"):
    rng = np.random.default_rng(seed)
    mu, log_var = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 0.5 - 3.0
    if d > 2:
        mu[:, 2], log_var[:, 2] = 0.0, 0.0  # a dead axis
    return mu.astype(dtype), log_var.astype(dtype)


def npz(mu, log_var, save=np.savez_compressed) -> bytes:
    file = io.BytesIO()
    save(file, mu=mu, log_var=log_var)
    return file.getvalue()


def give(page, content: bytes, name="latents.npz"):
    """Choose a file; until it was read and all is computed."""
    said = page.locator(".rv-message")
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "", "buffer": content})
    said.filter(has_text=name).filter(has_not_text="Reading").or_(said.filter(has_text="Not read")).wait_for()
    page.wait_for_function(IDLE, timeout=60_000)
    return state(page, OWN)


def check_own(page, mu, log_var):
    """All that the figure says of latents against the core: parameters, field, health, draws."""
    now = state(page, OWN)
    mu, log_var = checked_latents(mu, log_var)
    metric, (n, d) = own_metric(mu, log_var), mu.shape
    tolerance = 1e-6 if mu.dtype == torch.float64 else 1e-3
    assert (now["n"], now["d"]) == (n, d)
    assert [now[k] for k in ("rho", "lam", "tau")] == pytest.approx(
        [metric.rho, metric.lam, metric.tau], rel=1e-5
    )
    shown = slice_through(metric, now["axes"], mu[now["ball"]])
    assert (now["center"], now["half"]) == (
        pytest.approx(list(shown.center), abs=1e-5), pytest.approx(shown.half, abs=1e-5)
    )  # fmt: skip
    field = page.evaluate("document.querySelector('figure').__rv.field(24)")
    wide = type(metric)(metric.mu.double(), metric.log_var.double(), metric.rho, metric.lam, metric.tau)
    assert field == pytest.approx(wide.log_volume(shown.points(24)).flatten().tolist(), abs=1e-3)
    z = mu[now["ball"]].double()
    for axis, value in zip(now["axes"], now["z"], strict=True):
        if axis >= 0:
            z[axis] = value
    assert now["log_volume"] == pytest.approx(float(wide.log_volume(z)), abs=1e-3)
    gaps = ((z - wide.mu) / (0.5 * wide.log_var).exp()).norm(dim=1)
    keep = metric_balls(n)
    assert now["near"]["index"] == (int(gaps.argmin()) if keep is None else int(keep[gaps.argmin()]))
    assert now["near"]["distance"] == pytest.approx(float(gaps.min()), abs=1e-3)
    check_health(now["report"], latent_health(mu, log_var, metric), tolerance)
    with patch.object(crowds, "crowds_between", lambda *_: None):  # the page looks at centers alone
        expected = sample_by_importance(metric, now["n_draws"], make_generator(now["seed"]))
    for name in ("log_volume", "log_volume_error", "background_share", "acceptance"):
        assert now["draws"][name] == pytest.approx(getattr(expected, name), abs=tolerance), name
    assert now["draws"]["ess"] == pytest.approx(expected.ess, rel=tolerance)
    assert now["draws"]["converged"] == expected.converged
    return now, expected


def check_health(seen, expected, tolerance):
    for key, name in (("kl", "kl"), ("variance", "center_variance"), ("moment", "second_moment")):
        assert [a[key] for a in seen["axes"]] == pytest.approx(getattr(expected, name).tolist(), abs=1e-3)
    for name in ("dead", "active"):
        assert [a[name] for a in seen["axes"]] == getattr(expected, name).tolist()
    np.testing.assert_allclose(np.transpose([a["radii"] for a in seen["axes"]]), expected.radii, atol=1e-3)
    for name in ("overlap", "own_share", "information", "prior_gap"):
        seen_interval = [seen[name][part] for part in ("mean", "low", "high")]
        assert seen_interval == pytest.approx(list(getattr(expected, name)), abs=tolerance), name
    assert seen["metric"]["share"] == pytest.approx(expected.metric.background_share, abs=1e-3)
    for name in ("same", "close", "unusual"):
        assert seen["rows"][name] == getattr(expected, name).tolist(), name
    assert seen["rows"]["crowd"]["share"] == pytest.approx(expected.crowd.share, abs=1e-3)
    assert seen["warnings"] == list(expected.warnings)


MU, LOG_VAR = latents(20, 2, dtype="f8")
GOOD = npz(MU, LOG_VAR, np.savez)
