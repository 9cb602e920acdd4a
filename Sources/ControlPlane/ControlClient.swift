import CLinux
package import DPUCore

/// How long a client is waited for.
package struct Patience: Sendable {
  /// Between two pieces of one request.
  package var halfRequest = Interval.milliseconds(Limits.halfRequestMilliseconds)
  /// From the first byte of a request to its end.
  package var wholeRequest = Interval.milliseconds(Limits.wholeRequestMilliseconds)
  /// While none of a reply is taken.
  package var unreadReply = Interval.milliseconds(Limits.unreadReplyMilliseconds)

  package init() {}
}

/// One connection to the control socket: bytes on their way in and out.
struct ControlClient {
  let descriptor: Int32
  let caller: Caller
  /// From `start` on: what has arrived and was not answered. Up to `searched` it holds no line feed.
  private var input: [UInt8] = []
  private var start = 0
  private var searched = 0
  private var output: [UInt8] = []
  private var sent = 0
  /// A descriptor that goes out with the next byte of `output`; not owned.
  private var descriptorToSend: Int32?
  /// What it wants to hear of.
  var subscription = EventKinds.none
  /// Events it did not get since the last that it got.
  private var lostEvents = 0
  /// A line that was taken out, and whose body is still to come: at `start`. As text, because parsed
  /// it may take a hundred times the memory.
  private var awaited: (line: Text, bodyBytes: Int)?
  /// The peer will send nothing more.
  private(set) var hasEnded = false
  /// No more requests; goes away once its output has.
  private(set) var isClosing = false
  /// When the request in `input` began, and when its latest byte came.
  private var requestBegan = Instant.zero
  private var requestGrew = Instant.zero
  /// When the latest byte of the reply went out.
  private var replyMoved = Instant.zero

  init(descriptor: Int32, caller: Caller) {
    self.descriptor = descriptor
    self.caller = caller
  }

  var hasOutput: Bool { sent < output.count }
  /// A client that does not read its reply gets no other.
  var mayBeAnswered: Bool { !hasOutput && !isClosing }
  /// Nothing more is taken in before what is there was answered, so what is kept here is bounded
  /// by one request, one buffer and one reply.
  var wantsInput: Bool {
    guard mayBeAnswered, !hasEnded else { return false }
    if let awaited { return input.count - start < awaited.bodyBytes }
    return searched == input.count
  }

  // MARK: In

  /// Takes in what has arrived, at most a buffer full. False when the connection is broken.
  mutating func receive(into buffer: inout [UInt8], now: Instant) -> Bool {
    let descriptor = descriptor
    let count = unsafe buffer.withUnsafeMutableBufferPointer {
      unsafe clinux_control_receive(descriptor, $0.baseAddress!, $0.count)
    }
    if count == -Int64(Errno.again) { return true }
    if count < 0 { return false }
    if count == 0 {
      hasEnded = true
      return true
    }
    if start > 0 {
      input.removeFirst(start)
      searched -= start
      start = 0
    }
    if input.isEmpty, awaited == nil { requestBegan = now }
    requestGrew = now
    input.append(contentsOf: buffer[..<Int(count)])
    return true
  }

  enum Request {
    case whole(RequestLine, body: Text)
    case lineTooLong, bodyTooLong
    /// The connection has ended within a body.
    case cutOff
    case none
  }

  /// The next request, taken out: a line without its line feed, and the body that it announces.
  /// The last line may lack the line feed.
  mutating func nextRequest(now: Instant) -> Request {
    var parsed: RequestLine?
    if awaited == nil {
      while searched < input.count, input[searched] != UInt8(ascii: "\n") { searched += 1 }
      if searched - start > Limits.requestBytes { return .lineTooLong }
      let isWhole = searched < input.count
      guard isWhole || hasEnded && start < searched else { return .none }
      let text = Text(bytes: Array(input[start..<searched]))
      let line = RequestLine(text.span)
      searched += isWhole ? 1 : 0
      start = searched
      var bodyBytes = 0
      if case .bytes(let count) = line.body { bodyBytes = count }
      guard bodyBytes <= Limits.bodyBytes else { return .bodyTooLong }
      awaited = (text, bodyBytes)
      parsed = line
    }
    guard let (text, bodyBytes) = awaited else { return .none }
    let end = start + bodyBytes
    guard end <= input.count else { return hasEnded ? .cutOff : .none }
    let body = Text(bytes: Array(input[start..<end]))
    awaited = nil
    start = end
    searched = end
    requestBegan = now
    requestGrew = now
    return .whole(parsed ?? RequestLine(text.span), body: body)
  }

  // MARK: Out

  mutating func send(_ reply: Text, with descriptor: Int32? = nil, now: Instant) {
    guard !reply.isEmpty else { return }
    if let descriptor { descriptorToSend = descriptor }
    if !hasOutput { replyMoved = now }
    output.append(contentsOf: reply.bytes)
    output.append(UInt8(ascii: "\n"))
  }

  /// False when too much waits already; the client is told how much it lost before the next event.
  mutating func send(_ event: Event, now: Instant) -> Bool {
    guard output.count - sent + event.line.bytes.count <= Limits.unsentEventBytes else {
      lostEvents += 1
      return false
    }
    if lostEvents > 0 {
      send(
        #"{"jsonrpc":"2.0","method":"event","params":{"kind":"lost","count":\#(lostEvents)}}"#,
        now: now)
      lostEvents = 0
    }
    send(event.line, now: now)
    return true
  }

  /// Sends what the socket takes. False when the peer is gone.
  mutating func flush(now: Instant) -> Bool {
    while hasOutput {
      let descriptor = descriptor
      let attached = descriptorToSend ?? -1
      let start = sent
      let count = unsafe output.withUnsafeBufferPointer {
        unsafe clinux_control_send(descriptor, $0.baseAddress! + start, $0.count - start, attached)
      }
      if count == -Int64(Errno.again) { return true }
      guard count > 0 else { return false }
      sent += Int(count)
      descriptorToSend = nil
      replyMoved = now
    }
    output.removeAll(keepingCapacity: output.capacity <= 65_536)
    sent = 0
    return true
  }

  mutating func closeWhenFlushed() {
    isClosing = true
    input = []
    awaited = nil
    start = 0
    searched = 0
  }

  // MARK: Time

  enum Lateness { case halfRequest, unreadReply }

  /// When something is late, and what; nil when nothing is awaited.
  func deadline(_ patience: Patience) -> (Instant, Lateness)? {
    if hasOutput {
      return (replyMoved + patience.unreadReply, .unreadReply)
    }
    if start == input.count, awaited == nil { return nil }
    return (
      min(requestGrew + patience.halfRequest, requestBegan + patience.wholeRequest), .halfRequest
    )
  }
}
