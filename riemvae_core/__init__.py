"""The geometry of variational autoencoders: the tested core of the book *Balls, Codes and Geodesics*."""

from importlib import import_module
from types import ModuleType

from riemvae_core.balls.contract import (
    axis_terms,
    errors_off_center,
    optimal_log_var,
    pathwise_gradient,
    score_gradient,
)
from riemvae_core.balls.gaussians import (
    bhattacharyya,
    entropy,
    kl_barrier,
    kl_pull,
    kl_to_standard_normal,
    log_prob,
    log_prob_mixture,
    log_volume,
    reparameterize,
    responsibilities,
)
from riemvae_core.codes.codebooks import (
    CodebookState,
    KMeans,
    dead_codes,
    ema_update,
    kmeans_codebook,
    kmeans_step,
    reset_dead_codes,
    start_state,
)
from riemvae_core.codes.fsq import fsq_codes, fsq_quantize, fsq_vectors
from riemvae_core.codes.prior import (
    CodePrior,
    CodePriorConfig,
    HistogramPrior,
    codes_as_images,
    histogram_prior,
    make_code_prior,
)
from riemvae_core.codes.quantizer import (
    Quantized,
    count_codes,
    nearest_code,
    perplexity,
    quantize,
    straight_through,
)
from riemvae_core.data.sets import class_names, data_names, first_of_each_class, load_images
from riemvae_core.evaluation import (
    Classifier,
    DensityCoverage,
    HealthReport,
    NLLBound,
    PrecisionRecall,
    SamplerDistance,
    density_coverage,
    frechet_distance,
    latent_health,
    nll_bound,
    novelty,
    precision_recall,
    sampler_distance,
)
from riemvae_core.laws.baselines import (
    sample_aggregate_posterior,
    sample_gaussian,
    sample_mixture,
    sample_prior,
    sample_two_stage,
)
from riemvae_core.laws.released import ReleasedDraws, ReleasedRules, released_log_density, sample_as_released
from riemvae_core.laws.riemannian_gaussian import sample_riemannian_gaussian
from riemvae_core.laws.samplers import UniformDraws
from riemvae_core.laws.uniform import SamplingWarning, sample_uniform
from riemvae_core.metrics.posterior import PosteriorMetric, PullbackMetric
from riemvae_core.models.networks import count_parameters
from riemvae_core.models.noise import NOISES, with_noise
from riemvae_core.models.training import History, evaluate, fit, retrain_decoder
from riemvae_core.models.vae import (
    VAE,
    VQVAE,
    Autoencoder,
    Balls,
    ModelConfig,
    VQConfig,
    centers,
    make_model,
    standardize_codes,
)
from riemvae_core.numerics import (
    Interval,
    confidence_interval,
    default_device,
    make_generator,
    standard_normal,
)
from riemvae_core.paths.decoded import decoded_steps, shortest_decoded
from riemvae_core.paths.geodesics import (
    Geodesic,
    curve_energy,
    curve_length,
    exponential_map,
    geodesic,
    low_cost_path,
)
from riemvae_core.space.latent import LatentSpace, latent_space

__version__ = "0.1.0"

_MODULES = {
    "exercises": "figures.exercises",
    "plotting": "figures.plotting",
    "widgets": "figures.widgets",
    "zoo": "models.zoo",
}

__all__ = [
    "NOISES",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "Balls",
    "Classifier",
    "CodePrior",
    "CodePriorConfig",
    "CodebookState",
    "DensityCoverage",
    "Geodesic",
    "HealthReport",
    "HistogramPrior",
    "History",
    "Interval",
    "KMeans",
    "LatentSpace",
    "ModelConfig",
    "NLLBound",
    "PosteriorMetric",
    "PrecisionRecall",
    "PullbackMetric",
    "Quantized",
    "ReleasedDraws",
    "ReleasedRules",
    "SamplerDistance",
    "SamplingWarning",
    "UniformDraws",
    "VQConfig",
    "axis_terms",
    "bhattacharyya",
    "centers",
    "class_names",
    "codes_as_images",
    "confidence_interval",
    "count_codes",
    "count_parameters",
    "curve_energy",
    "curve_length",
    "data_names",
    "dead_codes",
    "decoded_steps",
    "default_device",
    "density_coverage",
    "ema_update",
    "entropy",
    "errors_off_center",
    "evaluate",
    "exponential_map",
    "first_of_each_class",
    "fit",
    "frechet_distance",
    "fsq_codes",
    "fsq_quantize",
    "fsq_vectors",
    "geodesic",
    "histogram_prior",
    "kl_barrier",
    "kl_pull",
    "kl_to_standard_normal",
    "kmeans_codebook",
    "kmeans_step",
    "latent_health",
    "latent_space",
    "load_images",
    "log_prob",
    "log_prob_mixture",
    "log_volume",
    "low_cost_path",
    "make_code_prior",
    "make_generator",
    "make_model",
    "nearest_code",
    "nll_bound",
    "novelty",
    "optimal_log_var",
    "pathwise_gradient",
    "perplexity",
    "precision_recall",
    "quantize",
    "released_log_density",
    "reparameterize",
    "reset_dead_codes",
    "responsibilities",
    "retrain_decoder",
    "sample_aggregate_posterior",
    "sample_as_released",
    "sample_gaussian",
    "sample_mixture",
    "sample_prior",
    "sample_riemannian_gaussian",
    "sample_two_stage",
    "sample_uniform",
    "sampler_distance",
    "score_gradient",
    "shortest_decoded",
    "standard_normal",
    "standardize_codes",
    "start_state",
    "straight_through",
    "with_noise",
]


def __getattr__(name: str) -> ModuleType:
    """The modules that chapters use by name; those that draw are loaded when they are asked for."""
    if name in _MODULES:
        return import_module(f"riemvae_core.{_MODULES[name]}")
    raise AttributeError(f"module 'riemvae_core' has no attribute {name!r}")
