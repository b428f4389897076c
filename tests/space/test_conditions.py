"""Labels and other further inputs: who gets which row, what is kept, what is refused."""

from functools import partial

import numpy as np
import properties
import pytest
import torch
from strangers import LabelDecoderVAE, LabelVAE, seeded
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import riemvae_core as rc
from riemvae_core.metrics import ConstantMetric
from riemvae_core.space.conditions import inputs_of

DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:40].double(), DIGITS.labels[:40]
MODEL = seeded(LabelVAE)


class Several(nn.Module):
    """Two further inputs, of which one is a vector."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(64, 4)

    def encode(self, x, c, w):
        mu, log_var = (self.enc(x.flatten(1)) + c * w[:, None]).chunk(2, dim=1)
        return mu, log_var

    def decode(self, z, c, w):
        return torch.cat([z, z], 1) + c * w[:, None]


class Optional(LabelVAE):
    """Takes labels or goes without."""

    def encode(self, x, y=None):
        return super().encode(x, torch.zeros(len(x)).long() if y is None else y)

    decode = encode


@pytest.fixture(scope="module")
def space() -> rc.LatentSpace:
    return rc.latent_space(MODEL, X, Y)


FORMS = {
    "tensor": (X, Y),
    "array": (X.numpy(), Y.numpy()),
    "small ints": (X, Y.to(torch.uint8)),
    "list": (X, Y.tolist()),
    "names": (X, {"y": Y}),
    "tuple": (X, (Y,)),
    "loader of pairs": (DataLoader(TensorDataset(X, Y), 7), None),
    "data set of pairs": (TensorDataset(X, Y), None),
    "loader and rows": (DataLoader(TensorDataset(X), 16), Y),
    "batches": ([X[:30], X[30:]], Y),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [1, 9, 100])
def test_each_item_is_encoded_with_its_own_row(form, batch_size):
    data, condition = FORMS[form]
    space = rc.latent_space(MODEL, data, condition, batch_size=batch_size)
    properties.close(space.mu, MODEL.encode(X, Y)[0])
    kept = space.condition
    kept = kept["y"] if form == "names" else kept[0] if form == "tuple" else kept
    assert torch.equal(kept, Y)
    again = space.encode(data, condition)
    properties.close(again.mu, space.mu)


def test_one_row_for_all_or_one_each(space):
    z = space.mu[:6].reshape(2, 3, 3)
    y = Y[:6].reshape(2, 3)
    by_hand = lambda labels: MODEL.decode(z.flatten(0, 1), labels).reshape(2, 3, 1, 8, 8)  # noqa: E731
    properties.close(space.decode(z, y), by_hand(Y[:6]))
    properties.close(space.decode(z, Y[:6]), by_hand(Y[:6]))
    for one in (7, np.int64(7), torch.tensor(7), torch.tensor([7])):
        properties.close(space.decode(z, one), by_hand(torch.full((6,), 7)))
    properties.close(space.encode(X[:5], 3).mu, MODEL.encode(X[:5], torch.full((5,), 3))[0])
    assert space.decode(z[:0], 3).shape == (0, 3, 1, 8, 8)
    for wrong in (Y[:5], Y[:2], y.T):
        with pytest.raises(
            ValueError, match=r"condition must be one row \[\] for all, or one a code, \[2, 3\]"
        ):
            space.decode(z, wrong)
    with pytest.raises(ValueError, match=r"dtype torch\.int64, got a tensor \[\] of torch\.float32"):
        space.decode(z, torch.tensor(3.0))


def test_several_inputs_and_vectors():
    model = seeded(Several)
    c, w = properties.random_tensors(2, (40, 4))
    w = w[:, 0].exp()
    for condition in ((c, w), {"w": w, "c": c}):
        space = rc.latent_space(model, X, condition, batch_size=9)
        properties.close(space.mu, model.encode(X, c, w)[0])
        pick = (
            (lambda f, k=condition: tuple(map(f, k)))
            if isinstance(condition, tuple)
            else (lambda f, k=condition: {name: f(part) for name, part in k.items()})
        )
        z = space.mu[:4]
        properties.close(space.decode(z, pick(lambda t: t[:4])), model.decode(z, c[:4], w[:4]))
        expected = model.decode(z, c[:1].expand(4, 4), w[:1].expand(4))
        properties.close(space.decode(z, pick(lambda t: t[0])), expected)  # a row, for all four codes
        with pytest.raises(ValueError, match="condition must be, as the space's own"):
            space.decode(z, c[:4])


def test_a_space_of_one_label_needs_it_no_second_time():
    y = torch.full((40,), 3)
    every = MODEL.encode(X, y)[0]
    for condition in (y, 3, torch.tensor([3])):
        space = rc.latent_space(MODEL, X, condition)
        properties.close(space.mu, every)
        properties.close(space.encode(X[:4]).mu, every[:4])
        properties.close(space.decode(every[:4]), MODEL.decode(every[:4], y[:4]).reshape(-1, 1, 8, 8))
        path = space.geodesic(X[0], X[1], 4, metric=ConstantMetric(torch.eye(3).double()))
        properties.close(path.curve[[0, -1]], every[:2])


def test_paths_strips_and_pullback_are_told(space):
    flat = ConstantMetric(torch.eye(3).double())
    mu = MODEL.encode(X[:4], Y[:4])[0]
    curve = space.geodesic(X[:2], X[2:4], 5, metric=flat, condition=Y[:2]).curve
    properties.close(curve[:, 0], mu[:2])
    properties.close(curve[:, -1], MODEL.encode(X[2:4], Y[:2])[0])
    one = space.geodesic(X[0], X[1], 4, metric=flat, condition=6)
    properties.close(one.curve[[0, -1]], MODEL.encode(X[:2], torch.full((2,), 6))[0])
    strips = space.interpolate(curve, 3, condition=torch.tensor([1, 2]))
    ends = MODEL.decode(curve[:, 0], torch.tensor([1, 2])).reshape(-1, 1, 8, 8)
    properties.close(strips[:, 0], ends)
    jacobian = torch.autograd.functional.jacobian(
        lambda z: MODEL.decode(z[None], torch.tensor([4]))[0], mu[0]
    )
    properties.close(space.pullback(condition=4)(mu[0]).detach(), jacobian.T @ jacobian)
    assert space.on_axes([0, 2]).decode(torch.zeros(2, 2), 4).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    "work",
    [
        lambda space: space.encode(X[:3]),
        lambda space: space.decode(space.mu[:3]),
        lambda space: space.geodesic(X[0], X[1]),
        lambda space: space.interpolate(space.mu[:2], 3),
        lambda space: space.pullback(),
    ],
)
def test_labels_that_differ_are_asked_for(space, work):
    with pytest.raises(ValueError, match="condition must be given, one row for all or one") as caught:
        work(space)
    properties.message_names(caught.value, "differ among its items", "got None")


def test_draws_and_paths_between_codes_need_no_label(space):
    draws = space.sample_uniform(4, rc.make_generator(0))
    assert space.decode(draws.z, 2).shape == (4, 1, 8, 8)
    flat = ConstantMetric(torch.eye(3).double())
    assert space.geodesic(space.mu[0], space.mu[1], 4, metric=flat).converged


def test_a_decoder_that_is_not_told_asks_for_nothing():
    model = seeded(LabelVAE)
    space = rc.latent_space((model.encode, lambda z: z), X, Y)
    assert torch.equal(space.decode(space.mu), space.mu)
    model = seeded(LabelDecoderVAE)
    told = rc.latent_space(model, DataLoader(TensorDataset(X, Y), 16))
    assert torch.equal(told.condition, Y)
    properties.close(told.encode(X[:3]).mu, model.encode(X[:3])[0])  # nor does such an encoder
    flat = ConstantMetric(torch.eye(3).double())
    path = told.geodesic(X[:2], X[2:4], 4, metric=flat)
    properties.close(path.curve[:, 0], model.encode(X[:2])[0])


def test_pairs_come_before_the_label_of_a_space():
    """Whoever hands over images with their labels means these."""
    space = rc.latent_space(MODEL, X, 3)
    pairs = DataLoader(TensorDataset(X, Y), 16)
    properties.close(space.encode(pairs).mu, MODEL.encode(X, Y)[0])
    properties.close(space.encode(DataLoader(TensorDataset(X), 16)).mu, space.mu)
    several = rc.latent_space(MODEL, X, Y)
    properties.close(several.encode(pairs).mu, several.mu)
    with pytest.raises(ValueError, match="condition must be given"):
        several.encode(DataLoader(TensorDataset(X), 16))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rc.latent_space(MODEL, X), ("condition must be given", "needs y", "(x, y)", "got None")),
        (lambda: rc.latent_space(MODEL, X, Y[:39]), ("one row an item", "[40, ...] for 40", "[39]")),
        (lambda: rc.latent_space(MODEL, X, Y.repeat(2)), ("[40, ...] for 40 items", "[80]")),
        (lambda: rc.latent_space(MODEL, X.split(7), Y[:10]), ("one row an item", "14", "[10]")),
        (lambda: rc.latent_space(MODEL, X, ["a"] * 40), ("condition must hold numbers",)),
        (lambda: rc.latent_space(MODEL, X, {"label": Y}), ("needs y", "a dict with label")),
        (lambda: rc.latent_space(MODEL, X, {"y": Y, "w": Y}), ("encode or decode takes, y, got w",)),
        (lambda: rc.latent_space(MODEL, X, (Y, Y)), ("at most 1 inputs", "encode's y", "got 2")),
        (lambda: rc.latent_space(nn.ModuleDict({"encoder": nn.Linear(64, 2), "decoder": nn.Linear(2, 64)}),
                                 X.flatten(1), Y), ("must be None where neither encode nor decode",)),
        (lambda: rc.latent_space(MODEL, DataLoader(TensorDataset(X), 8, shuffle=True), Y),
         ("in the order of condition's rows", "shuffle=False")),
        (lambda: rc.latent_space(seeded(Optional), TensorDataset(X, Y)), ("may take y", "could be it")),
        (lambda: rc.latent_space(lambda x: x, X, Y), ("model must be",)),
        (lambda: rc.latent_space(MODEL, (X, Y)), ("condition=data[1]", "tuple of 2")),
    ],
)  # fmt: skip
def test_conditions_that_do_not_fit_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)


def test_a_space_without_a_condition_takes_none():
    space = rc.latent_space((lambda x: (x[:, :2], x[:, 2:4]), lambda z: z), X.flatten(1)[:, 20:24] - 2)
    for work in (space.decode, space.encode):
        with pytest.raises(ValueError, match="condition must be None in a space made without one, got"):
            work(space.mu[:3], 3)


def test_what_functions_take_beside_their_first_input():
    encode = MODEL.encode
    assert inputs_of(encode).names == inputs_of(encode).needs == ("y",)
    assert inputs_of(partial(encode, y=Y)).needs == ()
    assert inputs_of(nn.Linear(2, 2)).names == ()
    assert inputs_of(lambda x, return_dict=True, mask=None: x).names == ()
    assert inputs_of(lambda x, mask=None, n=3: x)[:2] == (("mask",), ())
    assert inputs_of(lambda x, *, y: x)[:3] == ((), ("y",), frozenset("y"))
    assert inputs_of(lambda *args, **more: args).any_order
    assert inputs_of(torch.relu).any_name  # no signature to read
    space = rc.latent_space((partial(encode, y=Y[:40]), lambda z: z), X)
    properties.close(space.mu, encode(X, Y)[0])


def test_a_shuffled_loader_is_noticed():
    data = TensorDataset(X, Y)
    for loader in (
        DataLoader(data, 8, shuffle=True),
        DataLoader(data, 8, sampler=torch.randperm(40).tolist()),
    ):
        if not isinstance(loader.sampler, list):
            with pytest.warns(UserWarning, match="rows of mu and log_var follow the order in which it gave"):
                space = rc.latent_space(MODEL, loader)
            assert torch.equal(space.condition.sort().values, Y.sort().values)
        else:
            rc.latent_space(MODEL, loader)  # an order of the reader's own
