#!/usr/bin/env bash
# Sets up this machine and runs every test; ends by naming what was skipped, and why.
#
#   bash launch/test.sh [PYTEST ARGUMENTS]      e.g.  bash launch/test.sh -m 'not slow'
#
# Two files at a time, since most of the time goes to compiling on one core; -n 0 is one at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash launch/setup.sh 'the tests, a few minutes'
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
