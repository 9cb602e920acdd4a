#!/bin/bash
# A board without a board: the image on QEMU's arm64 machine, with virtio network cards whose other
# ends are TAP interfaces in namespaces.
#
#   board-clients                                                  board-host
#   cl0 10.77.0.2, fd77::2 -- virtio [dpu 10.77.0.1] virtio -- host0 10.77.0.10
#   board-link: tmfifo_net0 192.168.100.1 -- virtio, tmfifo_net0 192.168.100.2 with sshd
#
# usage: scripts/board.sh [--uio] [--smoke]
#   --uio     without an IOMMU: the firmware's ports by uio_pci_generic instead of vfio-pci
#   --smoke   checks everything and ends; else the console is here, and Ctrl-A X ends it
# Needs root. All state lies in /run/dpu-board; DPU_BOARD=NAME makes a second board beside the first.
set -euo pipefail
source "$(dirname "$0")/common.sh"

name=${DPU_BOARD:-board}
state=/run/dpu-$name
clients=$name-clients
host=$name-host
link=$name-link
machine=$name-machine
image=$repository/build/image
iommu=true
smoke=false

make_namespaces() {
  local namespace
  for namespace in "$clients" "$host" "$link" "$machine"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
  done
  # QEMU makes each interface in its own namespace and calls this with its name.
  cat >"$state/interface" <<SCRIPT
#!/bin/bash
set -euo pipefail
move() {
  local interface=\$1 namespace=\$2 address
  ip link set "\$interface" netns "\$namespace"
  ip netns exec "\$namespace" ethtool -K "\$interface" tx off >/dev/null
  shift 2
  for address in "\$@"; do
    if [[ \$address == *:* ]]; then
      ip -n "\$namespace" addr add "\$address" dev "\$interface" nodad
    else
      ip -n "\$namespace" addr add "\$address" dev "\$interface"
    fi
  done
  ip -n "\$namespace" link set "\$interface" up
}
case \$1 in
  cl0) move cl0 $clients 10.77.0.2/24 fd77::2/64 ;;
  host0) move host0 $host 10.77.0.10/24 ;;
  tmfifo_net0) move tmfifo_net0 $link 192.168.100.1/30 ;;
esac
SCRIPT
  chmod +x "$state/interface"
}

# A key for this run, and an ssh that finds the board from any namespace.
make_ssh() {
  ssh-keygen -q -t ed25519 -N "" -C "$name" -f "$state/key"
  cat >"$state/ssh_config" <<CONFIG
Host dpu
  HostName 192.168.100.2
  User root
  IdentityFile $state/key
  IdentitiesOnly yes
  UserKnownHostsFile $state/known_hosts
  StrictHostKeyChecking accept-new
  ConnectTimeout 10
  LogLevel ERROR
CONFIG
  mkdir "$state/bin"
  printf '#!/bin/sh\nexec ip netns exec %s /usr/bin/ssh -F %s "$@"\n' "$link" "$state/ssh_config" \
    >"$state/bin/ssh"
  chmod +x "$state/bin/ssh"
}

# machine_arguments SERIAL: the board as QEMU is told, one a line.
machine_arguments() {
  local machine=virt,gic-version=3 port=disable-legacy=on
  if $iommu; then
    machine+=,iommu=smmuv3
    port+=,iommu_platform=on
  fi
  tap() { echo "tap,id=$1,ifname=$2,script=$state/interface,downscript=no,vhost=off"; }
  printf '%s\n' -M "$machine" -cpu cortex-a72 -smp 2 -m 1536 -accel tcg,thread=multi \
    -nodefaults -display none -serial "$1" \
    -kernel "$image/vmlinuz" -initrd "$image/loader.gz" \
    -append "console=ttyAMA0 loglevel=5 panic=5" \
    -netdev "$(tap uplink cl0)" \
    -device "virtio-net-pci,netdev=uplink,addr=2,mac=02:00:00:00:00:02,$port" \
    -netdev "$(tap host host0)" \
    -device "virtio-net-pci,netdev=host,addr=3,mac=02:00:00:00:00:03,$port" \
    -netdev "$(tap link tmfifo_net0)" \
    -device "virtio-net-pci,netdev=link,addr=4,mac=00:1a:ca:ff:ff:01,disable-legacy=on" \
    -drive "file=$state/disk.img,if=none,id=disk,format=raw" \
    -device virtio-blk-pci,drive=disk,addr=5,disable-legacy=on \
    -device i6300esb -action watchdog=reset
}

# The pid of a recorded process, when it still is the one that was recorded.
alive() {
  local pid started now
  read -r pid started <"$1" || return 1
  now=$(awk '{ print $22 }' "/proc/$pid/stat" 2>/dev/null) && [ "$now" = "$started" ] && echo "$pid"
}

down() {
  local file pid namespace
  for file in "$state"/*.pid; do
    [ -e "$file" ] && pid=$(alive "$file") || continue # nothing to end
    kill "$pid"
    for _ in {1..30}; do
      alive "$file" >/dev/null || break
      sleep 0.1
    done
    ! alive "$file" >/dev/null || kill -9 "$pid"
  done
  for namespace in "$clients" "$host" "$link" "$machine"; do
    [ ! -e "/run/netns/$namespace" ] || ip netns del "$namespace"
  done
  rm -rf "$state"
}

while [ $# -gt 0 ]; do
  case $1 in
    --uio) iommu=false ;;
    --smoke) smoke=true ;;
    *) die "usage: board [--uio] [--smoke]" ;;
  esac
  shift
done
require_root
"$repository/scripts/install.sh"
[ -x "$host_build/dpuctl" ] || die "build/host/dpuctl is missing: ./dev build host"
log=$repository/build/image.log
"$repository/scripts/image.sh" >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  die "making the image failed; see $log"
}
for file in "$state"/*.pid; do
  [ ! -e "$file" ] || ! alive "$file" >/dev/null || die "a board named $name runs already"
done
down # what a killed run has left
trap 'status=$?; trap - EXIT; down; exit $status' EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$state"
chmod 700 "$state"
make_namespaces
make_ssh
"$repository/scripts/image.sh" disk "$state/disk.img" "$image/dpu.image" "$state/key.pub"
if $smoke; then
  mapfile -t arguments < <(machine_arguments "file:$state/console.log")
  export PATH=$state/bin:$PATH PYTHONDONTWRITEBYTECODE=1
  /usr/bin/python3 "$repository/scripts/board_smoke.py" --name "$name" -- \
    qemu-system-aarch64 "${arguments[@]}"
  exit
fi
cat <<HOW
The console is here; Ctrl-A X ends the board. From another terminal, as root:
  PATH=$state/bin:\$PATH build/host/dpuctl --host dpu system health
  PATH=$state/bin:\$PATH build/host/dpuctl flash build/image/dpu.image --host dpu
  $state/bin/ssh dpu                                 a shell on the board
  ip netns exec $clients ping 10.77.0.1        the firmware, from where clients are
  ip netns exec $host ping 10.77.0.2           through it, from where the host is
HOW
mapfile -t arguments < <(machine_arguments mon:stdio)
# In the foreground: the terminal is its own.
ip netns exec "$machine" qemu-system-aarch64 "${arguments[@]}"
