import ControlPlane
import DPUCore
import MQTTOffload
import PacketWire

/// What the control thread asks of a poll loop.
enum CoreQuestion: BitwiseCopyable {
  case connections(offset: Int, limit: Int)
  case clients(offset: Int, limit: Int)
  /// For the topic and the client in the mailbox; `anyClient` when the latter is not given.
  case explain(anyClient: Bool)
  /// Of those in the places from `place` on, after the next `skipping`.
  case subscriptions(place: Int, skipping: Int, limit: Int)
  case link
  case adopt(OffloadPolicy)
  /// The connection; `clientFound` says whether it was there.
  case drop(SlabHandle)
  /// The client in the mailbox; the same.
  case disconnect
  /// Frames to copy for a capture; of no ports: none.
  case capture(ports: UInt64, copyBytes: Int)
}

/// Where the control thread asks a worker about connections and clients.
typealias CoreMailbox = Mailbox<CoreContents>

/// What travels in a `CoreMailbox`.
struct CoreContents: ~Copyable {
  var question = CoreQuestion.link
  /// The topic of a question, or the filters of the rows in `subscriptions` one after the other.
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
  var subscriptions = FixedArray<SubscriptionEntry>(
    repeating: SubscriptionEntry(), count: FirmwareLimits.rowsPerAnswer)
  /// Where the listing of subscriptions goes on; nil at its end.
  var nextPlace: Int?
  /// Subscriptions that were passed over.
  var skipped = 0
  var receivers = FixedArray<ExplainReceiver>(
    repeating: ExplainReceiver(core: 0, clientID: ShortText(), grantedQoS: 0),
    count: FirmwareLimits.receiversPerAnswer)
  var explanation = Explanation()
  var link = LinkState()

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

  /// `SubscriptionRow` without its filter.
  struct SubscriptionEntry: BitwiseCopyable {
    var client: ShortText?
    var filterCount = 0
    var isShared = false
    var grantedQoS: UInt8 = 0
    var isNoLocal = false
    var identifier: UInt32 = 0
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
