import CLinux
import DPUCore
import HostLink
import Synchronization

/// What passes between one worker and the thread that holds the link's sockets.
struct HostLinkMailbox: BitwiseCopyable, Sendable {
  /// An attach, its detach, and the next attach at most.
  let commands = SPSCRing(repeating: LinkCommand.detach, capacity: 4)
  let notices = SPSCRing(repeating: LinkNotice.released, capacity: 4)
  /// Wakes the listener's thread.
  let listenerBell: Int32
  /// Rung by the shim after `prepareToSleep`; a worker that always polls ignores it.
  let workerBell: Int32

  /// For a worker without a stack, to which nobody attaches.
  static var unused: HostLinkMailbox { HostLinkMailbox(listenerBell: -1, workerBell: -1) }
}

/// A worker's end of the link to the broker. Lives on the worker's thread.
struct WorkerLink: ~Copyable {
  var link: DPULink
  private let mailbox: HostLinkMailbox

  init(_ mailbox: HostLinkMailbox, channelsMax: Int) {
    link = DPULink(channelsMax: channelsMax)
    self.mailbox = mailbox
  }

  /// At the start of a turn, before the link's events are taken.
  @inline(__always)
  mutating func beginTurn(now: Instant) {
    link.beginTurn(now: now)
    while let command = mailbox.commands.pop() { link.apply(command, now: now) }
  }

  /// At the end of a turn, after the events: publishes what was sent, wakes the shim if it sleeps.
  mutating func finishTurn(now: Instant) {
    link.advance(now: now)
    if link.finishTurn() { clinux_link_eventfd_ring(link.doorbell) }
    if let notice = link.takeNotice() {
      let fits = mailbox.notices.push(notice)
      invariant(fits, "more notices of one attachment than there are")
      clinux_link_eventfd_ring(mailbox.listenerBell)
    }
  }
}

/// Gives each worker a ring pair with the shim that connects: over the Unix socket one that the
/// shim maps, over TCP one of our own, whose bytes this thread moves (`HostLinkListener+Streams`).
///
/// One broker is served at a time: another is sent away and keeps trying. The thread sleeps
/// except when a shim comes or goes, or bytes are to be moved.
final class HostLinkListener: @unchecked Sendable {
  enum Tag {
    static let listener: UInt64 = 0, bell: UInt64 = 1, connection: UInt64 = 2
    static let streamListener: UInt64 = 3
    static let doorbell: UInt64 = 1 << 8, stream: UInt64 = 1 << 9, visitor: UInt64 = 1 << 10
  }

  private let listener: Int32
  /// Where brokers on other machines connect.
  let streamListener: HostLinkStreamListener?
  private let bell: Int32
  let epoll: Int32
  let mailboxes: [HostLinkMailbox]
  let channelsPerWorker: Int
  let ringBytes: Int
  let counters = Counters<HostLinkCounter>()
  private let isStopping = Atomic(false)
  private var thread: UInt64 = 0

  // The thread's own.
  var shares: FixedArray<HostLinkShare>
  /// The shim's socket, of either kind; -1: nobody is attached.
  var connection: Int32 = -1
  var generation: UInt32 = 0
  var control = HostLinkControl()
  var visitors = FixedArray(
    repeating: HostLinkVisitor(), count: HostLinkStreamLimits.visitorsMax)

  /// `listener` is a listening Unix socket, not blocking; it stays the caller's, unlike that of
  /// `streamListener`. Nil when the process is out of descriptors.
  init?(
    listener: Int32, streamListener: HostLinkStreamListener? = nil, workers: Int,
    channelsPerWorker: Int, ringBytes: Int = HostLinkLimits.ringBytes
  ) {
    precondition(workers > 0 && workers <= HostLinkLimits.workersMax)
    self.listener = listener
    self.streamListener = streamListener
    self.channelsPerWorker = channelsPerWorker
    self.ringBytes = ringBytes
    shares = FixedArray(repeating: HostLinkShare(), count: workers)
    let bell = clinux_link_eventfd(0)
    self.bell = bell
    epoll = clinux_link_epoll_create()
    mailboxes = (0..<workers).map { _ in
      HostLinkMailbox(listenerBell: bell, workerBell: clinux_link_eventfd(0))
    }
    let readable = UInt32(CLINUX_LINK_READABLE)
    guard bell >= 0, mailboxes.allSatisfy({ $0.workerBell >= 0 }),
      clinux_link_epoll_add(epoll, listener, readable, Tag.listener) == 0,
      clinux_link_epoll_add(epoll, bell, readable, Tag.bell) == 0
    else { return nil }
    if let streamListener {
      let added = clinux_link_epoll_add(
        epoll, streamListener.descriptor, readable, Tag.streamListener)
      guard added == 0 else { return nil }
    }
  }

  func mailbox(_ worker: Int) -> HostLinkMailbox { mailboxes[worker] }

  /// Starts the thread on `processors`; a negative errno when that fails.
  func start(on processors: clinux_control_processors) -> Int32 {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    var processors = processors
    return unsafe clinux_control_thread_start(
      { unsafe Unmanaged<HostLinkListener>.fromOpaque($0!).takeUnretainedValue().run() },
      context, "dpu-link", &processors, &thread)
  }

