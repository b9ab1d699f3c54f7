#!/bin/bash
# fetch.sh DIRECTORY: an engine (dockerd, containerd, compose, buildx) from Debian 13's packages, unpacked, not installed: it
# works beside whatever the machine has. What they need of the machine: runc, iptables (scripts/install-deps.sh compose).
set -euo pipefail
directory=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mirror=$("$(dirname "$0")/mirror.sh")
mkdir -p "$scratch"/{lists/partial,cache/archives/partial}
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$scratch/list"
options=(-o "Dir::Etc::sourcelist=$scratch/list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Update::Post-Invoke-Success::=)
apt-get "${options[@]}" update -qq
rm -rf "$directory.part"
mkdir -p "$directory.part"
(cd "$scratch" && apt-get "${options[@]}" download -qq docker.io docker-cli containerd docker-compose docker-buildx)
for package in "$scratch"/*.deb; do
    dpkg-deb -x "$package" "$directory.part"
done
# the client looks for its plugins in $DOCKER_CONFIG/cli-plugins
mkdir -p "$directory.part/config/cli-plugins"
for plugin in "$directory.part"/usr/libexec/docker/cli-plugins/*; do
    ln -s "../../usr/libexec/docker/cli-plugins/$(basename "$plugin")" "$directory.part/config/cli-plugins/"
done
rm -rf "$directory"
mv "$directory.part" "$directory"
