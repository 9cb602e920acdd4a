import CLinux
import DPUCore
import HostLink

/// A listening socket of the broker, doubled: the kernel keeps serving it, and connections from
/// the firmware join its queue.
///
/// The broker's descriptor becomes an epoll instance that watches the kernel's listener and our
/// queue, so whatever the broker waits with (epoll, poll, select) reports both.
struct Listener: BitwiseCopyable {
  enum State: BitwiseCopyable { case free, open, closing }

  var state = State.free
  /// Descriptors of the broker that name it: more than one after dup.
  var references: Int32 = 0
  /// The kernel's listener.
  var kernel: Int32 = -1
  /// A semaphore: connections in our queue.
  var bell: Int32 = -1
  var family: UInt16 = 0
  /// An IPv6 listener that also takes IPv4.
  var isDual = false
  var address = LinkAddress(high: 0, low: 0, port: 0)
  /// Workers of the firmware that were told of it, one bit each.
  var announcedTo: UInt32 = 0
  var firstWaiting: SlabHandle = .none
  var lastWaiting: SlabHandle = .none
}

/// A connection that waits for the broker's accept.
struct WaitingConnection: BitwiseCopyable {
  var descriptor: Int32 = -1
  var local = LinkAddress(high: 0, low: 0, port: 0)
  var peer = LinkAddress(high: 0, low: 0, port: 0)
  var next: SlabHandle = .none
}

/// What the broker's threads and ours share, under the one lock.
struct BrokerState: ~Copyable {
  var listeners = FixedArray(repeating: Listener(), count: ShimLimits.listenersMax)
  var waiting = Slab(repeating: WaitingConnection(), capacity: ShimLimits.acceptQueueMax)
  var kernelConnections = 0
  var outgoingConnections = 0
  var otherListeners = 0
  /// The rings that are shared with the firmware now, for the certificate.
  var memories = FixedArray(repeating: LinkMemory.none, count: HostLinkLimits.workersMax)
  /// What a firmware on another machine was told of it.
  var claim = CertificateClaim()
  /// That firmware did not acknowledge in time: the helper is to drop the link.
  var mustDrop = false
  var helperRuns = false
  var isExiting = false
  /// This process came of a fork after the helper had been started.
  var wasForked = false
  /// Wakes the helper thread.
  var control: Int32 = -1
  /// Rung by the helper when all is forwarded, before the process ends.
  var drained: Int32 = -1

  func wakeHelper() {
    if helperRuns { clinux_link_eventfd_ring(control) }
  }

  /// The listener that would have got a connection to `local`: of its very address, else a
  /// wildcard of its family, else an IPv6 wildcard that takes IPv4.
  func listener(for local: LinkAddress) -> UInt32? {
    var best: UInt32?
    var bestRank = 0
    for index in 0..<listeners.count {
      let listener = listeners[index]
      guard listener.state == .open, listener.address.port == local.port else { continue }
      var rank = 0
      if listener.address == local {
        rank = 3
      } else if listener.address.isWildcard {
        let isIPv4 = listener.family == System.familyIPv4
        if isIPv4 == local.isIPv4 { rank = 2 } else if listener.isDual, local.isIPv4 { rank = 1 }
      }
      if rank > bestRank {
        bestRank = rank
        best = UInt32(index)
      }
    }
    return best
  }

  /// Queues a connection for the broker's accept. False when the queue is full.
  mutating func enqueue(_ connection: WaitingConnection, at index: UInt32) -> Bool {
    guard let handle = waiting.insert(connection) else { return false }
    if listeners[index].firstWaiting == .none {
      listeners[index].firstWaiting = handle
    } else {
      waiting[listeners[index].lastWaiting].next = handle
    }
    listeners[index].lastWaiting = handle
    clinux_link_eventfd_ring(listeners[index].bell)
    return true
  }

  mutating func dequeue(_ index: UInt32) -> WaitingConnection? {
    // Taken even when nothing waits: after a fork the bell is shared with the other process.
    clinux_link_eventfd_take(listeners[index].bell)
    let handle = listeners[index].firstWaiting
    guard handle != .none else { return nil }
    let connection = waiting[handle]
    waiting.remove(handle)
    listeners[index].firstWaiting = connection.next
    return connection
  }

  /// Drops all connections that wait, without touching their descriptors.
  mutating func forgetWaiting() {
    for index in 0..<listeners.count { listeners[index].firstWaiting = .none }
    for index in 0..<UInt32(waiting.capacity) {
      if let handle = waiting.handle(at: index) { waiting.remove(handle) }
    }
  }

  /// Belongs to a listener that is open.
  func listensWith(_ descriptor: Int32) -> Bool {
    for index in 0..<listeners.count where listeners[index].state == .open {
      if listeners[index].kernel == descriptor || listeners[index].bell == descriptor {
        return true
      }
    }
    return false
  }
}

/// The broker's process as the interposed calls and the helper thread see it.
@safe
final class Broker: @unchecked Sendable {
  static let shared = Broker()

  /// `DPU_SHIM_SOCKET`; nil: the shim does nothing.
  private let socket: UnsafePointer<CChar>?
  /// Where it says that the firmware of another machine listens; nil: it is a path of this one.
  let remote: clinux_link_address?
  private let logPath: UnsafePointer<CChar>?
  let descriptors: DescriptorTable
  private var state = BrokerState()

  private init() {
    let named = unsafe clinux_link_environment("DPU_SHIM_SOCKET")
    unsafe logPath = clinux_link_environment("DPU_SHIM_LOG")
    descriptors = DescriptorTable()
    var address = clinux_link_address()
    let kind =
      if let named = unsafe named { unsafe clinux_link_parse_place(named, &address) } else {
        Int32(0)
      }
    remote = kind > 0 ? address : nil
    unsafe socket = kind < 0 ? nil : named
    if kind < 0 { log("DPU_SHIM_SOCKET is neither a path nor tcp:ADDRESS:PORT") }
  }

  var isEnabled: Bool { unsafe socket != nil && descriptors.isUsable }

  /// Connects to a firmware of this machine; a descriptor or a negative errno.
  func connectLocally() -> Int32 { unsafe clinux_link_unix_connect(socket!) }

  /// The only way to the shared state. Must not be nested, and nothing in it may call an
  /// interposed function.
  func locked<Result>(_ body: (inout BrokerState) -> Result) -> Result {
    clinux_link_lock()
    let result = body(&state)
    clinux_link_unlock()
    return result
  }

  /// For the fork handler, which runs with the lock taken.
  func alreadyLocked(_ body: (inout BrokerState) -> Void) { body(&state) }

  func log(_ text: StaticString, _ number: Int64 = .min) {
    guard let path = unsafe logPath else { return }
    unsafe text.utf8Start.withMemoryRebound(to: CChar.self, capacity: text.utf8CodeUnitCount) {
      unsafe clinux_link_log(path, $0, number)
    }
  }
}
