#!/bin/bash
# Installs from Debian's packages what building, testing or the demo needs and the machine lacks.
#
#   scripts/install-deps.sh [--list | --check] GROUP...      groups: build test demo lint collect compose bench
#
# Says what is missing and why before anything is installed. As root it installs; otherwise it prints the exact line
# to run and exits 1. --check installs nothing (exit 1 when something is missing), --list prints the table.
# Asks nothing, so it works without a terminal. Debian 12 and 13 name some packages differently: alternatives are
# written a|b, any installed one will do, else the first that the package lists offer is installed.
# Services that come with a package are not started: the tests and the demo start their own on free ports.
set -u
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

table='
build gcc                        C17 compiler
build libc6-dev                  C library headers
build cmake                      build system
build ninja-build                what CMake drives
build make                       the Makefile that ties it together
build pkg-config|pkgconf         finds the libraries below
build librdkafka-dev             Kafka client
build libavro-dev                Avro: schemas, and values written with another version of one
build libopenblas-dev            matrix products of the LSTM
build libhiredis-dev             Redis client
build libinih-dev                configuration files
build libmicrohttpd-dev          /metrics, /healthz, /readyz
build libjansson-dev             JSON
build libcurl4-openssl-dev|libcurl4-gnutls-dev   HTTP, to a schema registry
build libuv1-dev                 event loop of the agent and the gateway
build libssl-dev                 hashes, random numbers
test  libcmocka-dev              unit tests
test  clang                      second compiler, and the fuzzers
test  libclang-rt-dev|libclang-rt-14-dev|libclang-rt-19-dev      sanitizer runtime of clang
test  redis-server               real Redis for the end-to-end tests
test  default-jre-headless|openjdk-17-jre-headless|openjdk-21-jre-headless   runs the real Kafka broker of the tests
test  maven                      fetches that broker
test  ca-certificates            certificates for fetching
test  python3                    end-to-end tests are written in Python
test  python3-venv               keeps their libraries apart from the system
test  iproute2                   network namespaces and traffic control
test  procps                     process lists
test  qemu-system-x86            a machine with cgroup v2, whatever this one has
test  busybox-static|busybox     the programs inside that machine
test  cpio                       its file system
test  xz-utils                   a real program that runs out of memory
test  bc                         a program the collector is tried with
test  curl                       a program the collector is tried with
test  netcat-openbsd             a program the collector is tried with
demo  xz-utils                   a program of the demo
demo  python3                    a program of the demo
demo  perl-base|perl             a program of the demo
demo  gawk                       a program of the demo
demo  jq                         a program of the demo
demo  sqlite3                    a program of the demo
demo  gcc                        a program of the demo
demo  redis-server               holds the allocations
demo  iproute2                   network namespaces of the network case
collect python3                  the collector and a program of the corpus
collect iproute2                 network namespaces of the programs that send
collect util-linux               nsenter and unshare
collect xz-utils                 a program of the corpus
collect perl-base|perl           a program of the corpus
collect gawk                     a program of the corpus
collect jq                       a program of the corpus
collect sqlite3                  a program of the corpus
collect gcc                      a program of the corpus
collect g++                      a program of the corpus
collect gzip                     a program of the corpus
collect bzip2                    a program of the corpus
collect zstd                     a program of the corpus
collect tar                      a program of the corpus
collect coreutils                sort, dd, sha256sum, b2sum, shuf, cp, tsort, ptx, join and shred of the corpus
collect grep                     a program of the corpus
collect findutils                a program of the corpus
collect make                     a program of the corpus
collect nodejs                   a program of the corpus
collect ffmpeg                   a program of the corpus
collect openssl                  a program of the corpus
collect bc                       a program of the corpus
collect curl                     a program of the corpus
collect netcat-openbsd           a program of the corpus
collect lua5.4                   a program of the corpus
collect guile-3.0                a program of the corpus
collect git                      a program of the corpus
collect sox                      a program of the corpus
collect pigz                     a program of the corpus
collect cpio                     a program of the corpus
collect dc                       a program of the corpus
collect socat                    a program of the corpus
collect ruby                     a program of the corpus
collect php-cli                  a program of the corpus
collect imagemagick              a program of the corpus
collect ghostscript              a program of the corpus
collect gnuplot-nox              a program of the corpus
collect rsync                    a program of the corpus
collect wget                     a program of the corpus
collect z3                       a program of the corpus
collect glpk-utils               a program of the corpus
collect r-base-core              a program of the corpus
collect sbcl                     a program of the corpus
collect swi-prolog-nox           a program of the corpus
collect m4                       a program of the corpus
collect miller                   a program of the corpus
collect cppcheck                 a program of the corpus
collect nasm                     a program of the corpus
collect ngspice                  a program of the corpus
collect samtools                 a program of the corpus
collect pandoc                   a program of the corpus
collect brotli                   a program of the corpus
collect pari-gp                  a program of the corpus
collect tcl                      a program of the corpus
collect mawk                     a program of the corpus
collect graphviz                 a program of the corpus
collect bwa                      a program of the corpus
collect p7zip-full|7zip          a program of the corpus
collect minisat                  a program of the corpus
collect erlang-base              a program of the corpus
collect default-jdk-headless|openjdk-17-jdk-headless|openjdk-21-jdk-headless a program of the corpus
collect libxml2-utils            a program of the corpus
collect diffutils                a program of the corpus
collect datamash                 a program of the corpus
collect clang                    a program of the corpus
collect librsvg2-bin             a program of the corpus
collect tcc                      a program of the corpus
collect iverilog                 a program of the corpus
collect universal-ctags          a program of the corpus
collect clisp                    a program of the corpus
collect fp-compiler              a program of the corpus
collect chicken-bin              a program of the corpus
collect poppler-utils            a program of the corpus
collect mupdf-tools              a program of the corpus
collect povray                   a program of the corpus
collect xsltproc                 a program of the corpus
collect cmark                    a program of the corpus
collect potrace                  a program of the corpus
collect sed                      a program of the corpus
collect tidy                     a program of the corpus
collect webp                     a program of the corpus
collect lame                     a program of the corpus
collect gringo                   a program of the corpus
collect eprover                  a program of the corpus
collect minimap2                 a program of the corpus
collect bedtools                 a program of the corpus
collect fasttree                 a program of the corpus
collect gap-core                 a program of the corpus
collect gdal-bin                 a program of the corpus
collect plzip                    a program of the corpus
collect rzip                     a program of the corpus
collect squashfs-tools           a program of the corpus
collect xorriso                  a program of the corpus
collect bsdiff                   a program of the corpus
collect borgbackup               a program of the corpus
collect restic                   a program of the corpus
collect hashdeep                 a program of the corpus
collect zopfli                   a program of the corpus
collect rdiff                    a program of the corpus
collect argon2                   a program of the corpus
collect gnucobol4                a program of the corpus
collect pypy3                    a program of the corpus
collect groff                    a program of the corpus
collect hunspell                 a program of the corpus
collect redis-server             a program of the corpus
collect cadical                  a program of the corpus
collect nauty                    a program of the corpus
collect busybox|busybox-static   a program of the corpus
collect luajit                   a program of the corpus
collect yosys                    a program of the corpus
collect shellcheck               a program of the corpus
collect binutils                 a program of the corpus
collect doxygen                  a program of the corpus
collect qpdf                     a program of the corpus
collect sassc                    a program of the corpus
collect pngquant                 a program of the corpus
collect enblend                  a program of the corpus
collect velvet                   a program of the corpus
collect ledger                   a program of the corpus
collect muscle                   a program of the corpus
collect lrzip                    a program of the corpus
collect zpaq                     a program of the corpus
collect xdelta3                  a program of the corpus
collect par2                     a program of the corpus
collect pbzip2                   a program of the corpus
collect graphicsmagick           a program of the corpus
collect libvips-tools            a program of the corpus
collect libopenjp2-tools         a program of the corpus
collect x264                     a program of the corpus
collect x265                     a program of the corpus
collect aom-tools                a program of the corpus
collect vpx-tools                a program of the corpus
collect mkvtoolnix               a program of the corpus
collect gifsicle                 a program of the corpus
collect csound                   a program of the corpus
collect qhull-bin                a program of the corpus
collect openscad                 a program of the corpus
collect libjxl-tools             a program of the corpus
collect libavif-bin              a program of the corpus
collect tetgen                   a program of the corpus
collect netpbm                   a program of the corpus
collect unpaper                  a program of the corpus
collect libgts-bin               a program of the corpus
collect gfortran                 a program of the corpus
collect ldc                      a program of the corpus
collect valac                    a program of the corpus
collect swig                     a program of the corpus
collect bison                    a program of the corpus
collect protobuf-compiler        a program of the corpus
collect flatbuffers-compiler     a program of the corpus
collect ghdl-mcode               a program of the corpus
collect spin                     a program of the corpus
collect cvc5                     a program of the corpus
collect picosat                  a program of the corpus
collect clasp                    a program of the corpus
collect esbuild                  a program of the corpus
collect lld                      a program of the corpus
collect uncrustify               a program of the corpus
collect db5.3-util               a program of the corpus
collect kyotocabinet-utils       a program of the corpus
collect memcached                a program of the corpus
collect bind9-utils              a program of the corpus
collect tshark                   a program of the corpus
collect gettext                  a program of the corpus
collect bsdextrautils            a program of the corpus
collect fzf                      a program of the corpus
collect w3m                      a program of the corpus
collect gron                     a program of the corpus
collect jshon                    a program of the corpus
collect raptor2-utils            a program of the corpus
collect notmuch                  a program of the corpus
collect mairix                   a program of the corpus
collect fasttext                 a program of the corpus
collect swish-e                  a program of the corpus
collect yara                     a program of the corpus
collect goaccess                 a program of the corpus
collect redis-tools              redis-cli, which fills the server of the corpus
compose runc                     containers, where the machine has no engine of its own
compose iptables                 their networks
compose mmdebstrap               the slim image of Debian, where no hub can be reached
compose redis-tools              redis-cli, as people look an allocation up
compose openssl                  certificates of a Kafka with TLS
compose iproute2                 removes what is left of networks
compose default-jdk-headless|openjdk-17-jdk-headless|openjdk-21-jdk-headless   builds the example in Java
compose maven                    libraries of that example and of the stand-ins
compose debian-archive-keyring   keys of the packages that images are made of
bench python3-torch              the trainer is timed beside it
lint  git                        lists the files
lint  clang-format               formatting
lint  clang-tidy                 static analysis
'

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit "$1"
}

