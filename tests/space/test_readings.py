"""What models return and get, read piece by piece: laws, tuples, fields, rows."""

from types import SimpleNamespace

import numpy as np
import properties
import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    RelaxedBernoulli,
    StudentT,
    TransformedDistribution,
)
from torch.distributions.transforms import TanhTransform
from torch.utils.data import DataLoader

from riemvae_core.space.adapters import adapt
from riemvae_core.space.conditions import (
    Inputs,
    alike,
    as_condition,
    check_handed,
    check_rows,
    each,
    inputs_of,
    one_row,
    parts,
    rows,
)
from riemvae_core.space.encoding import Encoded, encode_all, warn_of_chance, warn_of_order, warn_of_sigma
from riemvae_core.space.finite import check_finite
from riemvae_core.space.inputs import is_shuffled
from riemvae_core.space.outputs import (
    Found,
    read_balls,
    read_derivable,
    read_images,
    say,
)
from riemvae_core.space.tensors import as_tensor

MU, LOG_VAR = properties.random_tensors(2, (6, 3))
LOG_VAR = LOG_VAR - 3
STD = (0.5 * LOG_VAR).exp()
Z = torch.zeros(6, 3).double()


# --- balls


@pytest.mark.parametrize(
    "output",
    [
        {"qz": Normal(MU, STD)},
        SimpleNamespace(posterior=Normal(MU, STD), z=MU + 1),
        (Normal(MU, STD), MU + 1),
        [MU + 1, Normal(MU, STD)],
        (MU, LOG_VAR, None),
        (MU, LOG_VAR, torch.zeros(6, 40)),
        (torch.zeros(6, 2, 3, 3), MU, LOG_VAR),
        (MU, LOG_VAR, [torch.zeros(6, 4), torch.zeros(6, 9)]),
        {"mu": MU, "logvar": LOG_VAR, "std": STD},
    ],
)
def test_balls_are_found_where_names_or_shapes_tell(output):
    found = read_balls(output, None)
    assert isinstance(found, Found)
    properties.close(found.mu, MU)
    properties.close(found.log_var, LOG_VAR)


FULL = MultivariateNormal(MU, torch.tensor([[1, 0.99, 0], [0.99, 1, 0], [0, 0, 1]]).double())
REFUSED = {
    "full": (FULL, ("MultivariateNormal", "Normal(q.mean, q.stddev)")),
    "low rank": (LowRankMultivariateNormal(MU, MU[..., None], STD), ("LowRankMultivariateNormal",)),
    "a flow": (
        TransformedDistribution(Normal(MU, STD), [TanhTransform()]),
        ("TransformedDistribution of a Normal",),
    ),
    "Laplace": (Laplace(MU, STD), ("Laplace", "not Gaussian")),
    "Student": ({"qz": StudentT(3.0, MU, STD)}, ("StudentT",)),
    "levels": ([(MU, LOG_VAR), (MU, LOG_VAR)], ("one level", "hierarchical")),
    "levels of laws": ((Normal(MU, STD), Normal(MU, STD)), ("one level",)),
    "levels by name": ({"mu": [MU, MU], "log_var": [LOG_VAR, LOG_VAR]}, ("one level",)),
    "lists": (([MU, MU], [LOG_VAR, LOG_VAR]), ("one level",)),
    "three": ((MU, MU, LOG_VAR), ("Neither names nor shapes", "[1:]")),
    "one radius each": ((MU, MU, LOG_VAR[:, :1]), ("Neither names nor shapes",)),
    "a price": ((MU, MU, torch.tensor(3.0)), ("Neither names nor shapes",)),
    "deviations": ({"mu": MU, "std": STD}, ("radii under std", "2 * sigma.log()")),
    "a scale": (SimpleNamespace(loc=MU, scale=STD), ("radii under scale",)),
    "covariance": ({"mean": MU, "covariance_matrix": MU}, ("radii under covariance_matrix",)),
}


@pytest.mark.parametrize("radius", [None, 0.5])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_ball_is_refused_and_no_radius_hides_it(name, radius):
    output, words = REFUSED[name]
    with pytest.raises(ValueError, match="encode must return") as caught:
        read_balls(output, radius)
    properties.message_names(caught.value, *words)
    assert "needs radius=" not in str(caught.value)


def test_a_radius_is_for_points_alone():
    for points in (MU, {"embedding": MU}, SimpleNamespace(latents=MU)):
        properties.close(read_balls(points, 0.5).log_var.exp(), torch.full_like(MU, 0.25))


# --- images


def test_images_of_laws():
    properties.close(read_images({"px": Bernoulli(logits=MU)}, Z), MU.sigmoid())
    assert len(read_derivable(Normal(MU, STD), Z)) == 2
    assert len(read_derivable(Bernoulli(logits=MU), Z)) == 1
    with pytest.raises(ValueError, match="decode must return a law that has a mean, got RelaxedBernoulli"):
        read_images(RelaxedBernoulli(torch.tensor(1.0), logits=MU), Z)
    with pytest.raises(ValueError, match="floating numbers for a pullback"):
        read_derivable(MU.long(), Z)
    with pytest.raises(ValueError, match="for a pullback, got Laplace"):
        read_derivable(Laplace(MU, STD), Z)


