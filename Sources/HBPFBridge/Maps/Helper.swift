/// The functions of Linux's numbering that programs may call in software.
package enum Helper: UInt32, CaseIterable, Sendable {
  /// `bpf_map_lookup_elem(map, key)`: the address of the value, or null.
  case lookup = 1
  /// `bpf_map_update_elem(map, key, value, flags)`: 0, or a negative error.
  case update = 2
  /// `bpf_map_delete_elem(map, key)`: 0, or a negative error.
  case delete = 3
  /// `bpf_ktime_get_ns()`: the time of the burst.
  case time = 5
  /// `bpf_get_prandom_u32()`
  case random = 7
  /// `bpf_get_smp_processor_id()`: the number of the worker.
  case processor = 8
  /// `bpf_redirect(port, flags)`: notes the port and gives `XDP_REDIRECT`.
  case redirect = 23

  package static let numbers: [UInt32] = allCases.map { $0.rawValue }

  package var name: StaticString {
    switch self {
    case .lookup: "bpf_map_lookup_elem"
    case .update: "bpf_map_update_elem"
    case .delete: "bpf_map_delete_elem"
    case .time: "bpf_ktime_get_ns"
    case .random: "bpf_get_prandom_u32"
    case .processor: "bpf_get_smp_processor_id"
    case .redirect: "bpf_redirect"
    }
  }
}
