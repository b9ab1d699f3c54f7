#!/bin/sh
# Runs the cgroup v2 cases in a guest: run.sh GUEST_PROGRAM [DEADLINE_S]. Exit 0 passed, 1 failed, 77 skipped.
# Debian's cloud kernel is downloaded once (not installed) into ${XDG_CACHE_HOME:-$HOME/.cache}/forestall.
set -u
program=$1
deadline=${2:-120}
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/forestall
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk crc16 mbcache jbd2 ext4"

skip() {
    echo "SKIPPED: cgroup v2 was not tested: $1" >&2
    exit 77
}

for tool in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio apt-get:apt dpkg-deb:dpkg mke2fs:e2fsprogs; do
    command -v "${tool%%:*}" >/dev/null 2>&1 ||
        skip "${tool%%:*} is missing; run: apt-get install -y --no-install-recommends qemu-system-x86 busybox-static cpio e2fsprogs"
done
[ "$(uname -m)" = x86_64 ] || skip "the guest is x86_64"

# The newest kernel that is in the cache, else the newest that the package lists name.
fetch_kernel() {
    mkdir -p "$cache" || skip "cannot write $cache"
    kernel=$(ls -d "$cache"/linux-image-* 2>/dev/null | sort -V | tail -1)
    [ -n "$kernel" ] && [ -e "$kernel/complete" ] && return
    name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    [ -n "$name" ] || skip "no linux-image-cloud-amd64 in the package lists; run: apt-get update"
    echo "fetching $name into $cache (once, not installed)"
    kernel=$cache/$name
    part=$(mktemp -d "$cache/part.XXXXXX") || skip "cannot write $cache"
    (cd "$part" && apt-get -q -o APT::Sandbox::User=root download "$name" >/dev/null && mkdir tree &&
        dpkg-deb -x linux-image-*.deb tree && rm linux-image-*.deb && touch tree/complete && mv -T tree "$kernel") ||
        [ -e "$kernel/complete" ] || # somebody else was faster
        { rm -rf "$part"; skip "cannot download the kernel; run: apt-get update && apt-get download $name"; }
    rm -rf "$part"
}

fetch_kernel
image=$(ls "$kernel"/boot/vmlinuz-* | head -1)
work=$(mktemp -d) || exit 1
guest=
trap '[ -n "$guest" ] && kill "$guest" 2>/dev/null; rm -rf "$work"' EXIT INT TERM

root=$work/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/disk" "$root/modules"
cp "$program" "$root/init"
cp "$(command -v busybox)" "$root/bin/busybox"
: >"$root/modules.order"
for module in $modules; do
    file=$(find "$kernel/lib/modules" -name "$module.ko*" | head -1)
    case $file in
    *.ko) cp "$file" "$root/modules/" ;;
    *.ko.xz) xz -dc "$file" >"$root/modules/$module.ko" ;;
    *) continue ;; # built in
    esac
    echo "$module" >>"$root/modules.order"
done
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs" || exit 1
truncate -s 64M "$work/disk" && mke2fs -q -t ext2 -F "$work/disk" || exit 1

# Never KVM: the test must run inside machines that are guests themselves.
timeout "$deadline" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 512 -smp 2 -nographic -no-reboot \
    -nodefaults -serial stdio -kernel "$image" -initrd "$work/initramfs" \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off psi=1" </dev/null >"$work/log" 2>&1 &
guest=$!
wait "$guest"
status=$?
guest=
tr -d '\r' <"$work/log"
[ "$status" = 124 ] && { echo "FAILED: no end within $deadline s"; exit 1; }
done=$(tr -d '\r' <"$work/log" | sed -n 's/.*GUEST done //p')
[ -n "$done" ] || { echo "FAILED: the guest did not come to its end"; exit 1; }
# shellcheck disable=SC2086
set -- $done
grep -q 'CASE failed' "$work/log" && { echo "FAILED: see above"; exit 1; }
[ "$1" -ge 12 ] || { echo "FAILED: only $1 cases passed"; exit 1; }
echo "PASSED: $1 cases on cgroup v2, $3 skipped"
