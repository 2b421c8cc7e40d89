#!/usr/bin/env bash
# Makes .venv with exact versions, ready to run everything here; done already, it takes no time.
#
#   bash launch/setup.sh [WHAT COMES NEXT]
#
# Needs nothing but a python3 of 3.11 to 3.13; PYTHON=/some/python3.12 picks one. Packages come
# through pip, so a configured index or cache is used. The installed list is kept in .venv: as long
# as it is the wanted one nothing is done and no network is needed. A set-up that was cut short
# begins again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

next=${1:-'bash launch/demo.sh, or bash launch/test.sh'}
done_list=.venv/installed.txt  # Written last: what is in .venv, if all of it is.
begun=.venv/begun              # There as long as .venv is unfinished.

fail() {
    echo "error: $*" >&2
    exit 2
}

# Whether "$1" is a Python that this runs on and that has the module "$2".
supported() {
    "$1" -c "import sys, $2; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" \
        < /dev/null > /dev/null 2>&1
}

# The packages for the Python of .venv, with that Python and this folder, which they depend on.
wanted_list() {
    local version
    version=$(.venv/bin/python -c 'import platform; print(platform.python_version())')
    case $version in
        3.11.*) constraints=launch/constraints-3.11.txt ;;
        *) constraints=launch/constraints-3.12.txt ;;
    esac
    wanted="# Python $version, $PWD"$'\n'$(cat "$constraints")
}

make_venv() {
    local python found
    for python in ${PYTHON:-python3 python3.12 python3.11 python3.13}; do
        if supported "$python" ensurepip; then
            mkdir .venv && touch "$begun"
            "$python" -m venv .venv
            return
        fi
    done
    python=${PYTHON:-python3}
    found=$("$python" --version 2> /dev/null) || found='not there'
    fail "this needs Python 3.11, 3.12 or 3.13 with venv (on Debian and Ubuntu: python3-venv);" \
        "$python is $found. Name another one with PYTHON=/path/to/python3.12"
}

install() {
    local total
    total=$(grep -c '==' "$constraints")
    echo "installing $total packages into .venv: about a minute, 1.7 GB on disk"
    touch "$begun"
    rm -f "$done_list"
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --no-deps --no-compile --requirement "$constraints" < /dev/null |
        awk -v total="$total" '
            /^(Collecting|Processing|Requirement already satisfied)/ && ++n % 15 == 0 {
                print "  found " n " of " total; fflush()
            }
            /^Installing collected/ { print "  unpacking"; fflush() }' ||
        case $wanted in
            *'Python 3.13'*)
                fail 'pip failed, see above (on Python 3.13 tinysoundfont is compiled and needs' \
                    'a C++ compiler; with PYTHON=python3.12 it is not, after rm -r .venv)'
                ;;
            *) fail 'pip failed, see above; the next run begins again' ;;
        esac
    # The project itself: a path file makes this folder importable, with no build and no network.
    pwd > "$(.venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/jen1composer.pth"
    printf '%s\n' "$wanted" > "$done_list"
    rm "$begun"
}

SECONDS=0
if [ -e .venv ] && { [ -e "$begun" ] || ! supported .venv/bin/python pip; }; then
    echo 'making .venv anew: it is unfinished, or its Python does not run here'
    rm -rf .venv
fi
[ -e .venv ] || make_venv
wanted_list
if [ "$(cat "$done_list" 2> /dev/null)" != "$wanted" ]; then
    install
fi
echo "ready: Python in .venv (${SECONDS} s). Next: $next"
