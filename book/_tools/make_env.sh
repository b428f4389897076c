#!/bin/sh
# Makes .venv with a Python that the pinned wheels exist for, and installs requirements.txt into it.
set -eu
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

if ! .venv/bin/python -c "$fits" 2>/dev/null; then
    found=""
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
        if [ -n "$candidate" ] && "$candidate" -c "$fits" 2>/dev/null; then
            found="$candidate"
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "error: no Python 3.11, 3.12 or 3.13 was found; install one (Debian: apt install python3 python3-venv)" \
            "or name it: make PYTHON=/path/to/python3.11" >&2
        exit 1
    fi
    if ! "$found" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "error: $("$found" --version) lacks the venv module; install it (Debian: apt install python3-venv)" >&2
        exit 1
    fi
    echo "making .venv with $("$found" --version)"
    "$found" -m venv --clear .venv
fi

echo "installing requirements.txt into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
touch .venv/.installed