say() {
    printf 'install-deps: %s\n' "$*"
}

die() {
    printf 'install-deps: %s\n' "$*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

has_candidate() {
    apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# any_installed 'a|b': true when one alternative is there.
any_installed() {
    local package
    for package in ${1//|/ }; do
        is_installed "$package" && return 0
    done
    return 1
}

# choose 'a|b': prints the alternative to install; fails when the package lists offer none.
choose() {
    local package
    for package in ${1//|/ }; do
        has_candidate "$package" && printf '%s\n' "$package" && return 0
    done
    return 1
}

mode=install
groups=
for argument in "$@"; do
    case $argument in
    --list) mode=list ;;
    --check) mode=check ;;
    -h | --help) usage 0 ;;
    build | test | demo | lint | collect | compose | bench) groups="$groups $argument" ;;
    *) usage 2 >&2 ;;
    esac
done
[ -n "$groups" ] || [ "$mode" = list ] || usage 2 >&2

if [ "$mode" = list ]; then
    printf '%s' "$table" | sed '/^$/d'
    exit 0
fi
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die 'this is not a Debian system; install what --list shows by your own means'

missing=()
whys=()
while read -r group alternatives why; do
    case " $groups " in *" ${group:-none} "*) ;; *) continue ;; esac
    any_installed "$alternatives" && continue
    case " ${missing[*]-} " in *" $alternatives "*) continue ;; esac
    missing+=("$alternatives")
    whys+=("$why ($group)")
