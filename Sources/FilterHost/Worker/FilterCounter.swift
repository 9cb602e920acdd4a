import DPUCore

/// What a worker counts of the frames of one port with a filter.
package enum FilterCounter: Int, CounterKey {
  case framesIn
  case passed
  /// The filter said so.
  case droppedByVerdict
  case transmitted
  case redirected
  /// To a port that is not there, or to none that `bpf_redirect` named.
  case droppedNoPort
  /// The filter said that it could not do its work, or said nothing that is a verdict.
  case aborted
  /// The filter was stopped; nothing that the verifier accepts should be.
  case faulted
  /// More bytes than the memory of a filter has for a packet.
  case tooLong
  /// Of the last three: those that the policy dropped, and those it let pass.
  case droppedUnanswered
  case passedUnanswered
  case framesToDevice
  case framesFromDevice
  /// More frames waited for the device than there is room for.
  case droppedDeviceFull
  /// The device was given up: it took too long.
  case deviceTimeouts
  /// What became of frames while the device was dead, by policy.
  case droppedDeadDevice
  case passedDeadDevice
  case softwareDeadDevice
  /// Waited for the device when its filter was taken away.
  case droppedUnloaded

  package var name: StaticString {
    switch self {
    case .framesIn: "framesIn"
    case .passed: "passed"
    case .droppedByVerdict: "droppedByVerdict"
    case .transmitted: "transmitted"
    case .redirected: "redirected"
    case .droppedNoPort: "droppedNoPort"
    case .aborted: "aborted"
    case .faulted: "faulted"
    case .tooLong: "tooLong"
    case .droppedUnanswered: "droppedUnanswered"
    case .passedUnanswered: "passedUnanswered"
    case .framesToDevice: "framesToDevice"
    case .framesFromDevice: "framesFromDevice"
    case .droppedDeviceFull: "droppedDeviceFull"
    case .deviceTimeouts: "deviceTimeouts"
    case .droppedDeadDevice: "droppedDeadDevice"
    case .passedDeadDevice: "passedDeadDevice"
    case .softwareDeadDevice: "softwareDeadDevice"
    case .droppedUnloaded: "droppedUnloaded"
    }
  }
}
