"""What people have: each kind of model comes to the balls and images that it gives by hand."""

import properties
import pytest
import torch
from strangers import (
    CellVAE,
    ComplexVAE,
    DrawFirstVAE,
    LabelDecoderVAE,
    LabelVAE,
    LawVAE,
    OptimizedModule,
    SequenceVAE,
    TokenVAE,
    VolumeVAE,
    VolumeVAEMended,
    Wrapper,
    seeded,
    tiny_model,
)
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

import riemvae_core as rc
from riemvae_core.metrics import ConstantMetric

DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:40].double(), DIGITS.labels[:40]


class Entries(Dataset):
    """Items that are dicts."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return {"image": X[i], "label": int(Y[i]), "path": f"{i}.png"}


def same_balls(space, mu, log_var):
    properties.close(space.mu, mu.flatten(1))
    properties.close(space.log_var, log_var.flatten(1))


def test_tokens_stay_whole_numbers():
    model = seeded(TokenVAE)
    ids = torch.randint(12, (30, 5), generator=rc.make_generator(0))
    expected = model.encode(ids)
    for data in (ids, ids.int(), ids.numpy(), DataLoader(ids, 7), [ids[:20], ids[20:]]):
        space = rc.latent_space(model, data)
        same_balls(space, *expected)
        assert space.image_shape == (5,)
    properties.close(space.decode(space.mu), model.decode(space.mu))
    path = space.geodesic(ids[0], ids[1], 4, metric=ConstantMetric(torch.eye(2).double()))
    properties.close(path.curve[[0, -1]], expected[0][:2])
    with pytest.raises(IndexError) as caught:
        rc.latent_space(model, ids + 9)
    properties.message_names(
        Exception(*caught.value.__notes__), "encode", "int64", "whole numbers are handed"
    )


def test_lengths_go_to_the_encoder_alone():
    model = seeded(SequenceVAE)
    (x,) = properties.random_tensors(1, (30, 7, 3))
    lengths = torch.arange(30) % 7 + 1
    space = rc.latent_space(model, x, {"lengths": lengths}, batch_size=8)
    same_balls(space, *model.encode(x, lengths=lengths).values())
    properties.close(space.decode(space.mu), model.decode(space.mu))
    properties.close(space.encode(x[:4], {"lengths": lengths[:4]}).mu, space.mu[:4])
    with pytest.raises(ValueError, match="condition must be given, since the model's encode needs lengths"):
        rc.latent_space(model, x, lengths)
    with pytest.raises(ValueError, match=r"condition must be given.*needs lengths"):
        rc.latent_space(model, x)


def test_a_decoder_may_be_told_alone():
    model = seeded(LabelDecoderVAE)
    space = rc.latent_space(model, X, Y)
    same_balls(space, *model.encode(X))
    z = space.mu[:3]
    properties.close(space.decode(z, Y[:3]), model.decode(z, Y[:3]).reshape(-1, 1, 8, 8))


def test_deviations_without_names_are_noticed():
    x = X[:, :, None, :, :].expand(-1, -1, 8, -1, -1).contiguous()
    model = seeded(VolumeVAE)
    with pytest.warns(UserWarning, match=r"never negative, .* return 2 \* sigma\.log\(\) in its place"):
        rc.latent_space(model, x)
    mended = rc.latent_space(seeded(VolumeVAEMended), x)
    properties.close((0.5 * mended.log_var).exp(), model.encode(x)[1].flatten(1))
    assert mended.image_shape == (1, 8, 8, 8)
    assert mended.code_shape == (2, 2, 2, 2)


@pytest.mark.parametrize("balls", ["at rest", "collapsed", "zero", "named"])
def test_balls_that_may_be_large_are_no_deviations(balls):
    """None of these warns: small ones, a collapse just above 1, exactly 1, what says that it is log_var."""
    mu, eps = properties.random_tensors(2, (40, 2))
    mu, log_var = {
        "at rest": (mu, -4 + eps),
        "collapsed": (1e-3 * mu, 1e-3 * eps.abs()),
        "zero": (mu, 0 * eps),
        "named": (mu, eps.abs()),
    }[balls]
    pair = {"mu": mu, "log_var": log_var} if balls == "named" else (mu, log_var)
    rc.latent_space((lambda x: pair, lambda z: z), torch.zeros(40, 2))


@pytest.mark.parametrize("law", ["categorical", "bernoulli", "normal"])
def test_laws_of_images_are_their_means_and_derivable(law):
    """Probabilities of a Categorical, means else; a Normal's deviation adds to the pullback."""
    model = seeded(LawVAE, law)
    space = rc.latent_space(model, X)
    base = model.encode(X).base_dist
    same_balls(space, base.loc, 2 * base.scale.log())
    z = space.mu[:3]
    h = model.dec(z)
    expected = {
        "categorical": h.reshape(-1, 16, 8).softmax(-1),
        "bernoulli": h[:, :64].sigmoid().reshape(-1, 1, 8, 8),
        "normal": h[:, :64].reshape(-1, 1, 8, 8),
    }[law]
    properties.close(space.decode(z), expected)
    numbers = {
        "categorical": lambda p: model.dec(p).reshape(16, 8).softmax(-1).flatten(),
        "bernoulli": lambda p: model.dec(p)[:64].sigmoid(),
        "normal": lambda p: torch.cat([model.dec(p)[:64], model.dec(p)[64:].exp()]),
    }[law]
    jacobians = [torch.autograd.functional.jacobian(numbers, p) for p in z]
    for mode in ("forward", "reverse"):
        properties.close(space.pullback(mode)(z).detach(), torch.stack([j.T @ j for j in jacobians]))


