package import DPUCore

/// A packet on its way to the control plane.
package struct PacketInHeader: BitwiseCopyable, Sendable {
  /// The pipeline.
  package var slot: Int
  /// When it left the pipeline.
  package var at: Instant
}

/// Packets that left through a CPU port, from one worker to the control thread.
package typealias PacketInRing = RecordRing<PacketInHeader>

extension PacketInRing {
  package init() {
    self.init(
      PacketInHeader(slot: 0, at: .zero), capacity: PipelineLimits.packetsIn,
      placeBytes: PipelineLimits.packetBytes)
  }
}
