"""What the live figures' tests share: opening the page, finding a point in a plane, the core's numbers."""

import functools
from contextlib import contextmanager

import pytest
import torch

from riemvae_core.balls import gaussians
from riemvae_core.figures.widgets import points_figure
from riemvae_core.figures.widgets.assets import codes, probes
from riemvae_core.figures.widgets.packing_figure import bill, trained_ball
from riemvae_core.figures.widgets.stills import number
from riemvae_core.models import zoo

POINTS, PACKING = 0, 1
PAIR = ("fashion-ae-2d", "fashion-vae-2d")
READY = "!document.querySelector('figure[data-rv-module]:not([data-rv-ready])')"
LEFT, TOP, RIGHT = 30, 8, 8  # margins of a plane in pixels, as in stage.js


@contextmanager
def opened(browser, base, width=1280, wait=True, name="index", **options):
    """A page, once its figures live; nothing may be wrong with it in the end."""
    options = {"viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    page, problems = context.new_page(), []
    page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{base}/{name}.html")
    if wait:
        page.wait_for_function(READY)
        settle(page)
    yield page
    context.close()
    assert problems == []


def settle(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def state(page, figure):
    settle(page)
    return page.evaluate("(i) => document.querySelectorAll('figure')[i].__rv.state", figure)


def plane(page, figure, which=0):
    return page.locator("figure").nth(figure).locator("canvas.rv-plane").nth(which)


def pixels_of(page, canvas, z, center, half):
    """Where a latent point lies in the window."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    scale = (box["width"] - LEFT - RIGHT) / (2 * half)
    return (
        box["x"] + LEFT + (z[0] - center[0] + half) * scale,
        box["y"] + TOP + (half - z[1] + center[1]) * scale,
    )


@functools.cache
def cloud(name):
    images = probes("fashion").images
    mu, log_var = codes(zoo.load(name), images)
    mean, std = mu.mean(0), mu.std(0, correction=0)
    return images, mu, log_var, mean, std, points_figure.FRAME * float(std.max())


def expected_numbers(name, position):
    """What the core says about a handle: z, nearest code, nearest ball, nearest image."""
    images, mu, log_var, mean, std, _ = cloud(name)
    z = mean + torch.tensor(position) * std
    ball = None if log_var is None else float(((z - mu) / (0.5 * log_var).exp()).norm(dim=1).min())
    with torch.no_grad():
        image = zoo.load(name).decode(z[None])
    return {
        "z": z.tolist(),
        "code": float(((z - mu) / std).norm(dim=1).min()),
        "ball": ball,
        "rms": float(points_figure.rms_to_nearest(image, images)),
    }


def check_points(page):
    """State and screen against the core, in both planes."""
    now = state(page, POINTS)
    for which, name in enumerate(PAIR):
        seen, expected = now["models"][name], expected_numbers(name, now["position"])
        assert seen["z"] == pytest.approx(expected["z"], abs=1e-3)
        assert seen["code"]["distance"] == pytest.approx(expected["code"], abs=1e-3)
        assert seen["real"]["rms"] == pytest.approx(expected["rms"], abs=1e-3)
        panel = page.locator("figure").nth(POINTS).locator(".rv-panel").nth(which)
        ball = "none: no radius"
        if expected["ball"] is not None:
            assert seen["ball"]["distance"] == pytest.approx(expected["ball"], abs=1e-3)
            ball = f"{number(seen['ball']['distance'])} of its σ"
        assert panel.locator("dd").all_text_contents() == [
            f"({number(seen['z'][0])}, {number(seen['z'][1])})",
            f"{number(seen['code']['distance'])} std",
            ball,
            f"RMS {number(seen['real']['rms'], 3)}",
        ]
    return now


def as_floats(now):
    """JSON's 1 as 1.0 where a real number is meant."""
    return now | {"beta": float(now["beta"])} | {k: [float(v) for v in now[k]] for k in ("mu", "log_var")}


def check_packing(page):
    """The bill and the aggregates against the core, on the screen and behind it."""
    now = as_floats(state(page, PACKING))
    mine = bill(now["beta"], now["epoch"], now["selected"], now["mu"], now["log_var"])
    home_mu, home_log_var = trained_ball(now["beta"], now["epoch"], now["selected"])
    home = bill(now["beta"], now["epoch"], now["selected"], home_mu, home_log_var)
    for seen, expected in ((now["bill"], mine), (now["trained"], home)):
        for part, value in expected._asdict().items():
            assert seen[part] == (None if value is None else pytest.approx(value, abs=1e-3))
    run = zoo.snapshots(zoo.beta_name(now["beta"]))
    t = run.epochs.index(now["epoch"])
    mu, log_var = run.mu[t].clone(), run.log_var[t].clone()
    mu[now["selected"]], log_var[now["selected"]] = torch.tensor(now["mu"]), torch.tensor(now["log_var"])
    total = now["aggregate"]
    assert total["kl"] == pytest.approx(float(gaussians.kl_to_standard_normal(mu, log_var).mean()), abs=1e-3)
    assert total["pull"] == pytest.approx(float(gaussians.kl_pull(mu).mean()), abs=1e-3)
    assert total["moment"] == pytest.approx((mu.square() + log_var.exp()).mean(0).tolist(), abs=1e-3)
    barriers = [float(gaussians.kl_barrier(log_var[:, k : k + 1]).mean()) for k in range(2)]
    assert total["used"] == sum(b > 0.05 for b in barriers)
    assert total["outside"] == int((mu.abs() > 4).any(1).sum())
    figure = page.locator("figure").nth(PACKING)
    dash = [v if v is None else number(v) for v in now["bill"].values()]
    cells = figure.locator(".rv-bill tbody td:nth-child(2)").all_text_contents()
    assert cells == [v or "–" for v in dash]
    assert figure.locator(".rv-numbers dd").first.text_content() == f"{number(total['kl'], 3)} nats"
    return now
