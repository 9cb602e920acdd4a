import DPUCore
import PacketWire

/// The other end of a connection: an independent, simple TCP client in virtual time.
///
/// It keeps whole streams in arrays and positions as plain integers, so it shares no code and
/// few ideas with the stack it talks to. Loss is repaired by timeout (go back N) and by three
/// duplicate ACKs.
final class SimClient {
  struct Options {
    var sack = true
    var timestamps = true
    var windowScale: UInt8? = 4
    var segmentSize = 1_000
    var receiveBuffer = 200_000
    /// False: received bytes stay in the buffer until `read` is called.
    var readsAtOnce = true
  }

  let link: Link
  let port: UInt16
  let serverPort: UInt16
  let options: Options
  let initial: UInt32
  private(set) var outgoing: [UInt8]
  private(set) var received: [UInt8] = []
  private var unread = 0
  private var early: [Int: [UInt8]] = [:]
  private var serverInitial: UInt32?
  private var peerFIN: Int?
  /// Offsets into `outgoing`; the FIN is one more.
  private var unacknowledged = 0
  private var next = 0
  private var highest = 0
  private var peerWindow = 0
  private var peerShift = 0
  private var duplicates = 0
  private var timeout = Interval.milliseconds(300)
  private(set) var deadline = Instant.distantFuture
  private var recent: UInt32 = 0
  private var wantsClose: Bool
  private(set) var wasReset = false
  private(set) var isEstablished = false

  /// Sends `outgoing` and then, with `closes`, a FIN.
  init(
    link: Link, port: UInt16, serverPort: UInt16 = 1_883, initial: UInt32, sending: [UInt8],
    closes: Bool, options: Options = Options()
  ) {
    self.link = link
    self.port = port
    self.serverPort = serverPort
    self.initial = initial
    self.options = options
    outgoing = sending
    wantsClose = closes
  }

  var peerHasClosed: Bool { peerFIN == received.count }
  var isFinished: Bool {
    wasReset || (peerHasClosed && wantsClose && unacknowledged == outgoing.count + 1)
  }
  var hasEverythingAcknowledged: Bool { unacknowledged >= outgoing.count }

  func close() { wantsClose = true }
  func send(_ bytes: [UInt8]) { outgoing += bytes }

  /// Frees receive buffer; the update leaves with the next segments.
  func read(now: Instant) -> [[UInt8]] {
    unread = 0
    return isEstablished ? [build("A", at: next, [], now)] : []
  }

  private var lastSequence: Int { outgoing.count + (wantsClose ? 1 : 0) }

  private func build(_ flags: String, at offset: Int, _ payload: [UInt8], _ now: Instant) -> [UInt8]
  {
    var segment = RawSegment(flags: flags, payload: payload, sourcePort: port)
    segment.destinationPort = serverPort
    segment.sequence = initial &+ 1 &+ UInt32(truncatingIfNeeded: offset)
    if flags == "S" { segment.sequence = initial }
    let shift = Int(options.windowScale ?? 0)
    let window = max(0, options.receiveBuffer - unread)
    segment.window = min(65_535, flags == "S" ? window : window >> shift)
    if let serverInitial {
      let fin = peerHasClosed ? 1 : 0
      segment.acknowledgment =
        serverInitial &+ 1 &+ UInt32(truncatingIfNeeded: received.count + fin)
    }
    if flags == "S" {
      segment.options += [2, 4] + be(UInt16(options.segmentSize))
      if let scale = options.windowScale { segment.options += [1, 3, 3, scale] }
      if options.sack { segment.options += [1, 1, 4, 2] }
    }
    if options.timestamps {
      let clock = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ 0xffff_f000
      segment.options += [1, 1, 8, 10] + be(clock) + be(recent)
    }
    if options.sack, flags != "S", payload.isEmpty { segment.options += sackOption() }
    return link.frame(segment)
  }

  private func sackOption() -> [UInt8] {
    guard let serverInitial, !early.isEmpty else { return [] }
    var ranges: [(Int, Int)] = []
    for (start, bytes) in early.sorted(by: { $0.key < $1.key }) {
      if let last = ranges.last, last.1 >= start {
        ranges[ranges.count - 1].1 = max(last.1, start + bytes.count)
      } else {
        ranges.append((start, start + bytes.count))
      }
    }
    let kept = ranges.prefix(3)
    return [1, 1, 5, UInt8(2 + 8 * kept.count)]
      + kept.flatMap { range in
        [range.0, range.1].flatMap {
          be(serverInitial &+ 1 &+ UInt32(truncatingIfNeeded: $0))
        }
      }
  }

  /// The first SYN.
  func open(now: Instant) -> [[UInt8]] {
    deadline = now + timeout
    return [build("S", at: 0, [], now)]
  }

