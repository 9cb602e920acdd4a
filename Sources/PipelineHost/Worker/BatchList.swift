import P4Pipelines

/// Batches of control operations on their way to a worker and back.
final class BatchList {
  let batches: [ControlBatch]
  init(_ batches: [ControlBatch]) { self.batches = batches }
}
