"""The book's networks: autoencoders, VAEs, VQ-VAEs, a classifier; how they are trained, and the shipped ones.

May import: codes, balls, data and the ground floor.
Begin with ``VAE`` in ``vae.py`` and ``fit`` in ``training.py``; ``zoo`` loads trained models by their names.
Nothing else in the core knows these classes: metrics, paths and scores take tensors and callables.
"""

from riemvae_core.models import zoo
from riemvae_core.models.classifier import Classifier, ClassifierConfig, make_classifier
from riemvae_core.models.conditional import ConditionalVAE, make_conditional
from riemvae_core.models.files import read_tensors, save_atomically
from riemvae_core.models.networks import count_parameters, decoder_layers
from riemvae_core.models.noise import NOISES, with_noise
from riemvae_core.models.retraining import retrain_decoder
from riemvae_core.models.training import History, evaluate, fit
from riemvae_core.models.vae import VAE, Autoencoder, ModelConfig, centers, make_model, standardize_codes
from riemvae_core.models.vqvae import VQVAE, VQConfig

__all__ = [
    "NOISES",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "Classifier",
    "ClassifierConfig",
    "ConditionalVAE",
    "History",
    "ModelConfig",
    "VQConfig",
    "centers",
    "count_parameters",
    "decoder_layers",
    "evaluate",
    "fit",
    "make_classifier",
    "make_conditional",
    "make_model",
    "read_tensors",
    "retrain_decoder",
    "save_atomically",
    "standardize_codes",
    "with_noise",
    "zoo",
]
