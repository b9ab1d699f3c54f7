#!/bin/bash
# Prints the Debian mirror that this machine's apt uses; DEBIAN_MIRROR overrides it.
set -eu
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | sort -u | head -1)}
[ -n "$mirror" ] || { echo "mirror.sh: apt knows no Debian mirror: set DEBIAN_MIRROR=http://HOST/debian" >&2; exit 1; }
echo "${mirror%%/}"
