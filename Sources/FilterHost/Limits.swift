import HBPFBridge

/// Capacities of this module, each with its reason.
package enum FilterLimits {
  /// The uplink and the host port.
  package static let ports = 2
  /// Frames that wait for the FPGA or are in it: eight bursts, so that a device that keeps up on
  /// average loses nothing when all ports burst.
  package static let held = 256
  /// Entries of a map that one question reads, and the bytes of their keys and values.
  package static let entriesPerAnswer = 64
  package static let entryBytes = HBPFLimits.mapKeyBytes + HBPFLimits.mapValueBytes
  /// An object file over the socket, as hexadecimal digits; a request has 1 MiB.
  package static let programBytes = 500_000
  /// Instructions that one packet may take in the FPGA: what the verifier follows at most.
  package static let deviceInstructions = UInt32(Verifier.stepsMax)
}

/// The length of an inline array must be a literal, so the limit stands here a second time.
typealias PerPort<Element> = InlineArray<2, Element>
