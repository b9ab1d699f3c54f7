#!/bin/bash
# pytest.sh ARGUMENTS...: pytest in the tests' virtual environment, with tests/support importable, leaving no process.
# This is what ctest runs for an end-to-end test; it works the same by hand.
set -eu
support=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$support/../.." && pwd)
python=$("$support/venv.sh")
export PYTHONPATH=$support${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
export FORESTALL_SOURCE=${FORESTALL_SOURCE:-$root}
cd "$root"
exec "$python" "$support/reap.py" "$python" -m pytest -p no:cacheprovider -ra -q --tb=short "$@"
