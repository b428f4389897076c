"""About 6,000 drawn cases a run: whatever comes through a door, the answer is right or an error names why."""

import math

import torch
from fuzzed import NUMBERS, answer, fuzz, is_bad, numbers, one_ill, source

import riemvae_core as rc
from riemvae_core import codes, models, neighbors, scores
from riemvae_core.models import checks


def sets(rng, *names):
    f = rng.choice((1, 2, 5, 30))
    dtype = rng.choice((torch.float32, torch.float32, torch.float64, torch.float16))
    return {name: numbers(rng, rng.randrange(7, 12), f, dtype=dtype) for name in names}


SCORES = {
    scores.frechet_distance: ("one", "other"),
    scores.precision_recall: ("real", "fake", "k"),
    scores.density_coverage: ("real", "fake", "k"),
    scores.sampler_distance: ("fake", "heldout_reconstructions", "k"),
    scores.novelty: ("fake", "train_reconstructions", "heldout_reconstructions"),
}


@fuzz(1200)
def test_a_score_is_a_number_or_says_whose_rows_are_wrong(seed):
    rng = source(seed)
    score = rng.choice(list(SCORES))
    arguments = sets(rng, *(name for name in SCORES[score] if name != "k"))
    if "k" in SCORES[score]:
        arguments["k"] = rng.randrange(1, 6)
    arguments = one_ill(rng, arguments)
    found = answer(score, arguments)
    assert found is None or not any(map(is_bad, arguments.values()))
    for value in () if found is None else (found if isinstance(found, tuple) else (found,)):
        assert math.isfinite(value)
        assert value >= 0


@fuzz(600)
def test_neighbors_are_those_by_differences_or_an_error_says_why_not(seed):
    rng = source(seed)
    arguments = one_ill(rng, sets(rng, "points", "others") | {"k": rng.randrange(1, 6)})
    found = answer(neighbors.nearest, arguments)
    if found is not None:
        points, others = arguments["points"].double(), arguments["others"].double()
        expected = (points[:, None] - others).norm(dim=2).sort(dim=1).values[:, : arguments["k"]]
        scale = 1e-20 * others.abs().max().item() + 1e-38
        torch.testing.assert_close(found.distances.double(), expected, rtol=2e-3, atol=scale)


BALLS = {
    rc.reparameterize: ("mu", "log_var", "eps"),
    rc.kl_pull: ("mu",),
    rc.kl_barrier: ("log_var",),
    rc.kl_to_standard_normal: ("mu", "log_var"),
    rc.log_prob: ("z", "mu", "log_var"),
    rc.entropy: ("log_var",),
    rc.log_volume: ("log_var",),
    rc.bhattacharyya: ("mu_a", "log_var_a", "mu_b", "log_var_b"),
    rc.log_prob_mixture: ("z", "mu", "log_var"),
    rc.responsibilities: ("z", "mu", "log_var"),
    rc.optimal_log_var: ("speed", "beta"),
}


@fuzz(1200)
def test_a_bad_ball_spoils_its_own_value_alone_or_is_refused(seed):
    rng = source(seed)
    formula = rng.choice(list(BALLS))
    n, d = rng.randrange(1, 5), rng.randrange(1, 5)
    arguments = {name: numbers(rng, n, d) for name in BALLS[formula] if name != "beta"}
    if "beta" in BALLS[formula]:
        arguments["speed"] = arguments["speed"].abs()
        arguments["beta"] = rng.uniform(0.1, 3.0)
    clean, arguments = arguments, one_ill(rng, arguments)
    found = answer(formula, arguments)
    if formula in (rc.log_prob_mixture, rc.responsibilities):
        assert found is None or not is_bad(arguments["mu"]) or is_bad(arguments["log_var"])
    same_shapes = all(
        isinstance(new, float) or (torch.is_tensor(new) and new.shape == clean[name].shape)
        for name, new in arguments.items()
    )
    if found is not None and same_shapes and n > 1:
        expected = formula(**clean)
        untouched = torch.ones(n, dtype=torch.bool)
        for name, new in arguments.items():
            if torch.is_tensor(new):
                untouched &= (new == clean[name]).all(1)
            elif new != clean[name]:
                untouched[:] = False
        if formula not in (rc.log_prob_mixture, rc.responsibilities):
            torch.testing.assert_close(found[untouched], expected[untouched].to(found), rtol=1e-2, atol=1e-2)


