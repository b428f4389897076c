"""The core's tests as other processors run them: other kernels, other numbers of threads, other rounding.

``python tests/portable.py [setting ...] [-- pytest's arguments]`` prints a line for each setting: what its
process reports, how many tests passed and failed, seconds on the clock and of the processor. A setting that
this processor can't run, or whose bits are those of an earlier one, is told and not run. Logs stand in
``_build/portable``.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "_build" / "portable"
CORE = ["--ignore=tests/book", "-m", "not browser"]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

KERNELS = {
    "own": {},
    "rounding": {"PYTEST_ADDOPTS": "-p rounding"},  # the harshest: tests/rounding.py
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "openblas-prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "openblas-sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "aten-avx512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "mkl-sse42": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "mkl-avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "openblas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "openblas-zen": {"OPENBLAS_CORETYPE": "Zen"},
    "openblas-skylakex": {"OPENBLAS_CORETYPE": "SkylakeX"},
}
SETTINGS = {
    f"{name}-{n}": kernels | dict.fromkeys(THREADS, str(n))
    for name, kernels in KERNELS.items()
    for n in (2, 1)
}

PROBE = """
import json, os, zlib, numpy as np, threadpoolctl, torch
x = np.random.default_rng(0).standard_normal((200, 300))
a = torch.from_numpy(x)
f = a.float()
results = [a @ a.T, f @ f.T, torch.linalg.cholesky(a @ a.T)]  # the matrix library
for v in (a, f):  # torch's own kernels
    results += [v.sum(), v.sum(0), v.exp(), v.tanh(), v.erf(), v.softmax(0), v.logsumexp(1)]
    results.append(torch.randn(1000, dtype=v.dtype, generator=torch.Generator().manual_seed(0)))
arrays = [r.numpy() for r in results] + [x @ x.T]
pools = threadpoolctl.threadpool_info()
print(json.dumps({
    "capability": torch.backends.cpu.get_cpu_capability().lower(),
    "openblas": sorted({p["architecture"] for p in pools if p["internal_api"] == "openblas"}),
    "threads": torch.get_num_threads(),
    "bits": [os.environ.get("PYTEST_ADDOPTS")] + [zlib.crc32(np.ascontiguousarray(v)) for v in arrays],
}))
"""


def environment(setting: dict[str, str]) -> dict[str, str]:
    """This process's environment without its own choice of kernels, with the setting's."""
    chosen = {key for kernels in SETTINGS.values() for key in kernels}
    return {key: value for key, value in os.environ.items() if key not in chosen} | setting


def probe(setting: dict[str, str]) -> dict | None:
    """What a process under the setting reports of itself; None where the setting can't be had."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, env=environment(setting), capture_output=True, text=True)
    if done.returncode != 0:  # an instruction that this processor lacks kills the process
        return None
    report = json.loads(done.stdout)
    asked = setting.get("ATEN_CPU_CAPABILITY", report["capability"])
    return report if asked == report["capability"] else None


def run(name: str, arguments: list[str]) -> tuple[str, bool]:
    """The tests under one setting: what to print, and whether all passed."""
    LOGS.mkdir(parents=True, exist_ok=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with (LOGS / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        code = subprocess.call(command, cwd=ROOT, env=environment(SETTINGS[name]), stdout=log, stderr=log)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = (LOGS / f"{name}.log").read_text().rstrip().rpartition("\n")[2]
    counts = ", ".join(re.findall(r"\d+ (?:passed|failed|error)s?", last)) or f"pytest ended with {code}"
    return f"{counts}; {time.monotonic() - start:.0f} s, {cpu:.0f} s of the processor", code == 0


def main(arguments: list[str]) -> int:
    """Run the settings named, else all; 1 if a test failed, 2 if a setting is unknown."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, tests = arguments[:cut] or list(SETTINGS), [*CORE, *arguments[cut + 1 :]]
    unknown = [name for name in names if name not in SETTINGS]
    if unknown:
        print(f"settings must be among {', '.join(SETTINGS)}, got {', '.join(unknown)}")
        return 2
    seen, outcomes = {}, []
    for name in names:
        values = {key: value for key, value in SETTINGS[name].items() if key not in THREADS}
        report = probe(SETTINGS[name])
        if report is None:
            print(f"{name}: {values} not on this processor", flush=True)
            continue
        like = seen.setdefault(json.dumps(report), name)  # a repeat reports the same and gives the same bits
        if like != name:
            print(f"{name}: {values} the bits of {like}, not run again", flush=True)
            continue
        told = f"capability {report['capability']}, openblas {'/'.join(report['openblas'])}"
        line, good = run(name, tests)
        outcomes.append(good)
        print(f"{name}: {values} {told}, {report['threads']} threads: {line}", flush=True)
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return int(not all(outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
