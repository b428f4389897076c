"""The small parts of which the live figures are made, each by itself."""

import base64
import json
import math
import re
import zlib

import numpy as np
import pytest
import torch

from riemvae_core.figures.widgets import assets, checks, host, packing, points_and_balls, train_panel
from riemvae_core.figures.widgets.packing_figure import Bill, Packing, bill
from riemvae_core.figures.widgets.panel import StaticPanel, TrainPanel
from riemvae_core.figures.widgets.points_figure import PointsAndBalls
from riemvae_core.figures.widgets.stills import Plane
from riemvae_core.models import zoo


@pytest.mark.parametrize(
    ("make", "live", "still"),
    [
        (points_and_balls, PointsAndBalls, host.StaticFigure),
        (packing, Packing, host.StaticFigure),
        (train_panel, TrainPanel, StaticPanel),
    ],
)
def test_a_book_gets_a_still_and_a_notebook_a_widget(monkeypatch, make, live, still):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    assert host.in_book()
    assert isinstance(make(), still)
    monkeypatch.delenv("RIEMVAE_BOOK")
    assert not host.in_book()
    assert isinstance(make(), live)


def test_the_figures_show_the_planar_models_and_their_probes():
    assert sorted(assets.planar_models()) == sorted(n for n in zoo.names() if n.endswith("-2d"))
    assert assets.probes_name("digits") == "digits-probes"
    assert {assets.probes_name(d) for d in ("fashion", "digits", "rings-and-disks")} <= set(
        assets.asset_names()
    )


def test_page_and_notebook_carry_the_same_bytes():
    packed = assets.asset("digits-probes")
    script = host.asset_script("digits-probes")
    name, header, data = json.loads(re.fullmatch(r"__rv\.asset\((.*)\);\n", script)[1].join("[]"))
    assert name == "digits-probes"
    planes, found = zlib.decompress(base64.b64decode(data)), b""
    for array in assets.unpack(
        packed
    ).values():  # each array comes as planes: all first bytes, all second ones
        plane = np.frombuffer(planes[: array.nbytes], "u1").reshape(array.itemsize, -1)
        found, planes = found + plane.T.tobytes(), planes[array.nbytes :]
    assert assets.Packed(header, found) == packed
    assert planes == b""
    live = host.live_assets(["digits-probes", "digits-probes"])
    assert live == {"digits-probes": {"header": packed.header, "data": packed.data}}


def test_captions_are_checked_and_escaped():
    sentences = host.captions("a < b", "drag & drop")
    assert sentences == {"see": "a < b", "try_this": "drag & drop"}
    assert host.caption_html(**sentences) == (
        "<figcaption><b>See.</b> a &lt; b <b>Try.</b> drag &amp; drop</figcaption>"
    )
    assert host.caption_html("", "") == "<figcaption></figcaption>"


def test_a_bill_adds_up():
    mu, log_var = [1.0, -2.0], [0.0, -1.0]
    priced = bill(3.0, zoo.recipe("fashion-beta-3").epochs, 0, mu, log_var)
    assert isinstance(priced, Bill)
    assert priced.pull == pytest.approx(3.0 * 2.5, rel=1e-6)
    assert priced.barrier == pytest.approx(3.0 * 0.5 * (torch.tensor(-1.0).exp().item()), rel=1e-6)
    assert priced.total == pytest.approx(priced.reconstruction + priced.pull + priced.barrier, rel=1e-6)


def test_a_plane_puts_points_where_they_belong():
    plane = Plane(x=10.0, y=20.0, side=200.0, center=(1.0, -1.0), half=2.0)
    assert plane.at((1.0, -1.0)) == (110.0, 120.0)  # the middle
    assert plane.at((-1.0, 1.0)) == (10.0, 20.0)  # left and up: pixels run downward
    assert plane.at((3.0, -3.0)) == (210.0, 220.0)
    assert 'cx="110.0" cy="120.0"' in plane.handle((1.0, -1.0))


def test_values_of_traits_are_checked_by_name():
    assert checks.pair("z", (1, 2.5)) == [1.0, 2.5]
    assert checks.clipped_pair("z", [-9, 1], 4.0) == [-4.0, 1.0]
    assert checks.within("rho", 2.0, 1, 3) == 2.0
    assert checks.one_of("n", 5, (2, 5)) == 5
    assert checks.probe_index("selected", 239) == 239
    wrong = [
        (checks.pair, ("z", [1.0]), "z must be two finite numbers"),
        (checks.clipped_pair, ("z", [math.nan, 0.0], 1.0), "z must be two finite numbers"),
        (checks.within, ("rho", math.nan, 1, 3), "rho must be between 1 and 3, got nan"),
        (checks.one_of, ("n", 4, (2, 5)), "n must be one of 2, 5, got 4"),
        (checks.probe_index, ("selected", 240), "selected must be between 0 and 239, got 240"),
    ]
    for check, arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            check(*arguments)


def test_figures_read_a_model_once():
    assert assets.trained("fashion-vae-2d") is assets.trained("fashion-vae-2d")
    assert not assets.trained("fashion-vae-2d").training


def test_a_figure_is_a_picture_in_a_book_and_a_widget_in_a_notebook(monkeypatch):
    class Sample(host.LiveFigure):
        _esm = "export default {};"

        def __init__(self, props):
            super().__init__(props, ["digits-probes"])

    arguments = ("sample", Sample, {"a": 1}, lambda: "<svg/>", "See this.", "Do that.")
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    still = host.figure(*arguments)
    assert isinstance(still, host.StaticFigure)
    assert (still.props, still.still) == ({"a": 1}, "<svg/>")
    monkeypatch.delenv("RIEMVAE_BOOK")
    live = host.figure(*arguments)
    assert live._props == {"a": 1, "see": "See this.", "try_this": "Do that."}
    assert live._assets.keys() == {"digits-probes"}
    assert live._css == host.stylesheet()