def code_arguments(rng):
    """A door of the codes and what it takes."""
    k, d, n = rng.randrange(1, 5), rng.randrange(1, 4), rng.randrange(1, 9)
    z, codebook = numbers(rng, n, d), numbers(rng, k, d)
    which, counts = torch.randint(k, (n,)), torch.rand(k)
    doors = {
        "nearest_code": {"z": z, "codebook": codebook},
        "quantize": {"z": z, "codebook": codebook},
        "kmeans_step": {"z": z, "codebook": codebook},
        "kmeans_codebook": {"z": z, "k": min(k, n), "max_steps": 5},
        "start_state": {"codebook": codebook},
        "ema": {"z": z, "codes": which, "counts": counts, "codebook": codebook, "decay": 0.9},
        "reset": {"z": z, "noise": torch.rand(n), "counts": counts, "codebook": codebook, "threshold": 0.5},
        "dead_codes": {"counts": counts, "threshold": 0.5},
        "count_codes": {"codes": which, "k": k},
        "perplexity": {"counts": counts + 0.1},
        "histogram": {"codes": which, "k": k, "smoothing": 0.5},
        "fsq_quantize": {"z": z, "levels": [3] * d},
        "fsq_codes": {"z_q": z.round().clamp(-1, 1), "levels": [3] * d},
        "fsq_vectors": {"codes": which, "levels": [5] * d},
        "codes_as_images": {"codes": which},
    }
    return rng.choice(list(doors.items()))


CODES = {
    "ema": lambda z, codes, counts, codebook, decay: rc.ema_update(
        rc.CodebookState(codebook, counts), z, codes, decay
    ),
    "reset": lambda z, noise, counts, codebook, threshold: rc.reset_dead_codes(
        rc.CodebookState(codebook, counts), z, noise, threshold
    ),
    "histogram": lambda codes, k, smoothing: rc.histogram_prior(codes, k, smoothing).sample(3),
    "kmeans_codebook": lambda z, k, max_steps: rc.kmeans_codebook(z, k, rc.make_generator(0), max_steps),
}


@fuzz(1600)
def test_no_code_is_given_to_a_point_that_is_not_one(seed):
    rng = source(seed)
    door, arguments = code_arguments(rng)
    arguments = one_ill(rng, arguments)
    found = answer(CODES.get(door) or getattr(codes, door), arguments)
    assert found is None or not any(map(is_bad, arguments.values()))


CONFIGS = {
    rc.ModelConfig: {
        "image_shape": (1, 4, 4), "latent_dim": 2, "network": "mlp", "width": 4, "decoder_width": 3,
        "depth": 1, "activation": "silu", "likelihood": "gaussian", "linear_output": False, "beta": 1.0,
        "pull": 1.0, "barrier": 1.0, "noise": True,
    },
    rc.VQConfig: {
        "image_shape": (1, 4, 4), "n_codes": 4, "code_dim": 2, "levels": (), "network": "grid", "width": 4,
        "depth": 1, "learning": "ema", "decay": 0.9, "commitment": 0.25, "dead_share": 0.1, "snap": True,
    },
    models.ClassifierConfig: {"image_shape": (1, 4, 4), "width": 2, "n_features": 3, "n_classes": 4},
    rc.CodePriorConfig: {"n_codes": 3, "grid": (2, 2), "width": 4},
}  # fmt: skip
BUILD = {
    rc.ModelConfig: lambda c: rc.make_model("vae", c, 0),
    rc.VQConfig: lambda c: rc.make_model("vq", c, 0),
    models.ClassifierConfig: lambda c: models.make_classifier(c, 0),
    rc.CodePriorConfig: lambda c: rc.make_code_prior(c, 0),
}
SHAPES = (
    (1, 4, 4),
    (1, 5, 4),
    [1, 4, 4],
    (4, 4),
    (1, 4, 4, 4),
    (0, 4, 4),
    (1, 4.0, 4),
    "144",
    None,
    (1, 8, 4),
)


@fuzz(800)
def test_a_config_makes_a_net_that_runs_or_says_which_value_is_wrong(seed):
    rng = source(seed)
    config = rng.choice(list(CONFIGS))
    values = dict(CONFIGS[config])
    name = rng.choice(list(values))
    small = [value for value in NUMBERS if value not in (1e300, 2**70)]
    values[name] = rng.choice(
        SHAPES if name in ("image_shape", "grid") else [*small, "conv", "mlp", "relu", (3, 3)]
    )
    made = answer(lambda **v: BUILD[config](config(**v)), values)
    if made is not None and config is rc.ModelConfig:
        checks.check_trainable(made, None)
        x = torch.rand(2, *made.config.image_shape)
        with torch.no_grad():
            assert math.isfinite(made.losses(x, torch.zeros(2, made.config.latent_dim)).total.sum())
