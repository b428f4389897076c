"""`make audit`: pip-audit on all that the pins bring into .venv; ends with 1 at an advisory, 2 at no answer.

pip-audit by itself ends with 0 where the service that knows the advisories does not know a package: it skips
what it could not ask about. Here an audit counts only if nearly all packages were answered for.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP_AUDIT = ROOT / "_build" / "upkeep" / "bin" / "pip-audit"
OWN = {"riemvae-core"}
MOST_SKIPPED = 0.05


def installed() -> list[str]:
    """``name==version`` for each package of this environment, without a local build's mark (2.13.0+cpu)."""
    found = {d.metadata["Name"].lower(): d.version.partition("+")[0] for d in distributions()}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in OWN]


def judge(report: dict) -> tuple[int, list[str]]:
    """The exit status and the lines to print for a report of pip-audit."""
    packages = report["dependencies"]
    skipped = [one for one in packages if "skip_reason" in one]
    if not packages or len(skipped) > MOST_SKIPPED * len(packages):
        lines = [f"no answer about {len(skipped)} of {len(packages)} packages: this is no audit"]
        return 2, [*lines, "is the advisory service in reach from here?"]
    lines = [f"not answered for: {one['name']} ({one['skip_reason']})" for one in skipped]
    for one in packages:
        for flaw in one.get("vulns", []):
            mended = ", ".join(flaw["fix_versions"]) or "no version yet"
            lines.append(f"{one['name']} {one['version']}: {flaw['id']}, mended in {mended}")
    flawed = [one["name"] for one in packages if one.get("vulns")]
    lines.append(f"{len(packages) - len(skipped)} packages audited, {len(flawed)} with known advisories")
    return int(bool(flawed)), lines


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "installed.txt"
        asked.write_text("\n".join(installed()))
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", *sys.argv[1:]]
        command = [PIP_AUDIT, "--requirement", asked, *options]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        status, lines = judge(json.loads(done.stdout))
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        status, lines = 2, [f"pip-audit gave no report; its last words: {last[:300]}"]
    print(*lines, sep="\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
