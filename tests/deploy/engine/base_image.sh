#!/bin/bash
# base_image.sh SUITE NAME: Debian's slim image made from its packages and imported under its usual name, for a machine
# without a hub. Needs mmdebstrap.
set -euo pipefail
suite=$1
mirror=$("$(dirname "$0")/mirror.sh")
# usr-is-merged: otherwise bookworm's usrmerge brings all of perl
mmdebstrap --quiet --variant=minbase --include=usr-is-merged --mode=root --components=main \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/groff/*' \
    --dpkgopt='path-exclude=/usr/share/lintian/*' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    --customize-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"' \
    --customize-hook='echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"' \
    --customize-hook='printf "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true\"; };\nDir::Cache::pkgcache \"\"; Dir::Cache::srcpkgcache \"\";\n" >"$1/etc/apt/apt.conf.d/docker-clean"' \
    --customize-hook='rm -f "$1"/var/cache/apt/*.bin "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
    "$suite" - "deb $mirror $suite main" "deb $mirror $suite-updates main" "deb $mirror-security $suite-security main" </dev/null |
    docker import --change 'CMD ["bash"]' - "$2" >/dev/null
