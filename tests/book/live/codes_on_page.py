"""What the tests of the page of codes read from it, and how they move its codes."""

import pytest
import torch
from figures import pixels_of, plane, state

from riemvae_core.codes import nearest_code
from riemvae_core.figures.widgets.assets import CODEBOOKS, points_of
from riemvae_core.figures.widgets.stills import number
from riemvae_core.figures.widgets.voronoi_figure import (
    CENTER,
    HALF,
    image_errors,
    trained_codebook,
    trained_point,
    usage,
)

ONLY = 0


def codebook_of(now):
    return torch.tensor(now["codebook"], dtype=torch.float64)


def cloud_of(now):
    """All points, that of the chosen image where it is now."""
    points = points_of(CODEBOOKS[now["n_codes"]]).double()
    points[now["selected"]] = torch.tensor(now["z"], dtype=torch.float64)
    return points


def check(page):
    """State and screen against the core."""
    now = state(page, ONLY)
    at = (
        now["n_codes"],
        now["codebook"],
        now["selected"],
        [float(v) for v in now["z"]],
        float(now["softness"]),
    )
    told, errors = usage(*at), image_errors(*at)
    assert now["counts"] == pytest.approx(told.counts, abs=1e-3)
    assert now["used"] == told.used
    assert now["perplexity"] == pytest.approx(told.perplexity, abs=1e-3)
    assert now["error"] == pytest.approx(told.error, abs=1e-3)
    for part, error in errors.items():
        assert now["errors"][part] == pytest.approx(error, rel=1e-3, abs=1e-3)
    assert now["nearest"] == nearest_code(cloud_of(now), codebook_of(now)).tolist()
    rows = page.locator("figure").nth(ONLY).locator(".rv-errors tbody tr")
    shown = [f"{now['used']} of {now['n_codes']}", number(now["perplexity"]), number(now["error"])]
    shown += [number(now["errors"][part]) for part in ("point", "code")]
    assert rows.locator("td:nth-child(2)").all_text_contents() == shown
    home = (now["n_codes"], trained_codebook(now["n_codes"]), now["selected"])
    home = (*home, trained_point(now["n_codes"], now["selected"]), float(now["softness"]))
    was = usage(*home)
    trained_shown = rows.locator("td:nth-child(3)").all_text_contents()
    assert trained_shown[0] == f"{was.used} of {now['n_codes']}"
    expected = [was.perplexity, was.error, *image_errors(*home).values()]
    assert [float(v) for v in trained_shown[1:]] == pytest.approx(expected, abs=0.006)
    return now


def where(page, z):
    """Where a point of the plane lies in the window."""
    return pixels_of(page, plane(page, ONLY), z, CENTER, HALF)
