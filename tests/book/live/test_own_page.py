"""A reader's latents in the page: files read and refused, and what is shown of them."""

import base64
import json
import math

import numpy as np
import properties
import pytest
from figures import opened
from own_on_page import GOOD, IDLE, LOG_VAR, MU, check_own, give, latents, npz

from riemvae_core import latent_health
from riemvae_core.figures.widgets.metric_figure import field_balls
from riemvae_core.figures.widgets.reader_latents import (
    checked_latents,
    metric_balls,
    own_metric,
    widest_axes,
)

pytestmark = pytest.mark.browser


# ---- the example, and files


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_example_is_alive_and_true(browser, folder, address, scheme):
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="own") as page:
        mu, log_var = field_balls()
        now, expected = check_own(page, mu, log_var)
        assert (now["axes"], now["ball"], now["seed"], now["n_draws"]) == ([0, 1], 0, 0, 500)
        assert now["draws"]["converged"]
        np.testing.assert_allclose(np.reshape(now["draws"]["z"], (-1, 2)), expected.z, atol=1e-3)
        report = latent_health(mu, log_var, own_metric(mu, log_var))
        cells = page.locator(".rv-health td").all_text_contents()
        assert properties.numbers(cells[2])[0] == pytest.approx(report.kl.sum().item(), abs=0.006)
        known = [*report.information, math.log(240)]
        assert properties.numbers(cells[3])[:4] == pytest.approx(known, abs=0.006)
        assert " nats at most log n, " in cells[3]
        assert properties.numbers(cells[7])[:3] == pytest.approx(list(report.overlap), abs=0.0006)
        assert page.locator(".rv-state li").all_text_contents() == ["Nothing to warn of."]


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize(("save", "dtype"), [(np.savez, "f8"), (np.savez_compressed, "f4"), (np.savez, "f2")])
def test_a_reader_s_file_is_read_in_the_page(browser, folder, address, scheme, save, dtype):
    """Nothing is asked of any host while it is; dtypes and both kinds of .npz, a dead axis among six."""
    mu, log_var = latents(dtype=dtype)
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="own") as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        give(page, npz(np.asfortranarray(mu), log_var, save))
        now, expected = check_own(page, mu, log_var)
        assert now["axes"] == widest_axes(*checked_latents(mu, log_var))
        assert [axis for axis, facts in enumerate(now["report"]["axes"]) if facts["dead"]] == [2]
        if dtype == "f8":
            np.testing.assert_allclose(np.reshape(now["draws"]["z"], (-1, 6)), expected.z, atol=1e-9)
        assert asked == []
        assert page.locator(".rv-message").text_content() == "Shown: latents.npz, 80 balls in 6 dimensions. "
        assert "axis 2: 0.00 nats, dead" in page.get_by_label("across").locator("option").all_text_contents()


def test_json_one_axis_and_many_balls(own):
    mu, log_var = latents(30, 1)
    text = json.dumps({"mu": mu.tolist(), "log_var": log_var.tolist()})
    give(own, text.encode(), "one.json")
    now, _ = check_own(own, mu.astype("f8"), log_var.astype("f8"))
    assert now["axes"] == [0, -1]
    assert own.get_by_label("up").is_disabled()
    mu, log_var = latents(2300, 3)
    give(own, npz(mu, log_var), "many.npz")
    now, _ = check_own(own, mu, log_var)
    assert now["keep"] == metric_balls(2300).tolist()
    assert own.locator(".rv-numbers dd").all_text_contents()[:2] == [
        "2,300 × 3",
        "2,000 at random",
    ]


def test_a_dropped_file_is_read(own):
    """With the page's own drop event, a list of files in it as a browser gives it."""
    mu, log_var = latents(40, 2)
    drop = """([selector, type, name, content]) => {
      const transfer = new DataTransfer(), bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
      const event = new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true});
      document.querySelector(selector).dispatchEvent(event);
      return [event.defaultPrevented, document.querySelector(".rv-drop").classList.contains("rv-over")];
    }"""
    content = base64.b64encode(npz(mu, log_var)).decode()
    assert own.evaluate(drop, [".rv-plane", "dragover", "own.npz", content]) == [True, True]
    assert own.evaluate(drop, [".rv-plane", "drop", "own.npz", content]) == [True, False]
    own.locator(".rv-message").filter(has_text="own.npz, 40 balls").wait_for()
    own.wait_for_function(IDLE)
    check_own(own, mu, log_var)
    own.get_by_role("button", name="Show the example").click()
    own.locator(".rv-message").filter(has_text="the example, fashion-vae-2d").wait_for()
    own.wait_for_function(IDLE)
    check_own(own, *field_balls())


WRONG = {
    "no zip": (b"PNG, surely", "is no .npz"),
    "empty": (b"", "is empty"),
    "truncated": (GOOD[:-40], "is no .npz: either no zip archive or one that is cut short"),
    "cut inside": (GOOD[300:], "damaged or cut short"),
    "checksum": (GOOD[:260] + b"\x07" + GOOD[261:], "the checksum of mu doesn’t match"),
    "other names": (npz(MU, MU, lambda f, mu, **_: np.savez(f, mu=mu)), "There is no log_var in it"),
    "rank": (npz(MU[:, :, None], LOG_VAR), "mu must be [n, d], got [20, 2, 1]"),
    "shapes": (npz(MU, LOG_VAR[1:]), "log_var must have mu’s shape [20, 2], got [19, 2]"),
    "NaN": (npz(np.where(MU > 2, np.nan, MU) * np.nan, LOG_VAR), "mu must be finite"),
    "integers": (npz(np.ones((20, 2), int), LOG_VAR), "must hold floats of 16, 32 or 64 bits, got integers"),
    "objects": (npz(MU.astype(object), LOG_VAR), "got Python objects"),
    "too large": (
        npz(np.zeros((300_000, 4), "f4"), np.zeros((300_000, 4), "f4")),
        "mu holds 300,000 × 4 numbers, and this page takes 1,000,000. Thin it: i = np.random.default_rng(0)",
    ),
    "ragged": (b'{"mu": [[1, 2], [3]], "log_var": []}', "mu’s rows must be of one length"),
}  # fmt: skip


def test_what_is_refused_is_said_and_nothing_is_lost(own):
    """Each with a broken file: the words of the error, and the latents that were shown before."""
    mu, log_var = latents(40, 3)
    before = give(own, npz(mu, log_var), "first.npz")
    for name, (content, words) in WRONG.items():
        now = give(own, content, "x.json" if name == "ragged" else "x.npz")
        said = own.locator(".rv-message").text_content()
        assert said.startswith("Not read; what was shown stays. "), name
        assert words in said, name
        assert now == before, name
    check_own(own, mu, log_var)


def test_variances_in_place_of_their_logs_raise_a_doubt(own):
    mu, log_var = latents(40, 2)
    give(own, npz(mu, np.exp(log_var)), "variances.npz")
    assert "are these variances or standard deviations?" in own.locator(".rv-message").text_content()
    check_own(own, mu, np.exp(log_var))


def test_numbers_beyond_all_bounds_are_said(own):
    """Radii of e^-400: no number comes out, and the figure says which."""
    mu, log_var = latents(20, 2, dtype="f8")
    give(own, npz(mu, np.full_like(log_var, -800.0)), "tiny.npz")
    said = own.locator(".rv-message")
    assert "Not all of tiny.npz could be computed." in said.text_content()
    assert "at the center of ball 0" in said.text_content()
    give(own, npz(mu, log_var), "fine.npz")
    check_own(own, mu, log_var)
