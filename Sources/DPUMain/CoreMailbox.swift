import ControlPlane
import DPUCore
import PacketWire
import Synchronization

/// What the control thread asks of a poll loop.
enum CoreQuestion: BitwiseCopyable {
  case connections(offset: Int, limit: Int)
  case clients(offset: Int, limit: Int)
  /// For the topic and the client in the mailbox; `anyClient` when the latter is not given.
  case explain(anyClient: Bool)
  case link
}

/// One question at a time from the control thread to a worker, and the rows of its answer.
///
/// The poll loop looks once per turn whether something was asked, which costs one load. Whoever
/// may touch the other members is decided by the two counts: the control thread while they are
/// equal, the worker otherwise. Boxes are made at start-up and live as long as the process.
@safe
struct CoreMailbox: BitwiseCopyable, @unchecked Sendable {
  /// What travels in the box.
  struct Contents: ~Copyable {
    let asked = Atomic<UInt64>(0)
    let answered = Atomic<UInt64>(0)
    var question = CoreQuestion.link
    var topic = FixedArray<UInt8>(repeating: 0, count: FirmwareLimits.topicBytes)
    var topicCount = 0
    var client = FixedArray<UInt8>(repeating: 0, count: FirmwareLimits.topicBytes)
    var clientCount = 0

    /// Rows written, and rows there are in all.
    var count = 0
    var total = 0
    var connections = FixedArray<ConnectionRow>(
      repeating: .none, count: FirmwareLimits.rowsPerAnswer)
    var clients = FixedArray<MQTTClientRow>(repeating: .none, count: FirmwareLimits.rowsPerAnswer)
    var receivers = FixedArray<ExplainReceiver>(
      repeating: ExplainReceiver(core: 0, clientID: ShortText(), grantedQoS: 0),
      count: FirmwareLimits.receiversPerAnswer)
    var explanation = Explanation()
    var link = LinkState()
  }

  /// `ExplainResult` without its list.
  struct Explanation: BitwiseCopyable {
    var decision: StaticString = ""
    var reason: StaticString = ""
    var isCertified = false
    var verdict: StaticString = "none"
    var verdictAge: Interval?
    var generation: UInt64 = 0
    var matchingSubscriptions = 0
    var clientFound = true
  }

  struct LinkState: BitwiseCopyable {
    var isUp = false
    var isStalled = false
    var certificate: UInt32 = 0
    var channels = 0
    var listeners = InlineArray<16, Endpoint>(
      repeating: Endpoint(address: Address(high: 0, low: 0), port: 0))
    var listenerCount = 0
    var freeBlocks = 0
    var lowWaterBlocks = 0
  }

  private let contents: UnsafeMutablePointer<Contents>

  init() {
    unsafe contents = .allocate(capacity: 1)
    unsafe contents.initialize(to: Contents())
  }

  // MARK: The worker's side

  /// Whether an answer is due. Once per turn.
  @inline(__always)
  var isAsked: Bool {
    unsafe contents.pointee.asked.load(ordering: .acquiring)
      != contents.pointee.answered.load(ordering: .relaxed)
  }

  /// Lets the worker write the answer, then hands the box back.
  @inline(__always)
  func answer(_ body: (inout Contents) -> Void) {
    unsafe body(&contents.pointee)
    unsafe contents.pointee.answered.store(
      contents.pointee.asked.load(ordering: .relaxed), ordering: .releasing)
  }

  // MARK: The control thread's side

  /// Whether the worker still owes the answer to an earlier question.
  var isBusy: Bool {
    unsafe contents.pointee.answered.load(ordering: .acquiring)
      != contents.pointee.asked.load(ordering: .relaxed)
  }

  /// Asks; `prepare` fills in the question. Not while the box is busy.
  func ask(_ prepare: (inout Contents) -> Void) {
    unsafe prepare(&contents.pointee)
    unsafe contents.pointee.asked.wrappingAdd(1, ordering: .releasing)
  }

  /// Looks at the answer. Not while the box is busy.
  func read<Result>(_ body: (borrowing Contents) -> Result) -> Result {
    unsafe body(contents.pointee)
  }
}

extension ConnectionRow {
  /// A row not filled yet.
  static let none = ConnectionRow(
    core: 0, id: 0, remote: .none, local: .none, state: "", service: "")
}

extension MQTTClientRow {
  static let none = MQTTClientRow(
    core: 0, id: 0, remote: .none, clientID: ShortText(), version: "", mode: "")
}

extension Endpoint {
  static let none = Endpoint(address: Address(high: 0, low: 0), port: 0)

  init(_ address: SocketAddress) {
    self.init(
      address: Address(high: address.ip.high, low: address.ip.low), port: address.port)
  }
}