  /// After the workers stopped: closes the link and waits for the thread's end. From then on brokers
  /// on other machines are refused, so that none waits for a process that takes its time to end, and
  /// the next one can listen.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    clinux_link_eventfd_ring(bell)
    clinux_control_thread_join(thread)
    if let streamListener { clinux_link_close(streamListener.descriptor) }
  }

  static var now: Instant { Instant(nanoseconds: clinux_link_clock()) }

  private func run() {
    var events = InlineArray<128, clinux_link_event>(repeating: clinux_link_event())
    while !isStopping.load(ordering: .acquiring) {
      let timeout = prepareStreamsToSleep(now: Self.now)
      var span = events.mutableSpan
      let count = unsafe span.withUnsafeMutableBufferPointer {
        unsafe clinux_link_epoll_wait(epoll, $0.baseAddress!, Int32($0.count), timeout)
      }
      awakeStreams()
      // What is said of the certificate comes before any frame: after a pause of this thread,
      // frames that are older must not make it look alive.
      for index in 0..<Int(max(0, count)) where events[index].tag == Tag.connection {
        readConnection()
      }
      for index in 0..<Int(max(0, count)) { handle(events[index]) }
      takeNotices()
      serveStreams(now: Self.now)
    }
    detach()
    dismissVisitors()
  }

  private func handle(_ event: clinux_link_event) {
    switch event.tag {
    case Tag.connection: break
    case Tag.listener: accept()
    case Tag.bell: clinux_link_eventfd_take(bell)
    case Tag.streamListener: acceptVisitor()
    case Tag.doorbell..<Tag.stream:
      let doorbell = shares[Int(event.tag - Tag.doorbell)].doorbell
      if doorbell >= 0 { clinux_link_eventfd_take(doorbell) }
    case Tag.stream..<Tag.visitor:
      noteStream(Int(event.tag - Tag.stream), events: event.events)
    default: readVisitor(Int(event.tag - Tag.visitor))
    }
  }

  /// Nobody is attached, and no worker uses what the last one left.
  var isIdle: Bool {
    for worker in 0..<shares.count where shares[worker].isHeld { return false }
    return connection < 0
  }

  private func accept() {
    var user: UInt32 = 0
    let socket = unsafe clinux_control_accept(listener, &user)
    guard socket >= 0 else { return }
    guard isIdle else {
      counters.increment(.refusedBusy)
      return clinux_link_close(socket)
    }
    guard attach(socket) else {
      counters.increment(.refusedOutOfMemory)
      return clinux_link_close(socket)
    }
    counters.increment(.attachedLocally)
    connection = socket
    _ = clinux_link_epoll_add(epoll, socket, UInt32(CLINUX_LINK_READABLE), Tag.connection)
  }

  /// Makes the rings, sends them with the greeting, and hands each worker its own.
  private func attach(_ socket: Int32) -> Bool {
    generation &+= 1
    let size = UInt64(LinkMemory.byteCount(ringBytes: ringBytes))
    var descriptors: [Int32] = []
    var memories: [Int32] = []
    defer { for memory in memories { clinux_link_close(memory) } }
    for worker in 0..<shares.count {
      let memory = clinux_link_memory_create(size)
      if memory >= 0 { memories.append(memory) }
      guard
        makeShare(worker, address: clinux_link_memory_map(memory, size))
      else { return false }
      descriptors += [memory, shares[worker].doorbell, mailboxes[worker].workerBell]
    }
    var greeting = greeting.frame
    let sent = unsafe withUnsafeBytes(of: &greeting) { bytes in
      unsafe clinux_link_send_descriptors(
        socket, bytes.baseAddress!, UInt32(bytes.count), descriptors, UInt32(descriptors.count))
    }
    guard sent == 0 else {
      freeShares()
      return false
    }
    attachWorkers()
    return true
  }

  /// What the firmware says first.
  var greeting: Hello {
    var hello = Hello(
      role: .firmware, generation: generation, channels: channelsPerWorker, ringBytes: ringBytes)
    hello.workers = UInt8(shares.count)
    return hello
  }

  /// Gives the share its memory and a doorbell. Frees all shares and returns false without them.
  func makeShare(_ worker: Int, address: UInt) -> Bool {
    shares[worker].doorbell = clinux_link_eventfd(0)
    if address != 0 {
      shares[worker].memory = LinkMemory(address: address, ringBytes: ringBytes)
    }
    if address != 0, shares[worker].doorbell >= 0 { return true }
    freeShares()
    return false
  }

  func attachWorkers() {
    for worker in 0..<shares.count {
      shares[worker].isHeld = true
      let command = LinkCommand.attach(
        shares[worker].memory, generation: generation, doorbell: shares[worker].doorbell)
      send(command, to: worker)
    }
  }

  private func send(_ command: LinkCommand, to worker: Int) {
    let fits = mailboxes[worker].commands.push(command)
    invariant(fits, "a worker got a new attachment before it released the last")
  }

  private func readConnection() {
    guard connection >= 0 else { return }
    if control.isStream { return readControl() }
    // Nothing is ever said here after the greeting: it is readable when the shim is gone.
    var byte: UInt8 = 0
    let count = unsafe clinux_link_receive(connection, &byte, 1)
    if count != -11 { detach() }  // EAGAIN
  }

  func detach() {
    guard connection >= 0 else { return }
    if control.isStream { closeStreams() }
    clinux_link_close(connection)
    connection = -1
    for worker in 0..<shares.count where shares[worker].isHeld { send(.detach, to: worker) }
    if isIdle { freeShares() }
  }

  private func takeNotices() {
    for worker in 0..<shares.count {
      while let notice = mailboxes[worker].notices.pop() {
        switch notice {
        case .failed: detach()
        case .released: shares[worker].isHeld = false
        }
      }
    }
    if isIdle { freeShares() }
  }

  func freeShares() {
    let size = UInt64(LinkMemory.byteCount(ringBytes: ringBytes))
    for worker in 0..<shares.count {
      let share = shares[worker]
      if share.memory.address != 0 { clinux_link_memory_unmap(share.memory.address, size) }
      if share.doorbell >= 0 { clinux_link_close(share.doorbell) }
      shares[worker] = HostLinkShare()
    }
  }
}
