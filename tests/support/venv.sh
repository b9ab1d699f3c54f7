#!/bin/bash
# Prints the Python interpreter of the tests' virtual environment; builds it first when it is not there.
#
# It lives in ${XDG_CACHE_HOME:-~/.cache}/forestall/venv-<hash of requirements.txt and the interpreter>, so a changed
# pin makes a new one. Two callers at once: the second waits for the first. The system's own python3 is preferred,
# because another one earlier in PATH need not have the modules that python3-venv brings.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || { echo 'venv: no python3 found' >&2; exit 1; }

version=$("$python" -c 'import sys; print(sys.executable, sys.version)')
key=$({ cat "$here/requirements.txt"; printf '%s' "$version"; } | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/forestall
directory=$cache/venv-$key

if [ ! -e "$directory/complete" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/venv-$key.lock"
    flock 9
    if [ ! -e "$directory/complete" ]; then
        echo "venv: building $directory (once)" >&2
        rm -rf "$directory"
        "$python" -m venv "$directory" >&2 || { echo 'venv: is python3-venv installed?' >&2; exit 1; }
        "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 5 \
            --only-binary :all: --requirement "$here/requirements.txt" </dev/null >&2
        touch "$directory/complete"
    fi
    exec 9>&-
fi
echo "$directory/bin/python"
