"""Run student notebooks as a student does: in an empty environment, with nothing but the wheel beside them.

    python tests/smoke/student.py oldest|newest [NAME ...] [--torch VERSION] [--keep]

The environment holds pip, ipykernel and nbclient; the first cell of the first notebook installs the rest.
With ``oldest`` pip may take no other than the lowest version that the wheel's metadata allows of each package
it names, with ``newest`` it takes what it finds. NAME begins a notebook's name; without any, all run.
``--torch`` and ``--keep`` are those of run.py. What ran lies in ``_build/student-oldest`` or ``-newest``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from run import BUILD, packages

EXTRAS = ("figures", "medoids", "pythae", "diffusers")  # what notebooks import beyond the core
CHECK = "exercises.check("


def prepare(which: str, torch: str | None, keep: bool) -> tuple[Path, Path, dict[str, str]]:
    """Where the environment's programs are, where notebooks and wheel lie, the processes' surroundings."""
    (wheel,) = sorted((BUILD / "dist").glob("*.whl"))
    home, work = BUILD / f"venv-student-{which}", BUILD / f"student-{which}"
    if work.exists():
        shutil.rmtree(work)
    shutil.copytree(BUILD / "notebooks" / "student", work)
    shutil.copy(wheel, work)
    fixed = [one for one in packages(wheel, which, torch, EXTRAS) if "==" in one]
    (work / "constraints.txt").write_text("\n".join(fixed) + "\n", encoding="utf8")
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RIEMVAE", "JUPYTER"))}
    surroundings |= {"PIP_CONSTRAINT": str(work / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    if not (keep and home.is_dir()):
        venv.create(home, clear=True, with_pip=True)
        pip = [programs / "python", "-m", "pip", "install", "--quiet", "ipykernel", "nbclient"]
        subprocess.run(pip, check=True, env=surroundings)
    return programs, work, surroundings


def problems(path: Path) -> list[str]:
    """What is wrong with a notebook that ran: no check, or one that passes unanswered."""
    cells = [c for c in json.loads(path.read_text(encoding="utf8"))["cells"] if c["cell_type"] == "code"]
    checks = [c for c in cells if CHECK in "".join(c["source"])]
    said = [json.dumps(c["outputs"]) for c in checks]
    found = [] if checks else ["no exercise is checked"]
    return found + [
        f"a check said {text}" for text in said if "not written" not in text and "differ" not in text
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("oldest", "newest"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--torch", default=os.environ.get("TORCH"), metavar="VERSION")
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    programs, work, surroundings = prepare(asked.which, asked.torch, asked.keep)
    failed = []
    for path in sorted(work.glob("*.ipynb")):
        if asked.names and not path.name.startswith(tuple(asked.names)):
            continue
        start = time.perf_counter()
        command = [programs / "jupyter-execute", "--inplace", "--timeout=3600", path]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
        wrong = problems(path) if done.returncode == 0 else [done.stderr[-3000:]]
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", *wrong, sep="\n    ", flush=True)
        failed += [path.stem] if wrong else []
    subprocess.run([programs / "python", "-m", "pip", "list"], env=surroundings, check=True)
    print(f"failed: {', '.join(failed)}" if failed else "every notebook ran, and no check passed unanswered")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
