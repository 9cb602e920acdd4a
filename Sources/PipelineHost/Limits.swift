import ControlPlane
import P4Pipelines

/// Capacities of this module, each with its reason.
package enum PipelineLimits {
  /// As many as the configuration may name.
  package static let slots = 4
  /// Packets that wait for the control plane. A controller that looks every 10 ms keeps up with
  /// 25,000 a second; a program that punts more than that gets a meter.
  package static let packetsIn = 256
  /// Packets that wait on the control thread for a client.
  package static let backlog = 1_024
  /// Bytes of one of them: the largest MTU with headers and what a program may put in front.
  package static let packetBytes = 9_216
  /// Packets that the control plane sends in one question: a burst, copied in a few microseconds.
  package static let packetsOut = 32
  /// Digests, idle entries or messages that one question takes.
  package static let recordsPerAnswer = 64
  /// Bytes of the digests of one answer. A digest has some tens.
  package static let digestBytes = 1 << 16
  /// Writes that a batch without "atomic" applies between two turns: about 30 us.
  package static let writesPerTurn = 32
  /// Elements of an array that one question reads or writes: about 1 us.
  package static let elementsPerTurn = 1_024
  /// Elements of an array in one reply.
  package static let elementsPerReply = 65_536
  /// Entries that one question reads; each is taken apart into its fields, about 1 us.
  package static let entriesPerTurn = 16

  /// Steps of a trace that are told; the firewall takes some 60 for a packet.
  package static let traceSteps = 4_096

  static func check() {
    precondition(slots == ControlPlane.Limits.pipelines)
    precondition(ControlPlane.Limits.pipelinePortMax < SwitchLimits.dropPort)
    precondition(digestBytes >= packetBytes)
  }
}

/// The length of an inline array must be a literal, so the limit stands here a second time.
typealias PerSlot<Element> = InlineArray<4, Element>
