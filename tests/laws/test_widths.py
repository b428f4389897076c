"""Widths that are given: those that no law can have are refused by name, those chosen come back."""

import math
import re

import numpy as np
import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import fit_law, law, local, volumes
from riemvae_core.laws.fitting import FAMILIES
from riemvae_core.laws.widths import checked_widths

LOCAL = {"shrinkage": 0.2, "neighbors": 20, "target": "axes", "h": 0.5}
AVERAGED = {"h": 1.0, "alpha": 0.5, "floor": -9.0}


def balls(n=60, d=2):
    mu, log_var = properties.random_tensors(2, (n, d))
    return mu, 0.3 * log_var - 2.0


REFUSED = [
    ("isotropic", {"h": 0.0}, "h must be above 0 for kind 'isotropic', got 0.0"),
    ("ball", {"h": -1.0}, "h must be above 0 for kind 'ball', got -1.0"),
    ("uniform", {"h": math.nan}, "h must be a finite number, got nan"),
    ("power", {"h": "wide"}, "h must be a finite number, got 'wide'"),
    ("kernel", LOCAL | {"h": 1.5}, "h must be above 0 and at most 1 for kind 'kernel', got 1.5"),
    (
        "axes",
        {"h": [1.0, 2.0, 3.0]},
        "h must hold 2 widths for kind 'axes', one an axis, got [1.0, 2.0, 3.0]",
    ),
    ("axes", {"h": 1.0}, "h must hold 2 widths for kind 'axes', one an axis, got 1.0"),
    ("axes", {"h": [1.0, -2.0]}, "h[1] must be above 0 for kind 'axes', got -2.0"),
    ("gaussian", {"share": -5.0}, "share must be at least 0 for kind 'gaussian', got -5.0"),
    ("kernel", LOCAL | {"target": "bal"}, "target must be one of axes, ball, got 'bal'"),
    ("kernel", LOCAL | {"shrinkage": -0.5}, "shrinkage must be at least 0 and at most 1 for kind 'kernel'"),
    (
        "kernel",
        LOCAL | {"shrinkage": 5},
        "shrinkage must be at least 0 and at most 1 for kind 'kernel', got 5",
    ),
    (
        "kernel",
        LOCAL | {"shrinkage": 0.0, "neighbors": 2},
        "shrinkage must be above 0 for at most 2 neighbors",
    ),
    ("kernel", LOCAL | {"neighbors": 1}, "neighbors must be from 2 to 60 for kind 'kernel', got 1"),
    ("kernel", LOCAL | {"neighbors": 20.7}, "neighbors must be a whole number of at least 1, got 20.7"),
    ("pullback", LOCAL | {"pull": -3.0}, "pull must be at least 0 for kind 'pullback', got -3.0"),
    ("interpolation", {"neighbors": 60, "h": 0.1}, "neighbors must be from 1 to 59 for kind 'interpolation'"),
    ("mixture", {"components": 0}, "components must be a whole number of at least 1, got 0"),
    ("mixture", {"components": 61}, "components must be from 1 to 60 for kind 'mixture', got 61"),
    (
        "averaged",
        AVERAGED | {"alpha": 5.0},
        "alpha must be at least 0 and at most 1 for kind 'averaged', got 5.0",
    ),
    ("averaged", AVERAGED | {"floor": math.nan}, "floor must be a finite number, got nan"),
    (
        "averaged",
        AVERAGED | {"floor": 50.0},
        "floor must leave a part of the law, got 50, above its log density",
    ),
    ("two-stage", {"epochs": 0, "width": 8}, "epochs must be a whole number of at least 1, got 0"),
    ("flow", {"epochs": 2.0}, "epochs must be a whole number of at least 1, got 2.0"),
    ("prior", {"h": 1.0}, "widths must hold nothing for kind 'prior', got h"),
    ("isotropic", ["h"], "widths must map names to numbers, as Law.widths does, got list"),
]


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("kind", "widths", "words"), REFUSED)
def test_a_width_that_no_law_can_have_is_named(kind, widths, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        fit_law(*balls(), kind, widths=widths, decode=torch.tanh)


@pytest.mark.parametrize(
    ("kind", "widths", "words"),
    [
        ("gaussian", {"share": 0.3}, "log_var must be given for a share above 0, got None and share 0.3"),
        ("kernel", LOCAL | {"target": "ball"}, "log_var must be given for the target 'ball', got None"),
    ],
)
def test_what_needs_balls_says_so(kind, widths, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        fit_law(balls()[0], kind=kind, widths=widths)
    assert fit_law(*balls(), kind, widths=widths).widths == widths


def test_widths_of_one_data_set_on_codes_in_another_unit_end_in_a_sentence():
    mu, log_var = balls()
    widths = fit_law(mu, log_var, "averaged").widths
    with pytest.raises(ValueError, match=r"floor must leave a part of the law, got .* in their own unit"):
        fit_law(100.0 * mu, log_var + 2.0 * math.log(100.0), "averaged", widths=widths)


def test_neighbors_on_a_line_ask_for_shrinkage():
    mu = balls()[0]
    mu[:, 1] = 0.5
    widths = LOCAL | {"shrinkage": 0.0}
    with pytest.raises(
        ValueError, match="shrinkage must be larger where 20 neighbors leave out an axis, got 0"
    ):
        fit_law(mu, kind="kernel", widths=widths).sample(3)
    made = local.LocalKernels(law.Codes(mu, None, None, rc.make_generator(0)), LOCAL)
    assert torch.isfinite(made.frames(slice(0, 9))[2]).all()


def test_rejection_that_keeps_nothing_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr(volumes, "PATIENCE", 1000)
    even = law.Parts(lambda n, generator: torch.rand((n, 1), generator=generator), lambda z: 0.0 * z[:, 0])
    for weight in (-60.0, math.nan):
        one = volumes.Thinned(even, lambda z, w=weight: torch.full_like(z[:, 0], w), 0.0, weight)
        with pytest.raises(
            ValueError, match=r"kind must be one whose proposals are kept, got 0 kept of 1\d\d\d:"
        ):
            one.sample(3, rc.make_generator(0))
    rare = volumes.Thinned(even, lambda z: torch.full_like(z[:, 0], -5.0), 0.0, -5.0)  # once in 148 is enough
    assert rare.sample(20, rc.make_generator(0)).shape == (20, 1)


def test_plain_numbers_of_any_maker_will_do():
    codes = law.Codes(*balls(), None, rc.make_generator(0))
    for h in (0.5, np.float32(0.5), torch.tensor(0.5, device="cpu"), np.array(0.5)):
        assert checked_widths("isotropic", ("h",), {"h": h}, codes) == {"h": 0.5}
    two = torch.tensor([0.5, 0.25], device="cpu")
    assert checked_widths("axes", ("h",), {"h": two}, codes) == {"h": [0.5, 0.25]}
    names = FAMILIES["averaged"].names
    assert checked_widths("averaged", names, AVERAGED | {"floor": -math.inf}, codes)["floor"] == -math.inf
    counts = {"components": np.int64(60)}
    assert checked_widths("mixture", ("components",), counts, codes) == {"components": 60}
