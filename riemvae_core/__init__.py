"""The geometry of variational autoencoders: the tested core of the book *Balls, Codes and Geodesics*."""

from riemvae_core.baselines import (
    sample_aggregate_posterior,
    sample_gaussian,
    sample_mixture,
    sample_prior,
    sample_two_stage,
)
from riemvae_core.contract import (
    NOISES,
    axis_terms,
    errors_off_center,
    optimal_log_var,
    pathwise_gradient,
    score_gradient,
    with_noise,
)
from riemvae_core.data import class_names, data_names, first_of_each_class, load_images
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
from riemvae_core.gaussians import (
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
from riemvae_core.geodesics import (
    Geodesic,
    curve_energy,
    curve_length,
    exponential_map,
    geodesic,
    low_cost_path,
)
from riemvae_core.latent_space import LatentSpace, latent_space
from riemvae_core.metric import PosteriorMetric, PullbackMetric
from riemvae_core.models import VAE, Autoencoder, Balls, ModelConfig, centers, make_model, standardize_codes
from riemvae_core.networks import count_parameters
from riemvae_core.numerics import (
    Interval,
    confidence_interval,
    default_device,
    make_generator,
    standard_normal,
)
from riemvae_core.released import ReleasedDraws, ReleasedRules, released_log_density, sample_as_released
from riemvae_core.riemannian_gaussian import sample_riemannian_gaussian
from riemvae_core.samplers import UniformDraws
from riemvae_core.sampling import SamplingWarning, sample_uniform
from riemvae_core.training import History, evaluate, fit, retrain_decoder

__version__ = "0.1.0"

__all__ = [
    "NOISES",
    "VAE",
    "Autoencoder",
    "Balls",
    "Classifier",
    "DensityCoverage",
    "Geodesic",
    "HealthReport",
    "History",
    "Interval",
    "LatentSpace",
    "ModelConfig",
    "NLLBound",
    "PosteriorMetric",
    "PrecisionRecall",
    "PullbackMetric",
    "ReleasedDraws",
    "ReleasedRules",
    "SamplerDistance",
    "SamplingWarning",
    "UniformDraws",
    "axis_terms",
    "bhattacharyya",
    "centers",
    "class_names",
    "confidence_interval",
    "count_parameters",
    "curve_energy",
    "curve_length",
    "data_names",
    "default_device",
    "density_coverage",
    "entropy",
    "errors_off_center",
    "evaluate",
    "exponential_map",
    "first_of_each_class",
    "fit",
    "frechet_distance",
    "geodesic",
    "kl_barrier",
    "kl_pull",
    "kl_to_standard_normal",
    "latent_health",
    "latent_space",
    "load_images",
    "log_prob",
    "log_prob_mixture",
    "log_volume",
    "low_cost_path",
    "make_generator",
    "make_model",
    "nll_bound",
    "novelty",
    "optimal_log_var",
    "pathwise_gradient",
    "precision_recall",
    "released_log_density",
    "reparameterize",
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
    "standard_normal",
    "standardize_codes",
    "with_noise",
]
