#!/bin/bash
# Prints the path of an arm64 Debian tree with the packages that FILE lists, one a line, and what
# they depend on; fetches it once. usage: cross/tree.sh NAME FILE
#
# Packages come through apt with a state of its own, so neither root nor a foreign architecture is
# needed and nothing is installed. The tree is kept in ${XDG_CACHE_HOME:-~/.cache}/dpu under a name
# made from the list of packages; deleting it fetches it anew.
set -euo pipefail
[ $# = 2 ] || {
  echo "usage: tree NAME FILE" >&2
  exit 1
}
name=$1
list=$2

mapfile -t packages < <(sed 's/#.*//; /^[[:space:]]*$/d' "$list")
release=$(. /etc/os-release && echo "${ID:-linux}-${VERSION_CODENAME:-unknown}")
# The recipe is part of the key: a changed script makes a new tree.
key=$(cat "$list" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-12)
tree=${XDG_CACHE_HOME:-$HOME/.cache}/dpu/$name-arm64-$release-$key
if [ -e "$tree/.complete" ]; then
  echo "$tree"
  exit
fi

mkdir -p "$(dirname "$tree")"
work=$(mktemp -d "$tree.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists,cache/archives/partial} "$work/tree"
: >"$work/apt/status"
arm64_apt() {
  apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Debug::NoLocking=true \
    -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" \
    -o Dir::State::extended_states="$work/apt/extended" -o Dir::Cache="$work/apt/cache" "$@"
}
fetch() {
  arm64_apt update && arm64_apt install --download-only "${packages[@]}" || return 1
  local package
  for package in "$work"/apt/cache/archives/*.deb; do
    dpkg -x "$package" "$work/tree" || return 1
  done
}
echo "fetching the arm64 packages of $name" >&2
if ! fetch >"$work/log" 2>&1; then
  tail -n 20 "$work/log" >&2
  echo "tree: could not fetch the arm64 packages of $name" >&2
  exit 1
fi
# Absolute links point into the machine we are on.
find "$work/tree" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
  ln -snf "$(realpath -m --relative-to="$(dirname "$link")" "$work/tree$(readlink "$link")")" "$link"
done
touch "$work/tree/.complete"
# Another build may have been faster; its tree is as good.
[ -e "$tree/.complete" ] || mv -T "$work/tree" "$tree"
echo "$tree"
