#!/bin/bash
# The lab: the product on a machine without a DPU, in network namespaces.
#
#   lab-clients                lab-dpu                          lab-host
#   cl0 10.77.0.2, fd77::2 --- uplink0 [dpu 10.77.0.1] host1 -- host0 10.77.0.10
#   cl1 10.77.1.2 --------------------------------------------- br1 10.77.1.1
#                              link0 192.168.100.2 ------------ link1 192.168.100.1
#
# In lab-host run two unmodified mosquittos: one under the shim (offloaded at 10.77.0.1:1883 and
# fd77::1, its kernel listener at 10.77.1.1:1883), and a stock one at 10.77.1.1:1884 to compare with.
# The link stands for the one between the system of a DPU and that of its host: with
# DPU_LAB_CARRIER=tcp the shim reaches the firmware over it, else through a socket and shared memory.
# All state lies in /run/dpu-lab. DPU_LAB=NAME makes a second lab beside the first.
set -euo pipefail
source "$(dirname "$0")/common.sh"

name=${DPU_LAB:-lab}
state=/run/dpu-$name
clients=$name-clients
middle=$name-dpu
host=$name-host
lossy=$name-lossy
# The core of the poll loop, and the one of the broker behind it. Clients may use any.
firmware_core=${DPU_LAB_FIRMWARE_CORE:-1}
broker_core=${DPU_LAB_BROKER_CORE:-0}
carrier=${DPU_LAB_CARRIER:-memory}
all_cores=0-$(($(nproc) - 1))
processes=(firmware broker stock)

# --- processes -------------------------------------------------------------------------------

# "PID STARTTIME" of a running process: a reused pid has another start time.
identity() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086 # split into fields; the name before them may hold blanks
  set -- $1 ${stat##*) }
  [ "$2" != Z ] || return 1
  echo "$1 ${21}"
}

# The pid of one of our processes, when it still runs.
alive() {
  local recorded pid
  recorded=$(cat "$state/$1.pid" 2>/dev/null) || return 1
  pid=${recorded% *}
  [ "$(identity "$pid")" = "$recorded" ] && echo "$pid"
}

# start NAME NAMESPACE CORES COMMAND...
start() {
  local process=$1 namespace=$2 cores=$3
  shift 3
  setsid ip netns exec "$namespace" taskset -c "$cores" "$@" \
    >>"$state/$process.log" 2>&1 </dev/null &
  identity $! >"$state/$process.pid"
}

stop() {
  local pid
  pid=$(alive "$1") || return 0
  kill "$pid"
  for _ in {1..50}; do
    alive "$1" >/dev/null || return 0
    sleep 0.1
  done
  echo "lab: $1 ($pid) does not stop; killing it" >&2
  kill -9 "$pid"
}

# A thousand connections and more at the broker, each with two descriptors under the shim.
raise_descriptor_limit() {
  local hard
  hard=$(ulimit -Hn)
  [ "$hard" != unlimited ] && [ "$hard" -lt 65536 ] || hard=65536
  ulimit -n "$hard"
}

start_firmware() {
  start firmware "$middle" "$all_cores" "$host_build/dpu" --config "$state/dpu.json"
}

start_broker() {
  local place=$state/link.sock
  [ "$carrier" = memory ] || place=tcp:$(jq -r '.hostLink.listen' "$state/dpu.json")
  start broker "$host" "$broker_core" env LD_PRELOAD="$host_build/libdpushim.so" \
    DPU_SHIM_SOCKET="$place" mosquitto -c "$state/broker.conf"
}

start_stock() {
  start stock "$host" "$all_cores" mosquitto -c "$state/stock.conf"
}

# --- what up makes ---------------------------------------------------------------------------

make_network() {
  local namespace
  for namespace in "$clients" "$middle" "$host"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
  done
  # The firmware's interface belongs to the firmware alone: no kernel IPv6 chatter on it.
  ip netns exec "$middle" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
    net.ipv6.conf.default.disable_ipv6=1
  ip link add cl0 netns "$clients" type veth peer name uplink0 netns "$middle"
  ip link add host0 netns "$host" type veth peer name host1 netns "$middle"
  ip link add cl1 netns "$clients" type veth peer name br1 netns "$host"
  ip link add link0 netns "$middle" type veth peer name link1 netns "$host"
  # A veth peer gets frames with unfinished checksums and 64 KB segments; the firmware wants
  # frames as on a wire. The pair that only Linux uses stays as Linux makes it.
  ip netns exec "$clients" ethtool -K cl0 tx off >/dev/null
  ip netns exec "$host" ethtool -K host0 tx off >/dev/null
  ip -n "$clients" addr add 10.77.0.2/24 dev cl0
  ip -n "$clients" addr add fd77::2/64 dev cl0 nodad
  ip -n "$clients" addr add 10.77.1.2/24 dev cl1
  ip -n "$host" addr add 10.77.0.10/24 dev host0
  ip -n "$host" addr add 10.77.1.1/24 dev br1
  ip -n "$middle" addr add 192.168.100.2/30 dev link0
  ip -n "$host" addr add 192.168.100.1/30 dev link1
  ip -n "$clients" link set cl0 up
  ip -n "$clients" link set cl1 up
  ip -n "$middle" link set uplink0 up
  ip -n "$middle" link set host1 up
  ip -n "$host" link set host0 up
  ip -n "$host" link set br1 up
  ip -n "$middle" link set link0 up
  ip -n "$host" link set link1 up
}

