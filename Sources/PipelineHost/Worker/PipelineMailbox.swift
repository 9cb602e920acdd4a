package import DPUCore
package import P4Pipelines

/// What the control thread asks of a worker about its pipelines.
package enum PipelineQuestion: BitwiseCopyable, Sendable {
  case nothing
  /// Takes a program in place of the one in the slot, if there is one. nil: only takes it away.
  case install(slot: Int, PipelineHandle?)
  /// Applies the batches of the `BatchList` whose address this is; the control thread keeps it.
  case apply(slot: Int, batches: UInt)
  /// Lets packets come in on a port: `count` of them, one after the other in `bytes`, with their
  /// lengths in `lengths`.
  case packetsOut(slot: Int, port: Int, count: Int)
  case digests(slot: Int, limit: Int)
  case idle(slot: Int, limit: Int)
  case logs(slot: Int, limit: Int)
  /// Hits and misses of a table.
  case tableStatistics(slot: Int, table: Int)
}

package typealias PipelineMailbox = Mailbox<PipelineExchange>

/// What travels in a `PipelineMailbox`.
package struct PipelineExchange: ~Copyable {
  package var question = PipelineQuestion.nothing
  /// What was in the slot before `install`.
  package var previous: PipelineHandle?
  /// There is a program in the slot.
  package var isLoaded = false
  /// Records written or packets taken.
  package var count = 0
  package var bytes = FixedArray<UInt8>(
    repeating: 0, count: PipelineLimits.packetsOut * PipelineLimits.packetBytes)
  package var lengths = FixedArray<Int>(repeating: 0, count: PipelineLimits.recordsPerAnswer)
  package var digests = FixedArray<DigestHeader?>(
    repeating: nil, count: PipelineLimits.recordsPerAnswer)
  package var idle = FixedArray<IdleRecord?>(
    repeating: nil, count: PipelineLimits.recordsPerAnswer)
  package var logs = FixedArray<LogRecord?>(
    repeating: nil, count: PipelineLimits.recordsPerAnswer)
  package var hits: UInt64 = 0
  package var misses: UInt64 = 0

  package init() {}
}
