"""Our quantizers beside vector-quantize-pytorch's and pythae's: one batch, the same numbers, the time.

    python benchmarks/quantizers.py

Each line is one call on one batch in single precision. *assign* finds the codes and their vectors, without
gradients; *averages* is a step of training, forward and backward with the commitment loss, and the moving
averages of the codebook; *gradient* is the same with the codebook loss in their place; *fsq* is forward and
backward of finite scalar quantization. All three start from the same codebook and do the same arithmetic
(vector-quantize-pytorch without its rotation trick and its resets, which are on by default). *apart* is the
largest difference of anything that both return: codes that differ (a share), vectors, gradients, and the
codebook afterwards. Ours also counts usage and perplexity and takes the losses point by point, in the time
that is told.
"""

from collections.abc import Callable
from types import SimpleNamespace

import torch
from peers.measured import save, seconds
from pythae.models import VQVAEConfig
from pythae.models.vq_vae.vq_vae_utils import Quantizer, QuantizerEMA
from vector_quantize_pytorch import FSQ, VectorQuantize

from riemvae_core.codes import ema_update, fsq_quantize, quantize, start_state
from riemvae_core.numerics import make_generator

SIZES = {  # images, places, d, K
    "one code an image": (128, (1, 1), 2, 64),
    "a grid of 7 x 7": (128, (7, 7), 64, 512),
    "a grid of 32 x 32": (32, (32, 32), 64, 1024),
}
LEVELS, DECAY = (8, 5, 5, 5), 0.9
Result = dict[str, torch.Tensor]
Call = Callable[[], Result]


def batch(n: int, places: tuple[int, int], d: int, k: int) -> SimpleNamespace:
    """Points, a codebook among them, and the gradient that comes back from a decoder."""
    generator = make_generator(k)
    z = torch.randn(n, *places, d, generator=generator)
    codebook = z.reshape(-1, d)[torch.randperm(n * places[0] * places[1], generator=generator)[:k]]
    back = torch.randn(z.shape, generator=generator) / z.numel()
    return SimpleNamespace(z=z, codebook=codebook + 0.1, back=back, d=d, k=k)


