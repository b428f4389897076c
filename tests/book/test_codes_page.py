"""Chapter 4's live figure in a browser: its numbers are the core's; hand, keys and kernel are answered."""

import pytest
import torch
from fake_kernel import in_a_notebook
from figures import READY, opened, pixels_of, plane, settle, state

from riemvae_core.codes import kmeans_step, nearest_code
from riemvae_core.figures.widgets import voronoi
from riemvae_core.figures.widgets.assets import CODEBOOKS, points_of, probes, trained
from riemvae_core.figures.widgets.stills import number
from riemvae_core.figures.widgets.voronoi_figure import (
    CENTER,
    HALF,
    SOFTEST,
    START,
    code_weights,
    image_errors,
    trained_codebook,
    trained_point,
    usage,
)

pytestmark = pytest.mark.browser
ONLY = 0


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="codes") as page:
        yield page


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


def choose_codes(page, n_codes):
    page.get_by_label("codes", exact=True).select_option(str(n_codes))
    page.wait_for_function("(k) => document.querySelector('figure').__rv.state.n_codes === k", arg=n_codes)


def where(page, z):
    """Where a point of the plane lies in the window."""
    return pixels_of(page, plane(page, ONLY), z, CENTER, HALF)


def drag(page, start, end):
    page.mouse.move(*where(page, start))
    page.mouse.down()
    page.mouse.move(*where(page, end), steps=4)
    page.mouse.up()
    page.mouse.move(2, 2)


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


def test_it_starts_as_trained(page):
    now = check(page)
    assert {key: now[key] for key in START} == START
    assert now["hand"] == -1
    names = page.locator(".rv-picture span").all_text_contents()
    assert names == ["sneaker", "its point, decoded", "its code, decoded"]


def test_images_are_the_core_s(page):
    pixels = """(k) => {
      const {data} = document.querySelectorAll(".rv-image")[k].getContext("2d").getImageData(0, 0, 28, 28);
      return [...data].filter((_, i) => i % 4 === 3);
    }"""
    now = state(page, ONLY)
    read = torch.tensor([now["z"], now["codebook"][now["nearest"][now["selected"]]]])
    with torch.no_grad():
        expected = [probes("fashion").images[now["selected"]], *trained(CODEBOOKS[16]).decode(read)]
    for k, image in enumerate(expected):
        assert (torch.tensor(page.evaluate(pixels, k)) / 255 - image.flatten()).abs().max() < 0.01


def test_the_image_snaps_as_its_point_crosses_a_border(page):
    """A little before the border and after it: the point's image changes a little, the code's jumps."""
    now = check(page)
    e, z = codebook_of(now), torch.tensor(now["z"], dtype=torch.float64)
    first, second = e[torch.cdist(z[None], e)[0].argsort()[:2]]
    across = (second - first) / (second - first).norm()
    border = z + ((first + second) / 2 - z) @ across * across
    errors = []
    for side in (-1, 1):
        at = border + side * 0.3 * across
        drag(page, state(page, ONLY)["z"], at.tolist())
        now = check(page)
        assert now["z"] == pytest.approx(at.tolist(), abs=0.1)
        errors.append(now["errors"])
        own = e[now["nearest"][now["selected"]]]
        assert torch.equal(own, first if side < 0 else second)
    change = {part: abs(errors[0][part] - errors[1][part]) for part in errors[0]}
    assert change["code"] > 3 * change["point"]
    plane(page, ONLY).press("Home")
    assert check(page)["z"] == pytest.approx(trained_point(16, START["selected"]))


def test_dragging_a_code_moves_its_cell(page):
    before = check(page)
    e = codebook_of(before)
    k = before["nearest"][0]
    drag(page, e[k].tolist(), [-27.0, 20.0])
    now = check(page)
    assert now["hand"] == k
    assert now["codebook"][k] == pytest.approx([-27.0, 20.0], abs=0.1)
    assert [v for j, v in enumerate(now["codebook"]) if j != k] == [
        v for j, v in enumerate(before["codebook"]) if j != k
    ]
    assert now["used"] < 16
    page.get_by_role("button", name="Reset dead codes").click()
    revived = check(page)
    dead = [j for j in range(16) if j not in now["nearest"]]
    places = points_of(CODEBOOKS[16]).tolist()
    assert all(revived["codebook"][j] in places for j in dead)
    page.get_by_role("button", name="Reset", exact=True).click()
    assert check(page)["codebook"] == before["codebook"]


