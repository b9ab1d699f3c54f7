#!/bin/sh
# allocation.sh CODE: what the next execution of a code starts with, straight from Redis.
#
# REDIS (default: redis-cli -p 16379) is how redis-cli is called, e.g. REDIS="redis-cli -u redis://host:6379". The braces
# in the key are part of it: in a Redis cluster they keep what belongs to one code together.
set -eu
[ $# -eq 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
${REDIS:-redis-cli -p 16379} --raw HGETALL "forestall:allocation:{$1}" | while read -r field && read -r value; do
    printf '%-20s %s\n' "$field" "$value"
done
