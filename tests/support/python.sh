#!/bin/bash
# python.sh ARGUMENTS...: Python of the tests' virtual environment with tests/support importable, leaving no process.
# A first argument without a slash that names a file here is that file: python.sh with_servers.py COMMAND...
set -eu
support=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$support/../.." && pwd)
python=$("$support/venv.sh")
export PYTHONPATH=$support${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
export FORESTALL_SOURCE=${FORESTALL_SOURCE:-$root}
case ${1-} in */* | -*) ;; *) [ -e "$support/${1-}" ] && set -- "$support/$1" "${@:2}" ;; esac
exec "$python" "$support/reap.py" "$python" "$@"
