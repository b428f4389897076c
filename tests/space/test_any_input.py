"""Any data, any condition, any thing that a model may return: a space, or an error that names what is wrong.

About 3,000 cases. What encode and decode do is drawn with the rest, so none of them is a model of ours.
"""

import struct
import warnings

import jaxtyping
import numpy as np
import properties
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers import LabelVAE, seeded
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    StudentT,
)

import riemvae_core as rc
from riemvae_core.space.adapters import adapt
from riemvae_core.space.encoding import encode_all
from riemvae_core.space.files import read_space, write_space

N = 6
DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.bool, torch.complex64)
SIZES = st.sampled_from([0, 1, 2, 3, 6, 7])


@st.composite
def tensors(draw, n=None):
    """Of any shape and dtype, most of them of N rows, some with a number that is none."""
    rows = draw(st.sampled_from([N, N, N, 0, 1, 5])) if n is None else n
    shape = (rows, *draw(st.lists(SIZES, max_size=3))) if draw(st.integers(0, 9)) else ()
    x = (torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))) * 3).to(
        draw(st.sampled_from(DTYPES))
    )
    if x.is_floating_point() and x.numel() and draw(st.integers(0, 4)) == 0:
        x.view(-1)[draw(st.integers(0, x.numel() - 1))] = draw(st.sampled_from([torch.nan, torch.inf]))
    return x


@pytest.fixture(scope="module", autouse=True)
def _as_a_reader():
    """Without the checks of annotations that tests switch on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


NAMES = st.sampled_from(
    ["mu", "mean", "log_var", "logvar", "std", "sigma", "z", "qz", "sample", "px", "loss"]
)
LEAVES = st.one_of(tensors(), st.none(), st.just("text"), st.integers(), st.just(np.zeros((N, 2))))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def laws(draw):
    """Laws of N rows, those that are balls and those that aren't."""
    d = draw(st.integers(1, 3))
    loc = torch.randn(N, d, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    scale = loc.exp()
    law = draw(st.sampled_from([
        Normal(loc, scale), Independent(Normal(loc, scale), 1), MultivariateNormal(loc, torch.eye(d)),
        LogNormal(loc, scale), Laplace(loc, scale), StudentT(1.0, loc, scale), Bernoulli(logits=loc),
        Categorical(logits=loc), Independent(Laplace(loc, scale), 1),
    ]))  # fmt: skip
    return draw(st.sampled_from([law, {"qz": law}, (law, loc), [law, law], {"px": law}]))


RETURNED = st.one_of(TREES, laws())
BALLS = (torch.arange(2.0 * N).reshape(N, 2) / 9, -torch.ones(N, 2))
ITEMS = torch.zeros(N, 4)


def named(call):
    """What a call gives, or None for an error that says what must be; no other may be raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return call()
        except ValueError as error:
            assert " must " in str(error), error  # noqa: PT017
            return None


@settings(max_examples=450)
@given(RETURNED, st.sampled_from([None, None, 0.5]))
def test_whatever_encode_returns_is_balls_or_named(returned, radius):
    found = named(lambda: encode_all(adapt((lambda x: returned, lambda z: z), radius), ITEMS, 100))
    if found is not None:
        assert found.mu.shape == found.log_var.shape
        assert len(found.mu) == N
        assert torch.isfinite(found.mu).all()
        assert torch.isfinite(found.log_var).all()
        assert found.mu.dtype == found.log_var.dtype in (torch.float32, torch.float64)


@settings(max_examples=450)
@given(RETURNED)
def test_whatever_decode_returns_is_images_or_named(returned):
    adapter = adapt((lambda x: BALLS, lambda z: returned))
    z = BALLS[0]
    images = named(lambda: adapter.images(z))
    if images is not None:
        assert len(images) == N
        assert torch.isfinite(images).all()
        assert not images.is_complex()
    parts = named(lambda: adapter.derivable(z))
    assert parts is None or (images is not None and torch.equal(parts[0], images))


@settings(max_examples=500)
@given(st.one_of(TREES, tensors(N)), st.sampled_from([None, None, "mu", 0, 1, 9]), st.integers(1, 8))
def test_whatever_data_is_comes_through_or_is_named(data, key, batch_size):
    seen = []

    def encode(x):
        seen.append(x)
        return x.reshape(len(x), -1).double()[:, :1], -torch.ones(len(x), 1)

    found = named(lambda: encode_all(adapt((encode, lambda z: z)), data, batch_size, key=key))
    if found is not None:
        assert max(map(len, seen)) <= batch_size
        assert len(found.mu) == sum(map(len, seen))


@settings(max_examples=300)
@given(st.one_of(TREES, tensors(), st.integers(0, 9)), st.booleans())
def test_whatever_condition_is_reaches_both_or_is_named(condition, by_name):
    """Each item's own row, in order; what is one for all, for all."""
    got = []

    def encode(x, y):
        got.append(y)
        return x[:, :2] + 0.0, x[:, 2:] - 1.0

    pair = (encode, lambda z, y: z)
    given_ = {"y": condition} if by_name else condition
    space = named(lambda: rc.latent_space(pair, torch.eye(N, 4), given_, batch_size=4))
    if space is None:
        return
    kept = space.condition["y"] if by_name else space.condition
    kept = kept[0] if isinstance(kept, tuple) else kept
    assert got.pop(1) is not None  # the first batch goes through twice
    told = torch.cat(got)
    assert len(told) == N
    assert len(kept) in (1, N)
    assert torch.equal(told.nan_to_num(), kept.expand(N, *kept.shape[1:]).nan_to_num())
    assert named(lambda: space.decode(space.mu[:3], condition)) is None or len(kept) in (1, 3)


MODEL = seeded(LabelVAE)
SPACE = rc.latent_space(MODEL, torch.zeros(N, 64).double(), torch.arange(N))


@settings(max_examples=700)
@given(st.one_of(tensors(), TREES), st.one_of(st.none(), tensors(), st.integers(0, 9)))
def test_whatever_codes_and_rows_are_is_decoded_or_named(z, condition):
    if isinstance(condition, int | torch.Tensor) and torch.as_tensor(condition).dtype == torch.int64:
        condition = torch.as_tensor(condition).abs().clamp(max=9)
    images = named(lambda: SPACE.decode(z, condition))
    if images is not None:
        assert torch.isfinite(images).all()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A saved space with a condition, and the place where changed ones are put."""
    path = tmp_path_factory.mktemp("files") / "some.space"
    write_space(SPACE, path)
    return path.read_bytes(), path.with_name("other.space")


@settings(max_examples=600)
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7), where=st.sampled_from(["head", "numbers", "all"]))
def test_a_bit_that_flips_is_noticed(file, at, bit, where):
    whole, place = file
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    low, high = {"head": (0, start), "numbers": (start, len(whole)), "all": (0, len(whole))}[where]
    at = low + at % (high - low)
    place.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    try:
        found = read_space(place)
    except ValueError as error:
        assert str(place) in str(error)  # noqa: PT017
        return
    assert at < start  # only white space beside the header's text may change
    assert torch.equal(found["condition"], SPACE.condition)
    properties.close(found["mu"], SPACE.mu)