def test_a_law_of_counts_is_decoded_and_not_pulled_back():
    model = seeded(CellVAE)
    x = (9 * X.flatten(1)).round()
    space = rc.latent_space(model, x)
    law = model.encode(x)["qz"]
    same_balls(space, law.loc, 2 * law.scale.log())
    h = model.dec(space.mu)
    properties.close(space.decode(space.mu), h[:, :64].exp() * h[:, 64:].exp())  # r p / (1 - p)
    with pytest.raises(ValueError, match=r"NegativeBinomial, whose mean is not all.* a pair"):
        space.pullback()(space.mu[:2])


@pytest.mark.parametrize("first", ["names", "features", "draw"])
def test_three_outputs_are_found_where_names_or_shapes_tell(first):
    model = seeded(DrawFirstVAE, first)
    if first == "draw":
        with pytest.raises(ValueError, match=r"Neither names nor shapes say which.*model\.encode\(x\)\[1:\]"):
            rc.latent_space(model, X)
        space = rc.latent_space((lambda x: model.encode(x)[1:], model.decode), X)
    else:
        space = rc.latent_space(model, X)
    same_balls(space, *model.enc(X.flatten(1)).chunk(2, dim=1))


def test_complex_images_are_refused():
    model = seeded(ComplexVAE)
    with pytest.raises(ValueError, match=r"decode must return real numbers.*complex128.*view_as_real"):
        rc.latent_space(model, X)
    both = rc.latent_space((model.encode, lambda z: torch.view_as_real(model.decode(z))), X)
    assert both.decode(both.mu).shape == (40, 64, 2)
    with pytest.raises(ValueError, match="encode must return real numbers"):
        rc.latent_space((lambda x: (model.decode(x[:, 0, 0, :3]),) * 2, model.decode), X)


def test_latents_of_a_tiny_autoencoder():
    model = seeded(tiny_model)
    space = rc.latent_space(model, X, radius=0.5)
    properties.close(space.mu, model.encode(X).latents.flatten(1))
    by_hand = model.decode(space.mu[:3].reshape(-1, *space.code_shape)).sample
    properties.close(space.decode(space.mu[:3]), by_hand)
    with pytest.raises(ValueError, match="without variances needs radius="):
        rc.latent_space(model, X)


WRAPPED = {
    "parallel": lambda model: nn.DataParallel(model),
    "compiled": OptimizedModule,
    "compiled in parallel": lambda model: OptimizedModule(nn.DataParallel(model)),
    "averaged": lambda model: AveragedModel(model),
    "fabric": lambda model: Wrapper(model, "module"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_model_is_the_model(name):
    model = seeded(DrawFirstVAE, "names")
    wrapped, plain = WRAPPED[name](model), rc.latent_space(model, X)
    space = rc.latent_space(wrapped, X)
    assert torch.equal(space.mu, plain.mu)
    assert space.made_by == plain.made_by


def test_a_model_within_another_is_hinted_at():
    model = seeded(DrawFirstVAE, "names")
    for wrapped, name in ((Wrapper(model), "vae"), (Wrapper(Wrapper(model), "net"), "net.vae")):
        with pytest.raises(ValueError, match=f"got Wrapper.*it holds one, pass model.{name}$"):
            rc.latent_space(wrapped, X)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_takes_its_labels_whole(dtype):
    model = seeded(LabelVAE).to(dtype)
    space = rc.latent_space(model, X, Y)
    assert space.mu.dtype == torch.float32
    exact = seeded(LabelVAE).encode(X, Y)[0]
    properties.close(space.mu.double(), exact, 3e-2, 3e-2)
    assert space.decode(space.mu, Y).dtype == dtype


def test_dict_batches_need_a_key():
    model = seeded(LabelVAE)
    expected = model.encode(X, Y)
    for data in (Entries(), DataLoader(Entries(), 16), {"image": X.numpy(), "label": Y}):
        space = rc.latent_space(model, data, condition="label", key="image")
        same_balls(space, *expected)
        assert torch.equal(space.condition, Y)
    properties.close(space.encode(DataLoader(Entries(), 16), "label").mu, expected[0])
    with pytest.raises(
        ValueError, match=r"key must name the entry.*one of 'image', 'label', 'path', got None"
    ):
        rc.latent_space(model, Entries(), condition="label")
    with pytest.raises(
        ValueError, match="key must name an entry of the batches, got 'x' for dict with image"
    ):
        rc.latent_space(model, Entries(), condition="label", key="x")
    with pytest.raises(ValueError, match="condition must name an entry of the batches, got 'y'"):
        rc.latent_space(model, Entries(), condition="y", key="image")
