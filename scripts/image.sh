#!/bin/bash
# Makes what is installed on a DPU; docs/image.md tells how to use it.
#
# usage: scripts/image.sh [OPTION...]
#        scripts/image.sh slot OUT [OPTION...]                   makes only dpu.image, as OUT
#        scripts/image.sh disk OUT IMAGE-A [AUTHORIZED-KEYS]     makes only disk.img, as OUT
#   --out FOLDER            default: build/image
#   --config FILE           the firmware's configuration; default: the one of the QEMU board
#   --key FILE              Ed25519 private key (PEM) that signs the image; default: signing.pem in
#                           FOLDER, made when it is missing
#   --authorized-keys FILE  who may log in by ssh
#   --version VERSION       default: that of the firmware and the commit
#   --security-version N    a board that has committed this image takes none with a smaller one;
#                           default: 0
#
#   dpu_VERSION_arm64.deb   the firmware as a Debian package
#   bf.cfg                  installs that package while a BFB is installed
#   dpu.image               what one slot holds, signed: for dpuctl flash
#   signing.pub             the public key; it is in the loader
#   vmlinuz, loader.gz      kernel and loader
#   disk.img                a disk with slot a written
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$repository"

# The same commit gives the same bytes, but for the kind of key.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)}
export SOURCE_DATE_EPOCH
slot_mebibytes=32
parts=scripts/image_parts.py

# What the loader itself needs to reach disk, console and management link of a QEMU board; i6300esb
# is its watchdog, and softdog stands in where there is none.
loader_modules=(virtio_pci virtio_blk virtio_net ext4 crc32c_generic i6300esb softdog)
# What the firmware needs of the kernel; it comes and goes with its slot.
slot_modules=(uio_pci_generic vfio_iommu_type1 vfio-pci)

make_deb() {
  local out=$1 version=$2 root=$work/deb
  mkdir -p "$root"/{DEBIAN,usr/bin,lib/systemd/system,etc/dpu,usr/share/doc/dpu/examples}
  install -m 755 build/arm64/dpu "$root/usr/bin/dpu"
  install -m 644 deploy/debian/dpu.service "$root/lib/systemd/system/"
  install -m 644 deploy/debian/dpu.json "$root/etc/dpu/"
  install -m 644 deploy/debian/{uio,cores}.conf "$root/usr/share/doc/dpu/examples/"
  install -m 644 docs/configuration.md docs/control.md docs/firmware.md "$root/usr/share/doc/dpu/"
  install -m 755 deploy/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
  echo /etc/dpu/dpu.json >"$root/DEBIAN/conffiles"
  sed "s|@VERSION@|$version|; s|@SIZE@|$(du -sk "$root" | cut -f1)|" deploy/debian/control \
    >"$root/DEBIAN/control"
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >&2
}

make_bf_cfg() {
  local deb=$1 out=$2
  base64 "$deb" >"$work/deb.base64"
  sed "/^@PACKAGE@\$/{
    r $work/deb.base64
    d
  }" deploy/bluefield/bf.cfg >"$out"
}