broker_configuration() {
  printf 'listener %s\nallow_anonymous true\npersistence false\nlog_dest stderr\n' "$1"
}

make_files() {
  chmod 755 "$state" # the shim attaches as user mosquitto
  broker_configuration 1883 >"$state/broker.conf"
  broker_configuration 1884 >"$state/stock.conf"
  sed "s|@STATE@|$state|g; s|@NAME@|$name|g; s|@CORE@|$firmware_core|g; s|@BROKER_CORE@|$broker_core|g
    s|@REPOSITORY@|$repository|g" "$1" >"$state/dpu.json"
}

# Beside FILE.json may stand FILE.dpuctl: what the operator does first, one dpuctl command a line.
run_commands() {
  local file=${1%.json}.dpuctl line words host_mac
  [ "$file" != "$1" ] && [ -r "$file" ] || return 0
  host_mac=$(ip -n "$host" -json link show host0 | jq -r '.[0].address')
  while IFS= read -r line; do
    read -ra words <<<"${line//@HOST_MAC@/$host_mac}"
    [ ${#words[@]} = 0 ] || [[ "${words[0]}" == \#* ]] && continue
    "$host_build/dpuctl" --socket "$(control_socket)" "${words[@]}" >>"$state/commands.log" </dev/null ||
      fail_up "dpuctl $line"
  done <"$file"
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
  local end=$((SECONDS + $1)) what=$2 process
  shift 2
  until "$@" >/dev/null 2>&1; do
    for process in "${processes[@]}"; do
      alive "$process" >/dev/null || fail_up "$process has stopped"
    done
    [ $SECONDS -lt $end ] || fail_up "no $what"
    sleep 0.1
  done
}

fail_up() {
  echo "lab: $1" >&2
  tail -n 20 "$state"/*.log >&2
  exit 1
}

in_clients() { ip netns exec "$clients" "$@"; }
control_socket() { jq -r '.control.socket' "$state/dpu.json"; }

up() {
  local config=$repository/scripts/lab.json
  if [ "${1:-}" = --config ] && [ $# = 2 ]; then
    config=$2
    [ -r "$config" ] || die "cannot read $config"
  elif [ $# != 0 ]; then
    die "usage: lab up [--config FILE]"
  fi
  local file
  for file in dpu libdpushim.so dpuctl; do
    [ -e "$host_build/$file" ] || die "build/host/$file is missing: ./dev build host"
  done
  if [ -e "$state/ready" ] && alive firmware >/dev/null && alive broker >/dev/null; then
    die "the lab is up already; ./dev lab down"
  fi
  down # what an interrupted run has left
  trap 'status=$?; trap - EXIT; down; exit $status' EXIT
  trap 'exit 130' INT TERM HUP
  mkdir -p "$state"
  make_files "$config"
  make_network
  raise_descriptor_limit
  start_firmware
  start_broker
  start_stock
  await_ready "$config"
  touch "$state/ready"
  trap - EXIT INT TERM HUP
  echo "lab: up; offloaded broker at 10.77.0.1:1883 and fd77::1, kernel path at 10.77.1.1:1883" >&2
}

await_ready() {
  local dpuctl=("$host_build/dpuctl" --socket "$(control_socket)" --json)
  wait_for 20 "answer on the control socket" "${dpuctl[@]}" system health
  run_commands "$1"
  wait_for 10 "answer to ping 10.77.0.1" in_clients ping -c 1 -W 1 10.77.0.1
  wait_for 10 "answer to ping fd77::1" in_clients ping -c 1 -W 1 fd77::1
  wait_for 10 "broker at 10.77.0.1:1883" in_clients bash -c '</dev/tcp/10.77.0.1/1883'
  wait_for 10 "broker at 10.77.1.1:1884" in_clients bash -c '</dev/tcp/10.77.1.1/1884'
}

down() {
  local process namespace pids
  for process in "${processes[@]}"; do stop "$process"; done
  for namespace in "$clients" "$middle" "$host" "$lossy"; do
    [ -e "/run/netns/$namespace" ] || continue
    # Whatever still runs inside was started through `exec`.
    pids=$(ip netns pids "$namespace")
    # shellcheck disable=SC2086 # a list
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
    ip netns del "$namespace"
  done
  rm -rf "$state"
}

# --- the other verbs -------------------------------------------------------------------------

status() {
  local process pid entries=() is_up=false
  for process in "${processes[@]}"; do
    if pid=$(alive "$process"); then entries+=("\"$process\":$pid"); else entries+=("\"$process\":null"); fi
  done
  [ -e "$state/ready" ] && is_up=true
  [[ "${entries[*]}" == *null* ]] && is_up=false
  local json
  json=$(
    IFS=,
    jq -n --argjson up "$is_up" --argjson pids "{${entries[*]}}" --arg state "$state" \
      --arg socket "$(control_socket 2>/dev/null || true)" --arg clients "$clients" \
      --arg middle "$middle" --arg host "$host" '{
      up: $up, pids: $pids, state: $state, socket: $socket,
      shimSocket: ($state + "/link.sock"),
      namespaces: {clients: $clients, dpu: $middle, host: $host},
      interfaces: [
        {name: "cl0", namespace: $clients, addresses: ["10.77.0.2/24", "fd77::2/64"], peer: "uplink0"},
        {name: "uplink0", namespace: $middle, addresses: [], peer: "cl0"},
        {name: "cl1", namespace: $clients, addresses: ["10.77.1.2/24"], peer: "br1"},
        {name: "host1", namespace: $middle, addresses: [], peer: "host0"},
        {name: "host0", namespace: $host, addresses: ["10.77.0.10/24"], peer: "host1"},
        {name: "br1", namespace: $host, addresses: ["10.77.1.1/24"], peer: "cl1"},
        {name: "link0", namespace: $middle, addresses: ["192.168.100.2/30"], peer: "link1"},
        {name: "link1", namespace: $host, addresses: ["192.168.100.1/30"], peer: "link0"}],
      addresses: {
        offload: ["10.77.0.1:1883", "[fd77::1]:1883"], echo: ["10.77.0.1:7", "[fd77::1]:7"],
        kernel: "10.77.1.1:1883", stock: "10.77.1.1:1884"}}'
  )
  if [ "${1:-}" = --json ]; then
    echo "$json"
  else
    jq -r '(if .up then "up" else "down" end),
      (.pids | to_entries[] | "  \(.key)\tpid \(.value // "-")"),
      "  socket\t\(.socket)",
      (.interfaces[] | "  \(.name)\tin \(.namespace) \(.addresses | join(" "))"),
      (.addresses | to_entries[] | "  \(.key)\t\(.value | if type == "array" then join(" ") else . end)")' \
      <<<"$json"
  fi
  [ $is_up = true ]
}

# Runs a command as a client of its own, behind a relay that loses and reorders frames.
behind_relay() {
  if [ -e "/run/netns/$lossy" ]; then # a killed run may have left it
    [ -z "$(ip netns pids "$lossy")" ] || die "a command runs behind the relay already"
    ip netns del "$lossy"
  fi
  ip netns add "$lossy"
  trap 'ip netns del "$lossy" 2>/dev/null || true' EXIT
  in_clients /usr/bin/python3 "$repository/scripts/lab_relay.py" \
    --namespace "$lossy" --interface cl0 --address 10.77.0.3/24 "$@"
}

# Takes one process away, or brings it back, while the rest stays.
one_process() {
  local verb=$1 process=$2
  [[ " ${processes[*]} " == *" $process "* ]] || die "no process '$process'"
  [ -e "$state/ready" ] || die "the lab is not up"
  case $verb in
    stop) stop "$process" ;;
    kill) kill -9 "$(alive "$process")" ;;
    start)
      ! alive "$process" >/dev/null || die "$process runs already"
      raise_descriptor_limit
      "start_$process"
      ;;
  esac
}

main() {
  local verb=${1:-help}
  shift || true
  case $verb in
    status)
      "$repository/scripts/install.sh"
      status "$@"
      ;;
    up)
      require_root
      "$repository/scripts/install.sh"
      up "$@"
      ;;
    down)
      require_root
      down
      ;;
    exec)
      require_root
      [ "${1:-}" = -- ] && shift
      [ $# -gt 0 ] || die "usage: lab exec -- CMD"
      [ -e "/run/netns/$clients" ] || die "the lab is not up"
      exec ip netns exec "$clients" "$@"
      ;;
    lossy)
      require_root
      [ -e "/run/netns/$clients" ] || die "the lab is not up"
      behind_relay "$@"
      ;;
    start | stop | kill)
      require_root
      one_process "$verb" "${1:-}"
      ;;
    *) die "usage: lab up [--config FILE] | status [--json] | exec -- CMD | lossy [...] -- CMD | start|stop|kill PROCESS | down" ;;
  esac
}

main "$@"