@pytest.mark.parametrize("softness", [0, 3])
def test_a_k_means_step_lowers_the_error(page, softness):
    page.get_by_label("softness σ").fill(str(softness))
    for _ in range(3):
        before = check(page)
        page.get_by_role("button", name="k-means step").click()
        now = check(page)
        assert now["error"] < before["error"]
        if softness == 0:
            step = kmeans_step(cloud_of(before), codebook_of(before))
            assert (codebook_of(now) - step).abs().max() < 1e-9


def test_softness_leads_from_cells_to_balls(page):
    """By the slider's keys: from the nearest code to nearly the mean of all codes."""
    slider, name = page.get_by_label("softness σ"), page.locator(".rv-errors tbody th").nth(2)
    slider.focus()
    assert name.text_content() == "mean distance²"
    page.keyboard.press("ArrowRight")
    assert check(page)["softness"] == pytest.approx(0.1)
    assert name.text_content() == "soft distance²"
    assert page.locator(".rv-picture span").last.text_content() == "mean code, decoded"
    page.keyboard.press("End")
    now = check(page)
    weights = code_weights(cloud_of(now), codebook_of(now), SOFTEST)
    expected = (weights @ codebook_of(now)).tolist()
    assert all(z == pytest.approx(e, abs=1e-3) for z, e in zip(now["read"], expected, strict=True))


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


def test_a_click_on_a_dot_takes_that_image(page):
    points, e = points_of(CODEBOOKS[16]), codebook_of(state(page, ONLY))
    alone = torch.cdist(points, torch.cat([points, e.float()])).topk(2, largest=False).values[:, 1].argmax()
    page.mouse.click(*where(page, points[alone].tolist()))
    now = check(page)
    assert now["selected"] == alone
    assert now["z"] == pytest.approx(points[alone].tolist())


def test_keys_move_and_choose(page):
    before, canvas = check(page), plane(page, ONLY)
    page.keyboard.press("Tab")
    assert canvas.evaluate("(el) => el === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    now = check(page)
    assert now["z"] == pytest.approx([before["z"][0] + 0.3, before["z"][1] - 1.5])
    page.keyboard.press("Enter")
    k = check(page)["hand"]
    assert k == before["nearest"][before["selected"]]
    page.keyboard.press("ArrowUp")
    moved = check(page)["codebook"][k]
    assert moved == pytest.approx([before["codebook"][k][0], before["codebook"][k][1] + 0.3])
    page.keyboard.press("Home")
    assert check(page)["codebook"] == before["codebook"]
    page.keyboard.press("c")
    assert check(page)["hand"] == (k + 1) % 16
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    assert check(page)["selected"] == before["selected"] + 1
    page.keyboard.press("p")
    assert check(page)["z"] == before["z"]
    page.wait_for_function("document.querySelector('.rv-voice').textContent.includes('codes in use')")
    order = [page.get_by_label("codes", exact=True), page.get_by_label("softness σ")]
    order += [page.get_by_role("button", name=name) for name in ("k-means step", "Reset dead codes")]
    for control in order:
        page.keyboard.press("Tab")
        assert control.evaluate("(el) => el === document.activeElement")


def test_borders_stand_where_two_codes_are_nearest(page):
    """In the numbers, and as green pixels of the canvas."""
    now = state(page, ONLY)
    edges = [
        ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        for cell in now["cells"]
        for a, b in zip(cell, cell[1:] + cell[:1], strict=True)
    ]
    inner = torch.tensor(
        [z for z in edges if max(abs(v - c) for v, c in zip(z, CENTER, strict=True)) < HALF - 0.1]
    )
    gaps = torch.cdist(inner.double(), codebook_of(now)).topk(2, largest=False).values
    assert (gaps[:, 1] - gaps[:, 0]).abs().max() < 1e-5
    script = """(points) => {
      const canvas = document.querySelector("canvas.rv-plane"), box = canvas.getBoundingClientRect();
      const {width, height} = canvas, ratio = width / box.width;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      const green = (x, y) => { const k = 4 * (y * width + x); return data[k + 3] && data[k + 1] - data[k]; };
      return points.map(([x, y]) => {
        const at = [x - box.left, y - box.top].map((v) => Math.floor(v * ratio)), around = [-1, 0, 1];
        return Math.max(...around.flatMap((i) => around.map((j) => green(at[0] + i, at[1] + j))));
      });
    }"""
    ground = torch.tensor([[15.0, -25.0], [18.0, 18.0]], dtype=torch.float64)
    green = page.evaluate(script, [where(page, z) for z in torch.cat([inner.double(), ground]).tolist()])
    assert min(green[:-2]) > 40
    assert max(green[-2:]) < 5


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