done <<<"$table"

if [ ${#missing[@]} -eq 0 ]; then
    say "nothing missing for:$groups"
    exit 0
fi
say "missing for:$groups"
for i in "${!missing[@]}"; do
    printf '  %-28s %s\n' "${missing[$i]%%|*}" "${whys[$i]}"
done
[ "$mode" = check ] && exit 1

# resolve: fills packages[] with one package per missing line, or fails when the lists know none of its alternatives.
resolve() {
    local alternatives package
    packages=()
    unknown=
    for alternatives in "${missing[@]}"; do
        if package=$(choose "$alternatives"); then
            packages+=("$package")
        else
            unknown="$unknown $alternatives"
        fi
    done
    [ -z "$unknown" ]
}

if [ "$(id -u)" -ne 0 ]; then
    resolve || packages=("${missing[@]%%|*}")
    say 'installing needs root. Run this, then try again:' >&2
    printf '  sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n' "${packages[*]}" >&2
    exit 1
fi

# Without a policy a package starts its service at once, e.g. a Redis on 6379 that nobody asked for.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || die "cannot write $policy"
fi

updated=
update_lists() {
    [ -z "$updated" ] || return 0
    updated=yes
    say 'apt-get update'
    apt-get -o Acquire::Retries=3 -qq update </dev/null || say 'apt-get update failed, going on with the lists at hand'
}

install_packages() {
    say "apt-get install ${packages[*]}"
    apt-get -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends \
        install "${packages[@]}" </dev/null >/dev/null
}

resolve || { update_lists; resolve; } || die "no package found for:$unknown"
# Lists that are days old name versions that the mirror no longer has: refresh once and try again.
install_packages || { [ -z "$updated" ] && update_lists && resolve && install_packages; } || die 'apt-get failed'

for alternatives in "${missing[@]}"; do
    any_installed "$alternatives" || die "$alternatives is still missing after apt-get"
done
for daemon in redis-server memcached; do
    if [ -d /run/systemd/system ] && [[ " ${packages[*]} " == *" $daemon "* ]]; then
        say "$daemon was not started, but systemd will at the next boot; if you do not want that:"
        say "  systemctl disable $daemon"
    fi
done
say 'done'
