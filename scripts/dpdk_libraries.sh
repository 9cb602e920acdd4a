# Sourced by build.sh: what of DPDK goes into the firmware, the same for every processor.

# Drivers register themselves when the program starts, so all of each archive is linked.
dpdk_drivers="bus_vdev bus_pci bus_auxiliary common_mlx5 mempool_ring
  net_null net_ring net_tap net_af_packet net_af_xdp net_memif net_virtio net_vhost net_mlx5"
dpdk_libraries="eal ethdev mempool mbuf ring kvargs telemetry net meter hash rcu pci security
  cryptodev timer vhost dmadev gso ip_frag"
# What the drivers need besides.
system_libraries="mlx5 ibverbs nl-route-3 nl-3 xdp bpf elf z numa bsd md fdt crypto atomic jansson
  pthread m dl"

# Prints the linker's arguments for SwiftPM, one a line.
dpdk_link_arguments() {
  local name
  local arguments=(--whole-archive)
  for name in $dpdk_drivers; do arguments+=("-l:librte_$name.a"); done
  arguments+=(--no-whole-archive --start-group)
  for name in $dpdk_libraries; do arguments+=("-l:librte_$name.a"); done
  arguments+=(--end-group)
  for name in $system_libraries; do arguments+=("-l$name"); done
  printf -- '-Xlinker\n%s\n' "${arguments[@]}"
}
