"""What an unusual item is told: its range beside the others', its row, and what to do about it."""

import math
import warnings

import properties
import pytest
import torch
from foreign_models import make
from torch import nn
from torch.utils.data import DataLoader

import riemvae_core as rc
from riemvae_core.space.finite import check_finite

X = rc.load_images("digits").images[:60]
pytestmark = pytest.mark.usefixtures("no_hook")


def steep(x):
    """Log variances that grow with the values of an image until their exponentials overflow."""
    flat = x.flatten(1)
    return flat[:, 20:22] - 0.5, 0.2 * flat.sum(1, keepdim=True).expand(-1, 2) - 4


def decoded(z):
    return z @ torch.ones(2, 64)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_left_at_bytes_is_told_its_range_beside_the_others(size):
    bad = X.clone()
    bad[41] *= 255
    with pytest.raises(ValueError, match=r"exp\|log_var\|") as caught:
        rc.latent_space((steep, decoded), DataLoader(bad, size))
    properties.message_names(
        caught.value, "item 41", "from 0 to 255", "others from 0 to 1", "divide it by 255, or leave it out"
    )


def test_the_remedy_follows_the_ranges():
    x, out = torch.rand(6, 4), torch.zeros(6, 2)
    out[3, 1] = math.inf
    for row, words in {
        (9.0, 400.0, 1.0, 1.0): "from 1 to 400, .* bring it into their range, or leave it out",
        (-1.0, 0.5, 0.5, 0.5): "from -1 to 0.5, .* bring it into their range, or leave it out",
        (
            0.1,
            0.2,
            0.3,
            0.4,
        ): r"from 0.1 to 0.4, those of others from [0-9.e-]+ to [0-9.]+: see whether this is the range",
    }.items():
        x[3] = torch.tensor(row)
        with pytest.raises(ValueError, match=words):
            check_finite(out, "encode mu", x, "item")
    with pytest.raises(ValueError, match=r"from 0.1 to 0.4: see the model's weights, and the range"):
        check_finite(out[3:4], "encode mu", x[3:4], "item")
    with pytest.raises(ValueError, match=r"code 3 \(counted from 0\), whose values go from 0.1 to 0.4$"):
        check_finite(out, "decode images", x, "code")
    with pytest.raises(ValueError, match=r"item 3 \(counted from 0\)$"):
        check_finite(out, "encode mu", x.long(), "item")


def test_one_row_out_of_range_is_no_reason_to_change_the_others():
    model, bad = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=8, depth=1), 0), X.clone()
    bad[41] *= 255
    with pytest.raises(ValueError, match=r"row 41 \(1 of 60 .* try images / 255 for these rows alone"):
        rc.fit(model, bad, epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"try images / 255$"):
        rc.fit(model, X * 255, epochs=1, progress=False)


def test_a_row_whose_variances_overflow_in_sum_alone_has_its_metric():
    """exp(88) is a float32, sixteen of them are not."""
    mu, log_var = properties.random_tensors(2, (50, 16))
    log_var[7] = 88.0
    single = rc.PosteriorMetric.fit(mu.float(), log_var.float())
    double = rc.PosteriorMetric.fit(mu, log_var)
    assert single.lam == pytest.approx(double.lam, rel=1e-4)
    mu[7] = 1e25
    assert rc.PosteriorMetric.fit(mu.float(), log_var.float()).lam > 0


@pytest.mark.parametrize("zero", [0.0, 1e-30])
def test_sigma_is_noticed_where_one_of_them_underflows(zero):
    def encode(x):
        mu, log_var = steep(x)
        return mu, torch.exp(0.5 * log_var).clamp(max=2).where(torch.arange(len(x))[:, None] != 3, zero)

    with pytest.warns(UserWarning, match=r"2 \* sigma.log"):
        rc.latent_space((encode, decoded), X)


def test_a_function_around_a_model_in_training_mode_warns():
    model = make("moving")
    model.encode(X), model.decode(torch.zeros(4, 3))
    pair = (lambda x: model.encode(x), lambda z: model.decode(z))
    with (
        pytest.warns(UserWarning, match=r"calls MovingVAE in training mode, .* call .eval"),
        pytest.warns(UserWarning, match="encode gave other balls .* or calls what isn't in eval mode"),
        pytest.warns(UserWarning, match="decode gave other images for the same codes"),
    ):
        rc.latent_space(pair, X)
    model.eval()
    plain = nn.Linear(2, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rc.latent_space(pair, X)
        rc.latent_space((lambda x: model.encode(x), lambda z: plain(z[:, :2])), X)


class Wild(nn.Module):
    """Draws at random in eval mode, in the place named."""

    def __init__(self, where):
        super().__init__()
        self.inner, self.where = make("mlp"), where

    def encode(self, x):
        x = nn.functional.dropout(x, 0.5) if self.where == "dropout" else x
        mu, log_var = self.inner.encode(x)
        return (mu + 0.3 * torch.randn_like(mu) if self.where == "sample" else mu), log_var

    def decode(self, z):
        x = self.inner.decode(z)
        return torch.bernoulli(x) if self.where == "pixels" else x


def test_chance_in_eval_mode_is_told():
    """Each call begins with the same generator, so that calls alone are alike."""
    for where, told in (
        ("dropout", "encode gave other balls for the same items: it draws at random in eval mode"),
        ("sample", "a sample in the place of mu"),
        ("pixels", "decode gave other images for the same codes: .* in the place of a mean"),
    ):
        before = torch.get_rng_state()
        with pytest.warns(UserWarning, match=told) as caught:
            space = rc.latent_space(Wild(where), X)
        assert len(caught) == 1
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(space.encode(X).mu, space.encode(X).mu)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rc.latent_space(Wild("nowhere"), X)


def test_neither_rounding_nor_a_first_decode_of_tokens_is_chance():
    calls = []

    def encode(x):
        calls.append(len(x))
        return x[:, :2] * (1 + 1e-6 * len(calls)), x[:, :2] - 40.0

    rc.latent_space(
        (encode, lambda z: (z > 0).long()), properties.random_tensors(1, (30, 4))[0], batch_size=9
    )
    assert calls == [9, 9, 9, 9, 3]


def test_models_that_are_not_ready_are_named():
    with pytest.raises(ValueError, match=r"got type ExampleVAE itself: pass one, ExampleVAE\(\.\.\.\)"):
        rc.latent_space(type(make("mlp")), X)
    with pytest.raises(ValueError, match=r"model must have weights, got ExampleVAE.* on meta"):
        rc.latent_space(make("mlp").to("meta"), X)
    with pytest.raises(ValueError, match=r"data must hold numbers, got a tensor .* where none are"):
        rc.latent_space(make("mlp"), X.to("meta"))
