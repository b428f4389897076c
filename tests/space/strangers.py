"""Models as their users write them: labels, tokens, lengths, volumes, laws of images, wrappers."""

from types import SimpleNamespace

import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, NegativeBinomial, Normal
from torch.nn.functional import one_hot
from torch.nn.utils.rnn import pack_padded_sequence


def encode_pixels(x):
    """Balls of digits, three pixels each for centers and log variances: an encoder without weights."""
    flat = x.flatten(1)
    return flat[:, 20:23] - 0.5, flat[:, 30:33] - 3


class LabelVAE(nn.Module):
    """Labels beside images and codes, as a tutorial's conditional VAE has them."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(64 + 10, 6), nn.Linear(3 + 10, 64)

    def encode(self, x, y):
        return self.enc(torch.cat([x.flatten(1), one_hot(y, 10).to(x)], 1)).chunk(2, dim=1)

    def decode(self, z, y):
        return torch.sigmoid(self.dec(torch.cat([z, one_hot(y, 10).to(z)], 1)))


class LabelDecoderVAE(LabelVAE):
    """Only the decoder is told."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(64, 6)

    def encode(self, x):
        return self.enc(x.flatten(1)).chunk(2, dim=1)


class TokenVAE(nn.Module):
    """Ids of words in, log odds of words out."""

    def __init__(self):
        super().__init__()
        self.embed, self.enc, self.dec = nn.Embedding(12, 4), nn.Linear(20, 4), nn.Linear(2, 5 * 12)

    def encode(self, ids):
        return self.enc(self.embed(ids).flatten(1)).chunk(2, dim=1)

    def decode(self, z):
        return self.dec(z).reshape(-1, 5, 12)


class SequenceVAE(nn.Module):
    """Padded sequences; their lengths by keyword, and to the encoder alone."""

    def __init__(self):
        super().__init__()
        self.rnn, self.enc = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 4)
        self.dec = nn.Linear(2, 7 * 3)

    def encode(self, x, *, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return dict(zip(("mu", "logvar"), self.enc(self.rnn(packed)[1][-1]).chunk(2, 1), strict=True))

    def decode(self, z):
        return self.dec(z).reshape(-1, 7, 3)


class VolumeVAE(nn.Module):
    """MONAI's manner: volumes, and (mu, sigma) without names."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Conv3d(1, 4, 4, 4), nn.ConvTranspose3d(2, 1, 4, 4)

    def encode(self, x):
        mu, log_sigma = self.enc(x).chunk(2, dim=1)
        return mu, torch.exp(0.1 * log_sigma - 2.0)

    def decode(self, z):
        return self.dec(z)


class VolumeVAEMended(VolumeVAE):
    def encode(self, x):
        mu, sigma = super().encode(x)
        return mu, 2 * sigma.log()


class LawVAE(nn.Module):
    """A Normal in, the law of images out that ``law`` names."""

    def __init__(self, law="categorical"):
        super().__init__()
        self.law, self.enc, self.dec = law, nn.Linear(64, 4), nn.Linear(2, 128)

    def encode(self, x):
        mu, rho = self.enc(x.flatten(1)).chunk(2, dim=1)
        return Independent(Normal(mu, (0.3 * rho - 1).exp()), 1)

    def decode(self, z):
        h = self.dec(z)
        if self.law == "categorical":
            return Categorical(logits=h.reshape(-1, 16, 8))
        if self.law == "bernoulli":
            return Independent(Bernoulli(logits=h[:, :64]), 1)
        if self.law == "normal":
            return Independent(Normal(h[:, :64], h[:, 64:].exp()), 1)
        return {"px": NegativeBinomial(h[:, :64].exp(), logits=h[:, 64:])}


class CellVAE(LawVAE):
    """scvi's manner: what the encoder found in a dict, counts as the law of what is decoded."""

    def __init__(self):
        super().__init__("counts")

    def encode(self, x, return_dist=True):
        law = super().encode(torch.log1p(x)).base_dist
        return {"z": law.loc + law.scale, "qz": law, "ql": None, "library": x.sum(1, keepdim=True)}


class DrawFirstVAE(nn.Module):
    """(z, mu, log_var) by names, or by shapes where features come first."""

    def __init__(self, first="features"):
        super().__init__()
        self.first, self.enc, self.dec = first, nn.Linear(64, 6), nn.Linear(3, 64)

    def encode(self, x):
        mu, log_var = self.enc(x.flatten(1)).chunk(2, dim=1)
        if self.first == "names":
            return SimpleNamespace(z=mu + 9, mu=mu, log_var=log_var)
        return (x.flatten(1), mu, log_var) if self.first == "features" else (mu + 9, mu, log_var)

    def decode(self, z):
        return self.dec(z)


class ComplexVAE(DrawFirstVAE):
    """Spectra: complex numbers out."""

    def decode(self, z):
        return torch.fft.fft(self.dec(z))


class OptimizedModule(nn.Module):
    """As ``torch.compile`` wraps, without what it forwards."""

    def __init__(self, model):
        super().__init__()
        self._orig_mod = model


class Wrapper(nn.Module):
    """As a trainer wraps: the model under a name of its own."""

    def __init__(self, model, name="vae"):
        super().__init__()
        setattr(self, name, model)


def tiny_model():
    """The small autoencoder of diffusers: ``latents`` without variances."""
    return AutoencoderTiny(
        in_channels=1,
        out_channels=1,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        latent_channels=2,
    )


def seeded(kind, *arguments) -> nn.Module:
    """A model with weights from a seed, in float64 and eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(*arguments).double().eval().requires_grad_(False)
