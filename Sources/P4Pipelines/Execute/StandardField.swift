/// A field of v1model's `standard_metadata` (and of `intrinsic_metadata`, as older programs call
/// it) that the switch reads or writes around a control.
///
/// A program may lack a field, or never touch it; then the machine keeps no lane for it: reading
/// gives 0, writing does nothing.
package enum StandardField: Int, CaseIterable, BitwiseCopyable, Sendable {
  case ingressPort, egressSpec, egressPort, instanceType, packetLength
  case enqueueTimestamp, enqueueDepth, dequeueDelta, dequeueDepth
  case ingressTimestamp, egressTimestamp
  case multicastGroup, egressReplica, checksumError, parserError, priority

  /// As the field is called in the program's `standard_metadata`.
  package var name: StaticString {
    switch self {
    case .ingressPort: "ingress_port"
    case .egressSpec: "egress_spec"
    case .egressPort: "egress_port"
    case .instanceType: "instance_type"
    case .packetLength: "packet_length"
    case .enqueueTimestamp: "enq_timestamp"
    case .enqueueDepth: "enq_qdepth"
    case .dequeueDelta: "deq_timedelta"
    case .dequeueDepth: "deq_qdepth"
    case .ingressTimestamp: "ingress_global_timestamp"
    case .egressTimestamp: "egress_global_timestamp"
    case .multicastGroup: "mcast_grp"
    case .egressReplica: "egress_rid"
    case .checksumError: "checksum_error"
    case .parserError: "parser_error"
    case .priority: "priority"
    }
  }
}
