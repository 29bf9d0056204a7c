#!/bin/sh
# Make the virtual environment $1 with the first Python >= 3.11 that works here.
# PYTHON=/path/to/python chooses one.
set -eu
probe='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    if "$python" -c "$probe" >/dev/null 2>&1; then
        exec "$python" -m venv "$1"
    fi
done
echo "octavo needs Python 3.11 or newer, with its venv module; none was found (tried: ${PYTHON:-python3, python3.11 to python3.14})." >&2
echo "Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python try" >&2
exit 1