# Adds modules in the order of loading to `entries` as FOLDER/NAME=PATH, and a list of them.
add_modules() {
  local folder=$1 list=$work/order.${1//\//-} module paths
  shift
  paths=$("$parts" modules "$tree" "$@")
  for module in $paths; do
    basename "$module" >>"$list"
    entries+=("$folder/$(basename "$module")=$module")
  done
  entries+=("$folder/order=$list")
}

make_loader() {
  local out=$1 key=$2 entries=() file paths
  clang --target=aarch64-linux-gnu --sysroot="$tree" --gcc-toolchain=/usr -fuse-ld=lld -static -s \
    -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$work/dpu-slot" deploy/image/dpu-slot/*.c \
    -L"$tree/usr/lib/aarch64-linux-gnu" -lsodium -ljansson -lpthread
  printf 'root:*:0:0:root:/root:/bin/sh\nsshd:*:101:65534::/run/sshd:/bin/false\n' >"$work/passwd"
  printf 'root:x:0:\ndpu:x:102:\nnogroup:x:65534:\n' >"$work/group"
  add_modules lib/modules "${loader_modules[@]}"
  paths=$("$parts" libraries "$tree" "$tree/usr/sbin/sshd" "$tree/usr/bin/ssh-keygen")
  for file in $paths; do
    entries+=("lib/aarch64-linux-gnu/$(basename "$file")=$file:755")
  done
  entries+=(
    "init->/bin/busybox" "bin/busybox=$tree/bin/busybox:755" "bin/sh->busybox"
    "lib/ld-linux-aarch64.so.1->aarch64-linux-gnu/ld-linux-aarch64.so.1"
    "usr/sbin/sshd=$tree/usr/sbin/sshd:755" "usr/bin/ssh-keygen=$tree/usr/bin/ssh-keygen:755"
    "usr/bin/dpu-slot=$work/dpu-slot:755" "sbin/dpu-restart=deploy/image/loader/restart:755"
    "sbin/supervise=deploy/image/loader/supervise:755"
    "etc/init.d/start=deploy/image/loader/start:755" "etc/inittab=deploy/image/loader/inittab"
    "etc/ssh/sshd_config=deploy/image/loader/sshd_config" "etc/passwd=$work/passwd"
    "etc/group=$work/group" "etc/dpu/image.pub=$key"
    proc/ sys/ run/ tmp/ root/ data/ slot/ usr/share/ var/)
  "$parts" loader "$out" "${entries[@]}"
}

make_slot() {
  local out=$1 key=$2 version=$3 config=$4 security=$5 entries=()
  add_modules modules "${slot_modules[@]}"
  "$parts" slot "$out" --key "$key" --version "$version" --kernel "$kernel" \
    --security-version "$security" \
    "dpu=build/arm64/dpu:755" "dpu.json=$config" "run=deploy/image/content/run:755" \
    "health=deploy/image/content/health:755" "${entries[@]}"
}

# A disk with the state, both slots, and what outlives them.
make_disk() {
  local out=$1 image=$2 keys=$3 slot=$((slot_mebibytes * 2048)) uuid=5d9c6f5e-0c3b-4c43-9d4f-6470
  [ "$(stat -c %s "$image")" -le $((slot * 512)) ] || die "$image: more than $slot_mebibytes MiB"
  mkdir -p "$work/data"
  [ -z "$keys" ] || install -m 600 "$keys" "$work/data/authorized_keys"
  rm -f "$out"
  truncate -s $((2 * slot_mebibytes + 16 + 4))M "$out"
  sfdisk -q "$out" <<PARTITIONS
label: gpt
label-id: ${uuid}75000000
sector-size: 512
start=2048, size=2048, type=linux, name=dpu-state, uuid=${uuid}75000001
start=4096, size=$slot, type=linux, name=dpu-a, uuid=${uuid}75000002
start=$((4096 + slot)), size=$slot, type=linux, name=dpu-b, uuid=${uuid}75000003
start=$((4096 + 2 * slot)), size=32768, type=linux, name=dpu-data, uuid=${uuid}75000004
PARTITIONS
  dd if="$image" of="$out" bs=1M seek=2 conv=notrunc,sparse status=none
  rm -f "$work/data.img"
  truncate -s 16M "$work/data.img"
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -L dpu-data -U "${uuid}75000004" \
    -E "hash_seed=${uuid}75000005,root_owner=0:0" -d "$work/data" "$work/data.img"
  dd if="$work/data.img" of="$out" bs=1M seek=$((2 + 2 * slot_mebibytes)) conv=notrunc,sparse \
    status=none
}

make_key() {
  [ -e "$1" ] || (
    umask 077
    openssl genpkey -algorithm ed25519 -out "$1"
  )
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" = disk ]; then
  [ $# = 3 ] || [ $# = 4 ] || die "usage: image disk OUT IMAGE-A [AUTHORIZED-KEYS]"
  make_disk "$2" "$3" "${4:-}"
  exit
fi

only=""
if [ "${1:-}" = slot ]; then
  [ $# -ge 2 ] || die "usage: image slot OUT [OPTION...]"
  only=$2
  shift 2
fi
out=build/image config=deploy/image/board.json key="" keys="" version="" security=0
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || die "$1 needs a value"
  case $1 in
    --out) out=$2 ;;
    --config) config=$2 ;;
    --key) key=$2 ;;
    --authorized-keys) keys=$2 ;;
    --version) version=$2 ;;
    --security-version) security=$2 ;;
    *) die "unknown option '$1': see the head of scripts/image.sh" ;;
  esac
  shift 2
done
scripts/install.sh
[ -r "$config" ] || die "cannot read $config"
[ -x build/arm64/dpu ] || die "build/arm64/dpu is missing: ./dev build arm64"
qemu-aarch64-static build/arm64/dpu --check-config "$config" >&2
tree=$(cross/tree.sh image deploy/image/packages.txt)
kernel=$(basename "$tree"/boot/vmlinuz-*)
kernel=${kernel#vmlinuz-}
if [ -z "$version" ]; then
  version=$(qemu-aarch64-static build/arm64/dpu --version)
  version=${version#dpu }
  commit=$(git describe --always --dirty=.changed --exclude='*' 2>/dev/null || true)
  version=$version${commit:++$commit}
fi
mkdir -p "$out"
[ -n "$key" ] || { key=$out/signing.pem && make_key "$key"; }
if [ -n "$only" ]; then
  mkdir -p "$(dirname "$only")"
  make_slot "$only" "$key" "$version" "$config" "$security"
  exit
fi
openssl pkey -in "$key" -pubout -out "$out/signing.pub"

rm -f "$out"/dpu_*_arm64.deb
make_deb "$out/dpu_${version}_arm64.deb" "$version"
make_bf_cfg "$out/dpu_${version}_arm64.deb" "$out/bf.cfg"
cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz"
make_loader "$out/loader.gz" "$out/signing.pub"
make_slot "$out/dpu.image" "$key" "$version" "$config" "$security"
make_disk "$out/disk.img" "$out/dpu.image" "$keys"
echo "made $version in $out" >&2
