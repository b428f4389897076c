"""What every benchmark shares: a clock, the machine's own peak, and results that are merged part by part."""

import json
import math
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from riemvae_core.data import ASSETS

HERE = Path(__file__).resolve().parents[2]
if not ASSETS.resolve().is_relative_to(HERE):  # results are kept beside the code that they are of
    raise SystemExit(f"riemvae_core must come from this checkout, got {ASSETS.parent}: set PYTHONPATH={HERE}")


def clock() -> float:
    """Seconds. With one thread the processor's own, which other work on the machine hardly moves."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def seconds(call: Callable[[], object], repeat: int = 5) -> float:
    """The shortest of ``repeat`` calls, after one to warm up."""
    call()
    times = []
    for _ in range(repeat):
        began = clock()
        call()
        times.append(clock() - began)
    return min(times)


def product_peak(dtype: torch.dtype = torch.float32, n: int = 2048) -> float:
    """Floating point operations a second of this process's best product of two square matrices."""
    a, b, out = (torch.ones(n, n, dtype=dtype) for _ in range(3))
    return 2 * n**3 / seconds(lambda: torch.mm(a, b, out=out))


def megabytes() -> float:
    """The most memory that this process has ever held, in units of a million bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of log y against log x by least squares: 1 where y is linear in x."""
    return statistics.linear_regression([math.log(v) for v in x], [math.log(v) for v in y]).slope


def machine() -> dict[str, object]:
    """What the numbers were taken on: cores, threads, torch, and how many other jobs were waiting."""
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "clock": "processor" if torch.get_num_threads() == 1 else "wall",
        "load": round(os.getloadavg()[0], 1),
    }


def save(name: str, part: str, result: object) -> None:
    """Put one part of a benchmark's results, and the machine, into ``assets/benchmarks`` of the core."""
    target = ASSETS / "benchmarks" / f"{name}.json"
    whole = json.loads(target.read_text()) if target.is_file() else {}
    whole[part] = {"machine": machine(), "result": result}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(whole, indent=1) + "\n")
