/// Capacities of this module.
package enum FramesLimits {
  /// Frames per burst. 32 is what DPDK's vector receive paths are built for; larger bursts add
  /// latency, smaller ones lose the amortised cost of the driver call.
  package static let framesPerBurst = 32
}

/// The length of an inline array must be a literal, so the limit stands here a second time.
package typealias BurstOf<Element> = InlineArray<32, Element>
