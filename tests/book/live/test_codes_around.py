"""The live figure of codes as it is read and shown: themes, fingers, widths, missing files, a kernel."""

import pytest
import torch
from codes_on_page import ONLY, check, codebook_of, where
from fake_kernel import in_a_notebook
from figures import READY, opened, plane, settle, state

from riemvae_core.figures.widgets import voronoi
from riemvae_core.figures.widgets.assets import CODEBOOKS, trained
from riemvae_core.figures.widgets.voronoi_figure import (
    START,
    trained_codebook,
    trained_point,
)

pytestmark = pytest.mark.browser


def choose_codes(page, n_codes):
    page.get_by_label("codes", exact=True).select_option(str(n_codes))
    page.wait_for_function("(k) => document.querySelector('figure').__rv.state.n_codes === k", arg=n_codes)


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_page_decodes_as_the_core_does(browser, folder, address, scheme):
    z = 8 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    with opened(browser, address if scheme == "http" else folder.as_uri(), name="codes") as page:
        for n_codes in (16, 4, 64):
            choose_codes(page, n_codes)
            script = "(zs) => zs.map((z) => [...document.querySelector('figure').__rv.decode(z)])"
            seen = torch.tensor(page.evaluate(script, z.tolist()))
            with torch.no_grad():
                expected = trained(CODEBOOKS[n_codes]).decode(z).flatten(1)
            assert (seen - expected).abs().max() < 1e-3
            now = check(page)
            assert codebook_of(now).tolist() == trained_codebook(n_codes)
            assert now["z"] == pytest.approx(trained_point(n_codes, START["selected"]))


def test_a_finger_drags(browser, folder):
    with opened(browser, folder.as_uri(), name="codes", width=390, has_touch=True, is_mobile=True) as page:
        touch = page.context.new_cdp_session(page)
        start = state(page, ONLY)["codebook"][4]
        for kind, z in (("touchStart", start), ("touchMove", (-2, -16)), ("touchMove", (-4, -20))):
            x, y = where(page, z)
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        now = check(page)
        assert now["hand"] == 4
        assert now["codebook"][4] == pytest.approx([-4, -20], abs=0.3)


def test_codes_glide_unless_motion_is_reduced(browser, folder):
    script = """() => {
      const figure = document.querySelector("figure");
      [...figure.querySelectorAll("button")].find((b) => b.textContent === "k-means step").click();
      return figure.__rv.state.gliding;
    }"""
    for motion in ("reduce", "no-preference"):
        with opened(browser, folder.as_uri(), name="codes", reduced_motion=motion) as page:
            assert page.evaluate(script) == (motion == "no-preference")
            page.wait_for_function("() => !document.querySelector('figure').__rv.state.gliding")
            check(page)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    with opened(browser, folder.as_uri(), name="codes", width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        height = "document.querySelector('figure').getBoundingClientRect().height"
        before = page.evaluate(height)
        for n_codes in (64, 4, 16):
            choose_codes(page, n_codes)
            for key in ("n", "Shift+ArrowUp", "c", "Shift+ArrowRight", "Home"):
                plane(page, ONLY).press(key)
            page.get_by_label("softness σ").press("PageUp")
            settle(page)
            assert page.evaluate(height) == before


def test_codes_that_cannot_be_loaded_leave_those_that_were(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.route("**/fashion-vq-4.js", lambda route: route.abort())
    page.goto(f"{address}/codes.html")
    page.wait_for_function(READY)
    page.get_by_label("codes", exact=True).select_option("4")
    page.wait_for_function("document.querySelector('select').value === '16'")
    plane(page, ONLY).press("n")
    assert check(page)["selected"] == START["selected"] + 1
    assert problems == ["fashion-vq-4.js could not be loaded"]
    context.close()


def test_a_notebook_shares_codes_and_point_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = voronoi()
    widget.softness = 1.5
    with in_a_notebook(browser, folder, address, "voronoi", widget) as page:
        assert state(page, 0)["softness"] == 1.5
        widget.n_codes, widget.selected, widget.z = 4, 5, [1.0, 2.0]
        widget.codebook = [[-10.0, 0.0], [0.0, 0.0], [5.0, 5.0], [10.0, -5.0]]
        names = ("n_codes", "selected", "codebook", "z")
        page.evaluate(
            "(told) => Object.entries(told).forEach(([key, value]) => model.set(key, value))",
            {name: getattr(widget, name) for name in names},
        )
        page.wait_for_function("() => el.querySelector('figure').__rv.state.n_codes === 4")
        now = state(page, 0)
        assert {name: now[name] for name in names} == {name: getattr(widget, name) for name in names}
        assert now["counts"] == pytest.approx(widget.usage.counts, abs=1e-3)
        assert page.evaluate("model.saved.length") == 0
        plane(page, 0).press("c")
        plane(page, 0).press("ArrowRight")
        page.wait_for_function("() => model.saved.length > 0")
        widget.codebook = page.evaluate("model.saved.at(-1).codebook")
        assert widget.codebook[0] == pytest.approx([-9.7, 0.0])
        now = state(page, 0)
        assert now["error"] == pytest.approx(widget.usage.error, abs=1e-3)
        assert now["errors"] == pytest.approx(widget.errors, rel=1e-3)
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")