  private func dataFrame(at offset: Int, _ now: Instant) -> [UInt8] {
    let end = min(outgoing.count, offset + options.segmentSize - 12)
    let carriesFIN = wantsClose && end == outgoing.count
    return build(
      carriesFIN ? "FA" : "PA", at: offset, Array(outgoing[min(offset, end)..<end]), now)
  }

  private func fill(_ now: Instant) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    let limit = unacknowledged + min(peerWindow, 60_000)
    while next < lastSequence {
      let isOnlyFIN = next == outgoing.count
      let count = isOnlyFIN ? 0 : min(outgoing.count - next, options.segmentSize - 12)
      guard isOnlyFIN || next + count <= limit else { break }
      frames.append(dataFrame(at: next, now))
      next += count
      if wantsClose && next == outgoing.count { next += 1 }
      highest = max(highest, next)
    }
    if unacknowledged < lastSequence, deadline == .distantFuture { deadline = now + timeout }
    return frames
  }

  func timerFired(now: Instant) -> [[UInt8]] {
    guard deadline <= now else { return [] }
    timeout = min(timeout + timeout, .seconds(5))
    deadline = now + timeout
    guard isEstablished else { return [build("S", at: 0, [], now)] }
    guard unacknowledged < lastSequence else {
      deadline = .distantFuture
      return []
    }
    // Go back; with a closed window this is the probe.
    next = unacknowledged
    let frame = dataFrame(at: next, now)
    next = min(lastSequence, next + options.segmentSize - 12)
    highest = max(highest, next)
    return [frame]
  }

  /// Takes a frame of the server's; returns what is sent in answer.
  func receive(_ frame: [UInt8], now: Instant) -> [[UInt8]] {
    if frame.count >= 42, half(frame, 12) == 0x0806, half(frame, 20) == 1,
      Array(frame[38..<42]) == addressBytes(link.client)
    {
      return [link.arpReply()]
    }
    guard let segment = link.intactSegment(in: frame), segment.destinationPort == port else {
      return []
    }
    if isFinished { return segment.has("R") ? [] : [build("A", at: next, [], now)] }
    if segment.has("R") {
      wasReset = true
      deadline = .distantFuture
      return []
    }
    if segment.has("S") {
      if !isEstablished {
        isEstablished = true
        serverInitial = segment.sequence
        peerShift = options.windowScale == nil ? 0 : Int(segment.option(3)?[0] ?? 0)
        peerWindow = segment.window
        timeout = .milliseconds(300)
        deadline = .distantFuture
      }
      if let stamp = segment.timestamps { recent = stamp.value }
      return [build("A", at: next, [], now)] + fill(now)
    }
    guard isEstablished, let serverInitial else { return [] }
    if let stamp = segment.timestamps { recent = stamp.value }
    var frames = acknowledge(segment, now)
    let offset =
      Int(
        Int32(
          bitPattern: segment.sequence &- serverInitial &- 1
            &- UInt32(
              truncatingIfNeeded: received.count))) + received.count
    let hasContent = !segment.payload.isEmpty || segment.has("F")
    if segment.has("F") { peerFIN = offset + segment.payload.count }
    if !segment.payload.isEmpty { store(segment.payload, at: offset) }
    frames += fill(now)
    if hasContent || offset < received.count {
      frames.append(build("A", at: next, [], now))
    }
    return frames
  }

  private func acknowledge(_ segment: RawSegment, _ now: Instant) -> [[UInt8]] {
    let position =
      Int(
        Int32(
          bitPattern: segment.acknowledgment &- initial &- 1
            &- UInt32(
              truncatingIfNeeded: unacknowledged))) + unacknowledged
    guard position >= unacknowledged, position <= highest else { return [] }
    let window = segment.window << peerShift
    if position == unacknowledged {
      let isDuplicate = segment.payload.isEmpty && window == peerWindow && next > unacknowledged
      peerWindow = window
      duplicates += isDuplicate ? 1 : 0
      if duplicates == 3, unacknowledged < lastSequence {
        return [dataFrame(at: unacknowledged, now)]
      }
      return []
    }
    peerWindow = window
    duplicates = 0
    unacknowledged = position
    next = max(next, position)
    timeout = .milliseconds(300)
    deadline = unacknowledged < lastSequence ? now + timeout : .distantFuture
    return []
  }

  private func store(_ payload: [UInt8], at offset: Int) {
    guard offset + payload.count - received.count <= options.receiveBuffer - unread else { return }
    if offset > received.count {
      if payload.count > early[offset]?.count ?? 0 { early[offset] = payload }
      return
    }
    append(payload, at: offset)
    while let start = early.keys.min(), start <= received.count {
      append(early.removeValue(forKey: start)!, at: start)
    }
  }

  private func append(_ payload: [UInt8], at offset: Int) {
    let known = received.count - offset
    guard known < payload.count else { return }
    received += payload[known...]
    if !options.readsAtOnce { unread += payload.count - known }
  }
}