def backward(b: SimpleNamespace, z: torch.Tensor, values: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
    """The gradient at the points of what the decoder says and of a loss."""
    return torch.autograd.grad((b.back * values).sum() + loss, z, retain_graph=True)[0]


def ours(b: SimpleNamespace) -> dict[str, Call]:
    """The four calls by riemvae_core."""

    def assign() -> Result:
        q = quantize(b.z, b.codebook)
        return {"codes": q.codes, "values": q.z_q}

    def averages() -> Result:
        z = b.z.clone().requires_grad_()
        q = quantize(z, b.codebook)
        gradient = backward(b, z, q.z_q, q.commitment.mean() / b.d)
        moved = ema_update(start_state(b.codebook), b.z, q.codes, DECAY)
        return {"codes": q.codes, "values": q.z_q, "gradient": gradient, "codebook": moved.codebook}

    def by_gradient() -> Result:
        z, codebook = b.z.clone().requires_grad_(), b.codebook.clone().requires_grad_()
        q = quantize(z, codebook)
        loss = (q.commitment + q.codebook_loss).mean() / b.d
        moved, gradient = torch.autograd.grad((b.back * q.z_q).sum() + loss, (codebook, z))
        return {"codes": q.codes, "values": q.z_q, "gradient": gradient, "codebook": moved}

    def by_levels() -> Result:
        z = b.z[..., :1].expand(*b.z.shape[:-1], len(LEVELS)).clone().requires_grad_()
        q = fsq_quantize(z, LEVELS)
        gradient = torch.autograd.grad(q.z_q.sum(), z)[0]
        return {"codes": q.codes, "values": q.z_q, "gradient": gradient}

    return {"assign": assign, "averages": averages, "gradient": by_gradient, "fsq": by_levels}


def lucid(b: SimpleNamespace) -> dict[str, Call]:
    """The four calls by vector-quantize-pytorch."""

    def made(learnable: bool) -> VectorQuantize:
        return VectorQuantize(
            dim=b.d, codebook_size=b.k, decay=DECAY, commitment_weight=1.0, threshold_ema_dead_code=0,
            rotation_trick=False, learnable_codebook=learnable, ema_update=not learnable,
        )  # fmt: skip

    learned, averaged = made(True), made(False)
    scalar = FSQ(levels=list(LEVELS))

    def start(vq: VectorQuantize) -> None:
        with torch.no_grad():
            vq.codebook = b.codebook
            vq._codebook.embed_avg.copy_(b.codebook[None])
            vq._codebook.cluster_size.fill_(1.0)

    def flat(z: torch.Tensor) -> torch.Tensor:
        return z.flatten(1, 2)

    def assign() -> Result:
        start(averaged.eval())
        with torch.no_grad():
            values, codes, _ = averaged(flat(b.z))
        return {"codes": codes.reshape(b.z.shape[:-1]), "values": values.reshape(b.z.shape)}

    def averages() -> Result:
        start(averaged.train())
        z = b.z.clone().requires_grad_()
        values, codes, loss = averaged(flat(z))
        gradient = backward(b, z, values.reshape(z.shape), loss)
        return {
            "codes": codes.reshape(z.shape[:-1]), "values": values.reshape(z.shape), "gradient": gradient,
            "codebook": averaged.codebook.clone(),
        }  # fmt: skip

    def by_gradient() -> Result:
        start(learned.train())
        z = b.z.clone().requires_grad_()
        values, codes, loss = learned(flat(z))
        codebook = learned._codebook.embed
        moved, gradient = torch.autograd.grad((b.back * values.reshape(z.shape)).sum() + loss, (codebook, z))
        return {
            "codes": codes.reshape(z.shape[:-1]), "values": values.reshape(z.shape), "gradient": gradient,
            "codebook": moved[0],
        }  # fmt: skip

    def by_levels() -> Result:
        z = b.z[..., :1].expand(*b.z.shape[:-1], len(LEVELS)).clone().requires_grad_()
        values, codes = scalar(flat(z))
        gradient = torch.autograd.grad(values.sum(), z)[0]
        shape = z.shape
        return {"codes": codes.reshape(shape[:-1]), "values": values.reshape(shape), "gradient": gradient}

    return {"assign": assign, "averages": averages, "gradient": by_gradient, "fsq": by_levels}


def pythae(b: SimpleNamespace) -> dict[str, Call]:
    """The three calls that pythae knows; it finds codes in no other way than in training."""
    config = VQVAEConfig(
        input_dim=(1, 28, 28), latent_dim=b.d, num_embeddings=b.k, commitment_loss_factor=1.0,
        quantization_loss_factor=1.0, decay=DECAY,
    )  # fmt: skip
    config.embedding_dim = b.d
    learned, averaged = Quantizer(config), QuantizerEMA(config)

    def start() -> None:
        with torch.no_grad():
            learned.embeddings.weight.copy_(b.codebook)
            averaged.embeddings.copy_(b.codebook)
            averaged.ema_embed.copy_(b.codebook)
            averaged.cluster_size = torch.ones(b.k)

    def returned(out: object) -> Result:
        values = out.quantized_vector.permute(0, 2, 3, 1)
        return {"codes": out.quantized_indices[:, 0], "values": values}

    def assign() -> Result:
        start()
        with torch.no_grad():
            return returned(averaged.eval()(b.z))

    def averages() -> Result:
        start()
        z = b.z.clone().requires_grad_()
        out = averaged.train()(z)
        result = returned(out)
        gradient = backward(b, z, result["values"], out.loss)
        return result | {"gradient": gradient, "codebook": averaged.embeddings.clone()}

    def by_gradient() -> Result:
        start()
        z = b.z.clone().requires_grad_()
        out = learned(z)
        result = returned(out)
        total = (b.back * result["values"]).sum() + out.loss
        moved, gradient = torch.autograd.grad(total, (learned.embeddings.weight, z))
        return result | {"gradient": gradient, "codebook": moved}

    return {"assign": assign, "averages": averages, "gradient": by_gradient}


def apart(mine: Result, theirs: Result) -> float:
    """The largest difference of what both return, relative to its size; for codes the share that differs."""
    gaps = [(mine["codes"] != theirs["codes"]).float().mean().item()]
    for name in theirs.keys() & mine.keys() - {"codes"}:
        gaps.append(((mine[name] - theirs[name]).abs().max() / mine[name].abs().max()).item())
    return max(gaps)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'batch':<20}{'call':<10}{'peer':<26}{'ours ms':>9}{'theirs ms':>10}{'ratio':>7}{'apart':>9}")
    rows = []
    for name, (n, places, d, k) in SIZES.items():
        b = batch(n, places, d, k)
        mine = ours(b)
        for peer, calls in (("vector-quantize-pytorch", lucid(b)), ("pythae", pythae(b))):
            for what, call in calls.items():
                gap, fast, slow = apart(mine[what](), call()), seconds(mine[what]), seconds(call)
                rows.append({
                    "batch": name, "points": n * places[0] * places[1], "d": d, "codes": k, "call": what,
                    "peer": peer, "ours_seconds": fast, "peer_seconds": slow, "ratio": slow / fast,
                    "apart": gap,
                })  # fmt: skip
                print(
                    f"{name:<20}{what:<10}{peer:<26}{1e3 * fast:>9.2f}{1e3 * slow:>10.2f}{slow / fast:>7.1f}"
                    f"{gap:>9.0e}",
                    flush=True,
                )
    save("quantizers", "calls", rows)


if __name__ == "__main__":
    main()
