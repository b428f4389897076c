r"""Our samplers beside the published one, and what they cost: one run, a table a part, one JSON.

    python benchmarks/samplers.py [published right scale centroids bound many] [--clone DIR] [--before DIR]

``published``: a move of 500 chains, ten hmc.leapfrog steps, at the published setting (100 medoids, d = 16).
Theirs is ``peers/published.py``, or the code in DIR, a clone of the authors' repository; ours has the same
rules (``sample_as_released``), so that both do the same arithmetic.
``right``: 500 draws whose law is the uniform one. The published law is another, so for this its rules are
mended, and such chains are run, fast, by our code until they pass our own test of convergence: split r-hat
at most 1.05 and 500 effective draws in every coordinate and in the log volume. Its seconds are that number
of moves times the seconds that the published code takes for one. Chains that don't get there give a bound,
and the moves after which the effective draws alone suffice are reported beside it.
``scale``: value and gradient of the metric at 2,048 points and 500 draws of ``sample_uniform``, each size in
a process of its own. Memory is the process's largest resident set (ru_maxrss) less what it was after the
imports. The share of the machine's peak counts the products' operations only, 12 d a point and ball,
against a product of two 2048 x 2048 matrices in the same process.
``centroids``: the sizes at which all balls are too many to sample from, with some of them as centroids.
``bound``: where the kernel's time goes at 60,000 balls.
``many``: 500 draws from many balls, beside an earlier state of this repository (a checkout in DIR), each in
a process of its own, on the GPU if there is one: codes, codes with one far row for whose sake all is done in
float64, and the encodings of the 12,000 bundled images.

Data: ten classes of codes, made from a seed, with radii near 0.29; moments E mu^2 + E sigma^2 near 1.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from peers import published
from peers.measured import clock, exponent, machine, megabytes, product_peak, save, seconds

import riemvae_core as rc
from riemvae_core import zoo
from riemvae_core.laws import R_HAT_LIMIT, effective_sample_size, hmc, split_r_hat

CHAINS, DRAWS, POINTS, EVERY = 500, 500, 2048, 5
LOOKS = tuple(round(20 * 1.25**k) * EVERY for k in range(21))  # moves after which convergence is tested
SIZES = ((100, 16), (1000, 16), (10_000, 16), (60_000, 16), *((10_000, d) for d in (2, 4, 8, 32, 64)))


def codes(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """mu and log_var of n balls about ten class means."""
    g = rc.make_generator(1000 * d + 1)
    mean = 0.7 * torch.randn(10, d, generator=g)
    mu = mean[torch.randint(10, (n,), generator=g)] + 0.63 * torch.randn(n, d, generator=g)
    return mu, -2.5 + 0.3 * torch.randn(n, d, generator=g)


def clone(folder: Path) -> ModuleType:
    """The authors' own sampling.py."""
    spec = importlib.util.spec_from_file_location("clone", folder / "sampling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chosen(moved: torch.Tensor, new: hmc.State, old: hmc.State) -> hmc.State:
    """The new state where a chain has moved, the old one elsewhere."""
    return hmc.State(
        torch.where(moved[:, None], new.z, old.z),
        torch.where(moved, new.log_density, old.log_density),
        torch.where(moved[:, None], new.gradient, old.gradient),
    )


def published_move(theirs: ModuleType, metric: rc.PosteriorMetric, mu: torch.Tensor, moves: int = 2) -> float:
    """Seconds for one move of the published sampler."""
    model = SimpleNamespace(latent_dim=mu.shape[1])
    theirs.build_metrics(model, metric.mu, metric.log_var, None, T=metric.rho, lbd=metric.lam)
    return seconds(lambda: theirs.hmc_sampling(model, mu, CHAINS, moves, 10, 0.01), 3) / moves


def step_for_step(theirs: ModuleType) -> dict[str, object]:
    mu, log_var = codes(10_000, 16)
    metric = rc.PosteriorMetric.fit(mu, log_var, 100, generator=rc.make_generator(0), rho="paper", lam=0.01)
    slow = published_move(theirs, metric, mu)
    fast = seconds(lambda: rc.sample_as_released(metric, mu, CHAINS, rc.make_generator(0), steps=10)) / 10
    print(
        f"a move: published ({theirs.__name__}) {slow:.3g} s, ours {fast:.3g} s, "
        f"{slow / fast:.0f} times as fast"
    )
    return {"code": theirs.__name__, "published_seconds": slow, "our_seconds": fast, "ratio": slow / fast}


def moves_until_right(metric: rc.PosteriorMetric, mu: torch.Tensor) -> dict[str, object]:
    """Run the published chains with every rule mended, and test the second half of what they have done."""
    g, enough = rc.make_generator(1), None
    target = metric.log_volume_and_grad
    state, kept = hmc.evaluate_target(target, mu[torch.randint(len(mu), (CHAINS,), generator=g)]), []
    for move in range(1, LOOKS[-1] + 1):
        momentum = torch.randn(state.z.shape, generator=g)
        new, end = hmc.leapfrog(target, state, momentum, 0.01, 10)
        gain = new.log_density - state.log_density + 0.5 * (momentum.square() - end.square()).sum(1)
        state = chosen(torch.rand(CHAINS, generator=g).log() < gain, new, state)
        if move % EVERY == 0:
            kept.append(torch.cat([state.z, state.log_density[:, None]], 1))
        if move in LOOKS:
            late = torch.stack(kept[len(kept) // 2 :], 1)
            r_hat, ess = split_r_hat(late).max().item(), effective_sample_size(late).min().item()
            if enough is None and ess >= DRAWS:
                enough = move
            if enough and r_hat <= R_HAT_LIMIT:
                break
    reached = enough is not None and r_hat <= R_HAT_LIMIT
    return {"moves": move, "reached": reached, "r_hat": r_hat, "ess": ess, "moves_to_ess_alone": enough}


def draws_that_are_right(theirs: ModuleType) -> dict[str, object]:
    mu, log_var = codes(10_000, 16)
    metric = rc.PosteriorMetric.fit(mu, log_var, 100, generator=rc.make_generator(0))
    ours = rc.sample_uniform(metric, DRAWS, rc.make_generator(2))
    fast = seconds(lambda: rc.sample_uniform(metric, DRAWS, rc.make_generator(2)), 3)
    chains = moves_until_right(metric, mu)
    move = published_move(theirs, metric, mu)
    slow, least = move * chains["moves"], move * (chains["moves_to_ess_alone"] or chains["moves"])
    print(
        f"{DRAWS} draws: published, mended, {'' if chains['reached'] else 'more than '}{slow:.3g} s "
        f"({chains['moves']} moves, r-hat {chains['r_hat']:.3f}, ess {chains['ess']:.0f}), {least:.3g} s for "
        f"the ess alone; ours {fast:.3g} s ({ours.method}, converged {ours.converged}, ess {ours.ess:.0f}): "
        f"{slow / fast:.0f} times as fast, {least / fast:.0f} by the ess alone"
    )
    return {
        "code": theirs.__name__, **chains, "published_seconds": slow, "published_seconds_to_ess_alone": least,
        "our_seconds": fast, "our_method": ours.method, "our_ess": ours.ess, "our_converged": ours.converged,
        "ratio": slow / fast, "ratio_to_ess_alone": least / fast,
    }  # fmt: skip


def one_size(n: int, d: int, imported: float) -> dict[str, object]:
    """The row of one size; memory is read before the peak is measured, whose matrices count for nothing."""
    mu, log_var = codes(n, d)
    began = clock()
    metric = rc.PosteriorMetric.fit(mu, log_var)
    draws = rc.sample_uniform(metric, DRAWS, rc.make_generator(0))
    sampling, held = clock() - began, megabytes()
    z = draws.z[torch.arange(POINTS) % DRAWS]
    kernel = seconds(lambda: metric.log_volume_and_grad(z), 3 if n * d > 5e5 else 10)
    return {
        "n": n, "d": d, "kernel_seconds": kernel,
        "share_of_peak": 12 * d * n * POINTS / kernel / product_peak(),
        "sampling_seconds": sampling, "method": draws.method, "converged": draws.converged, "ess": draws.ess,
        "draws_a_second": draws.ess / sampling, "imported_megabytes": imported,
        "peak_megabytes": held, "megabytes": held - imported,
    }  # fmt: skip


def scale() -> dict[str, object]:
    rows = []
    print(f"{'N':>6}{'d':>4}{'kernel s':>10}{'of peak':>9}{'500 draws s':>13}{'method':>12}", end="")
    print(f"{'ok':>4}{'ess/s':>9}{'MB':>7}{'(+ import)':>11}")
    for n, d in SIZES:
        done = subprocess.run(
            [sys.executable, __file__, "--size", str(n), str(d)], check=True, capture_output=True, text=True
        )
        r = json.loads(done.stdout.splitlines()[-1])
        rows.append(r)
        print(f"{n:>6}{d:>4}{r['kernel_seconds']:>10.4f}{r['share_of_peak']:>9.0%}", end="")
        print(
            f"{r['sampling_seconds']:>13.2f}{r['method']:>12}{'yes' if r['converged'] else 'no':>4}", end=""
        )
        print(
            f"{r['draws_a_second']:>9.1f}{r['megabytes']:>7.0f}{r['imported_megabytes']:>11.0f}", flush=True
        )
    by_n = [r for r in rows if r["d"] == 16 and r["n"] >= 1000]
    by_d = [r for r in rows if r["n"] == 10_000 and r["d"] >= 8]
    in_n = exponent([r["n"] for r in by_n], [r["kernel_seconds"] for r in by_n])
    in_d = exponent([r["d"] for r in by_d], [r["kernel_seconds"] for r in by_d])
    print(f"kernel's cost grows as N^{in_n:.2f} (N from 1,000 on) and as d^{in_d:.2f} (d from 8 on)")
    return {"rows": rows, "exponent_n": in_n, "exponent_d": in_d}


def centroids() -> list[dict[str, object]]:
    rows = []
    for d in (32, 64):
        mu, log_var = codes(10_000, d)
        for k in (1000, 100):
            began = clock()
            metric = rc.PosteriorMetric.fit(mu, log_var, k, generator=rc.make_generator(0))
            draws = rc.sample_uniform(metric, DRAWS, rc.make_generator(0))
            row = {
                "n": len(mu), "d": d, "centroids": k, "sampling_seconds": clock() - began,
                "method": draws.method, "converged": draws.converged, "ess": draws.ess, "r_hat": draws.r_hat,
            }  # fmt: skip
            rows.append(row)
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return rows


def now(device: torch.device) -> float:
    """Seconds: those of the processor, or on a GPU those of the wall once its work is done."""
    if device.type != "cuda":
        return clock()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def many_balls(kind: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    if kind == "images":
        space = rc.latent_space(zoo.load("fashion-vae-16d"), rc.load_images("fashion").images)
        return space.mu, space.log_var
    mu, log_var = codes(n, 16)
    if kind == "one far row":
        mu[7] *= 100.0
    return mu, log_var


def many_row(kind: str, n: int) -> dict[str, object]:
    device = rc.default_device()
    mu, log_var = (t.to(device) for t in many_balls(kind, n))
    metric = rc.PosteriorMetric.fit(mu, log_var)
    metric.log_volume(mu[:POINTS])  # a GPU's first kernels take their time
    began = now(device)
    draws = rc.sample_uniform(metric, DRAWS, rc.make_generator(2))
    spent = now(device) - began
    return {
        "kind": kind, "n": n, "device": device.type, "seconds": spent, "method": draws.method,
        "converged": draws.converged, "ess": draws.ess, "draws_a_second": draws.ess / spent,
        "log_volume": draws.log_volume, "log_volume_error": draws.log_volume_error,
    }  # fmt: skip


def many(before: Path | None) -> list[dict[str, object]]:
    rows = []
    for kind, n in (("codes", 10_000), ("one far row", 10_000), ("images", 12_000), ("codes", 60_000)):
        sides = {"now": Path(__file__).parents[1]} | ({"before": before} if before else {})
        row = {}
        for side, folder in sides.items():
            done = subprocess.run(
                [sys.executable, __file__, "--many", kind, str(n)],
                check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(folder)},
            )  # fmt: skip
            row[side] = r = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{kind:>12}{n:>7} {side:>7}{r['seconds']:>9.2f} s{r['draws_a_second']:>9.1f} draws a second",
                end="",
            )
            print(
                f"  {r['method']}, log volume {r['log_volume']:.3f} +- {r['log_volume_error']:.3f}",
                flush=True,
            )
        if before:
            row["ratio"] = row["now"]["draws_a_second"] / row["before"]["draws_a_second"]
            print(f"{'':>19} {row['ratio']:.1f} times as many")
        rows.append(row)
    return rows


def bound() -> dict[str, float]:
    mu, log_var = codes(60_000, 16)
    metric, z = rc.PosteriorMetric.fit(mu, log_var), mu[:POINTS]
    metric.log_volume_and_grad(z)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        metric.log_volume_and_grad(z)
    spent = {e.key.removeprefix("aten::"): e.self_cpu_time_total for e in profiler.key_averages()}
    total = sum(spent.values())
    shares = {k: v / total for k, v in sorted(spent.items(), key=lambda kv: -kv[1]) if v > 0.01 * total}
    for name, share in shares.items():
        print(f"{name:<16}{share:>6.0%}")
    return shares


def main() -> None:
    imported = megabytes()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="published, right, scale, centroids, bound or many; all"
    )
    parser.add_argument("--clone", type=Path, help="a clone of the authors' repository, to run their code")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier state, for many")
    parser.add_argument("--many", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.size:
        print(json.dumps(one_size(*asked.size, imported)))
        return
    if asked.many:
        print(json.dumps(many_row(asked.many[0], int(asked.many[1]))))
        return
    theirs = clone(asked.clone) if asked.clone else published
    parts = {
        "published": lambda: step_for_step(theirs), "right": lambda: draws_that_are_right(theirs),
        "scale": scale, "centroids": centroids, "bound": bound, "many": lambda: many(asked.before),
    }  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    for part in asked.parts or parts:
        save("samplers", part, parts[part]())


if __name__ == "__main__":
    main()
