r"""How long ten thousand new images take, law by law: fitting once, drawing codes, decoding them.

    PYTHONPATH=.:benchmarks/studies python benchmarks/generation.py [--images 1000] [--draws 10000]

The laws are the study's (``verdict/laws.py``), their codes those of a shipped VAE of 16 axes at price 0.01;
a fifth of the images is held out and chooses widths, as in the study. ``fit`` is what the first ten draws
take beyond ten later ones: choosing widths, training, making a metric. ``draw`` is for all codes, ``decode``
for all images, the same for every law. Chains start anew for each draw, so theirs is all ``draw``. Seconds of
one run on one machine: the ratios to ``decode`` travel, the seconds don't.
"""

import argparse
import tomllib

import torch
from peers.measured import clock, save
from verdict.grid import ALL
from verdict.laws import LAWS, Codes

import riemvae_core as rc
from riemvae_core import zoo
from riemvae_core.data import ASSETS

GRID = ASSETS.parents[1] / "benchmarks" / "studies" / "verdict" / "study.toml"


def codes_of(model: rc.VAE, images: int) -> Codes:
    """Balls of some bundled training images, a fifth of them held out."""
    x = rc.load_images("fashion").images[: images or None]
    with torch.no_grad():
        mu, log_var = (torch.cat(t) for t in zip(*map(model.encode, x.split(1000)), strict=True))
    n = len(mu) // 5
    return Codes(mu[n:], log_var[n:], (mu[:n], log_var[:n]), (mu[:n], log_var[:n]), None)


def timed(call) -> float:
    """Seconds of one call."""
    began = clock()
    call()
    return clock() - began


def main() -> None:
    """Time every law of the study's main table and keep the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help=f"how many are encoded ({ALL}: all)")
    parser.add_argument("--draws", type=int, default=10_000)
    chosen = parser.parse_args()
    model = zoo.load(zoo.conv_name(0.01))
    codes, few = codes_of(model, chosen.images), 10
    z = rc.sample_prior(codes.mu, chosen.draws, rc.make_generator(0))
    with torch.no_grad():
        model.decode(z[:500])
        decode = timed(lambda: [model.decode(part) for part in z.split(500)])
    rows = []
    names = tomllib.loads(GRID.read_text(encoding="utf8"))["defaults"]["law"]
    for name in (name for name in names if name != "held-out reconstructions"):
        first, again = (timed(lambda law=name: LAWS[law](codes, few, rc.make_generator(0))) for _ in "12")
        draw = timed(lambda law=name: LAWS[law](codes, chosen.draws, rc.make_generator(1)))
        rows.append({"law": name, "fit": max(0.0, first - again), "draw": draw})
        print(f"{name:24} fit {rows[-1]['fit']:8.3f}   draw {draw:8.3f}   decode {decode:.3f}", flush=True)
    result = {"images": chosen.images, "draws": chosen.draws, "decode": decode, "rows": rows}
    save("generation", str(chosen.images or "all"), result)


if __name__ == "__main__":
    main()
