"""Models that no one here designed, and one of ours, with what their documentation says of them."""

import torch
from diffusers import AutoencoderKL
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig
from torch import nn
from torch.nn import functional

import riemvae_core as rc

# --- the models


class ExampleVAE(nn.Module):
    """The fully connected VAE of many tutorials: five layers, flat images, names of its own."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 32), nn.Linear(32, 3), nn.Linear(32, 3)
        self.fc3, self.fc4 = nn.Linear(3, 32), nn.Linear(32, 64)

    def encode(self, x):
        h = functional.relu(self.fc1(x.flatten(1)))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(functional.relu(self.fc3(z))))


class ConvEncoder(nn.Module):
    """Convolutions with GroupNorm and SiLU; says what it finds in a dict."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.Conv2d(8, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten()),
        )
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        mean, logvar = self.head(self.body(x)).chunk(2, dim=1)
        return {"mean": mean, "logvar": logvar}


class ConvVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = ConvEncoder()
        self.decoder = nn.Sequential(
            *(nn.Linear(3, 32), nn.Unflatten(1, (8, 2, 2)), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()),
        )


class MovingVAE(nn.Module):
    """What eval mode stops: Dropout and BatchNorm."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(16, 6), nn.Unflatten(1, (2, 3))),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8))),
        )
        self.broken = False

    def encode(self, x):
        if self.broken:
            raise RuntimeError("out of order")
        return self.encoder(x).unbind(1)

    def decode(self, z):
        if self.broken:
            raise RuntimeError("out of order")
        return self.decoder(z)


def pythae_model():
    return PythaeVAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=3))


def diffusers_model():
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=4,
        sample_size=8,
    )


def our_model():
    return rc.make_model("vae", rc.ModelConfig((1, 8, 8), latent_dim=3, width=16, depth=1), seed=0)


MODELS = {
    "mlp": ExampleVAE,
    "conv": ConvVAE,
    "pythae": pythae_model,
    "diffusers": diffusers_model,
    "ours": our_model,
    "moving": MovingVAE,
}


def make(name: str) -> nn.Module:
    """A model by name with weights from a seed, in train mode as a constructor leaves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS[name]().train()


DECODERS = {
    "mlp": lambda model, z: model.decode(z).reshape(-1, 1, 8, 8),
    "conv": lambda model, z: model.decoder(z),
    "pythae": lambda model, z: model.decoder(z).reconstruction,
    "diffusers": lambda model, z: model.decode(z.reshape(-1, 1, 4, 4)).sample,
    "ours": lambda model, z: model.decode(z),
    "moving": lambda model, z: model.decode(z),
}