def test_the_first_row_that_is_not_finite_is_named():
    x = MU.clone()
    check_finite(x, "encode mu", x, "item")
    x[4, 1], x[2, 0] = torch.nan, torch.inf
    with pytest.raises(ValueError, match=r"encode must .* got 2 in mu .* item 102 \(counted from 0\), whose"):
        check_finite(x, "encode mu", MU, "item", 100)
    with pytest.raises(ValueError, match=r"item 2 \(counted from 0\), which itself is not finite$"):
        check_finite(x, "encode mu", x, "item")


# --- conditions


def test_a_condition_keeps_its_form():
    given = as_condition({"y": np.array([1, 2], np.uint8), "w": 3.5, "name": "entry"})
    assert given["y"].dtype == torch.int64
    assert given["w"].shape == (1,)
    assert given["name"] == "entry"
    assert list(parts((MU, Z))) == ["0", "1"]
    assert parts(None) == {}
    assert each(len, (MU, Z)) == (6, 6)
    properties.close(rows(MU, 2, 4), MU[2:4])
    properties.close(rows(MU[:1], 2, 4), MU[:1].expand(2, 3))
    assert one_row(MU) is None
    properties.close(one_row(MU[:1].expand(4, 3)), MU[:1])
    check_rows({"0": MU, "1": Z[:1]}, 6)
    with pytest.raises(ValueError, match=r"one row an item, \[5, \.\.\.\] for 5 items.* as 0"):
        check_rows({"0": MU, "1": Z[:1]}, 5)
    properties.close(alike(MU, MU[0], (9,), "a code"), MU[:1])
    with pytest.raises(ValueError, match=r"one row \[3\] for all, or one a code, \[4, 3\], got \[3, 3\]"):
        alike(MU, MU[:3], (4,), "a code")


def test_what_a_function_gets():
    takes = inputs_of(lambda x, y, *, mask=None: x)
    assert isinstance(takes, Inputs)
    assert takes.hand(Z) == ((Z,), {})
    assert takes.hand({"mask": Z, "w": Z}) == ((), {"mask": Z})
    assert takes.missing({"mask": Z}) == ["y"]
    none = inputs_of(lambda x: x)
    check_handed(Z, takes, none)
    with pytest.raises(ValueError, match="neither encode nor decode takes a second input"):
        check_handed(Z, none, none)
    adapter = adapt((lambda x, y: x, lambda z: z))
    assert adapter.encodes_with(Z)
    assert not adapter.decodes_with(Z)
    with pytest.raises(ValueError, match="model's encode needs y"):
        adapter.check_condition(None)


def test_all_items_are_encoded_and_odd_ones_are_said():
    found = encode_all(adapt((lambda x: (x, STD), lambda z: z)), MU, 9)
    assert isinstance(found, Encoded)
    assert not found.named
    with pytest.warns(UserWarning, match="never negative"):
        warn_of_sigma(found)
    warn_of_sigma(found._replace(named=True))
    with pytest.warns(UserWarning, match="encode gave other balls for the same items"):
        warn_of_chance(found._replace(strays=True), MU, MU)
    with pytest.warns(UserWarning, match="decode gave other images for the same codes"):
        warn_of_chance(found, MU, MU + 0.1)
    warn_of_chance(found, MU, MU * (1 + 1e-6))
    warn_of_sigma(found._replace(log_var=LOG_VAR))
    in_order, shuffled = DataLoader(MU, 2), DataLoader(MU, 2, shuffle=True)
    assert [is_shuffled(x) for x in (MU, in_order, shuffled)] == [False, False, True]
    warn_of_order(in_order)
    with pytest.warns(UserWarning, match="shuffle=False"):
        warn_of_order(shuffled)


# --- tensors


@pytest.mark.parametrize(
    "thing",
    [
        np.arange(6.0)[::-1],
        np.arange(6.0).astype(">f4")[::-1],
        np.ma.masked_array(np.arange(6.0)[::-1]),
        [5.0, 4, 3, 2, 1, 0],
        [torch.tensor(float(k)) for k in (5, 4, 3, 2, 1, 0)],
        torch.arange(6.0).flip(0).requires_grad_(),
    ],
)
def test_numbers_in_all_their_forms(thing):
    x = as_tensor(thing, "data")
    assert x.tolist() == [5, 4, 3, 2, 1, 0]
    assert not x.requires_grad


def test_arrays_that_may_not_be_written_are_copied():
    array = np.arange(3.0)
    array.flags.writeable = False
    as_tensor(array, "data")[0] = 7
    assert array[0] == 0


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (np.ma.masked_less(np.arange(6), 2), "no masked entries, got 2 of them"),
        (np.array(["a", "b"]), r"must hold numbers, got ndarray \[2\]"),
        ([[1, 2], [3]], "rows of one shape"),
        ([torch.zeros(2), torch.zeros(3)], "tensors of one shape"),
        (torch.eye(3).to_sparse(), "must be dense"),
        (np.zeros(3, np.longdouble), "numbers that torch knows"),
        (object(), "must hold numbers, got object"),
    ],
)
def test_what_holds_no_numbers_is_named(thing, words):
    with pytest.raises(ValueError, match=f"data must .*{words}|data {words}"):
        as_tensor(thing, "data")


def test_things_are_said_in_words():
    assert say(Normal(MU, STD)) == "Normal"
    assert say((MU[0].float(), 3)) == "tuple of 2 (a tensor [3] of torch.float32 on cpu, int)"
