#!/bin/bash
# pytest.sh ARGUMENTS...: pytest in the tests' virtual environment, with tests/support importable, leaving no process.
# This is what ctest runs for an end-to-end test; it works the same by hand.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
exec "$here/python.sh" -m pytest -p no:cacheprovider -ra -q --tb=short "$@"
