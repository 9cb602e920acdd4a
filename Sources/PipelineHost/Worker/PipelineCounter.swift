import DPUCore

/// What a worker counts at the edges of its pipelines; inside, each switch counts for itself.
package enum PipelineCounter: Int, CounterKey {
  case framesIn
  case framesFromStack
  case framesToPorts
  case framesToStack
  case packetsIn
  case packetsOut
  /// More than the pipeline took in; it had no time.
  case droppedArrivalsFull
  /// Sent to a port number that stands for nothing.
  case droppedPortNotMapped
  case droppedPacketInFull
  case droppedPacketOutNoBuffer
  case droppedPacketOutFull
  case droppedPacketOutTooLong

  package var name: StaticString {
    switch self {
    case .framesIn: "framesIn"
    case .framesFromStack: "framesFromStack"
    case .framesToPorts: "framesToPorts"
    case .framesToStack: "framesToStack"
    case .packetsIn: "packetsIn"
    case .packetsOut: "packetsOut"
    case .droppedArrivalsFull: "droppedArrivalsFull"
    case .droppedPortNotMapped: "droppedPortNotMapped"
    case .droppedPacketInFull: "droppedPacketInFull"
    case .droppedPacketOutNoBuffer: "droppedPacketOutNoBuffer"
    case .droppedPacketOutFull: "droppedPacketOutFull"
    case .droppedPacketOutTooLong: "droppedPacketOutTooLong"
    }
  }
}
