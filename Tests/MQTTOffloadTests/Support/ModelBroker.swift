import DPUCore

/// A broker that behaves like mosquitto where the offload can notice, with the socket between it
/// and the shim: when that is full, packets wait in a queue of the broker.
final class ModelBroker {
  struct Subscription {
    var filter: String
    var options: UInt8
    var identifier: Int
    var group: String?
  }

  final class Channel {
    let id: SlabHandle
    var version: UInt8 = 4
    var name = ""
    var isClean = true
    var isConnected = false
    /// From the client, not yet handled.
    var input: [UInt8] = []
    var inputEnded = false
    /// Handled bytes, as they came.
    var seen: [[UInt8]] = []
    /// Written and not yet read by the shim: one entry for each write.
    var socket: [[UInt8]] = []
    /// Refused by the socket.
    var queue: [[UInt8]] = []
    var aliases: [Int: String] = [:]
    var isClosed = false
    init(_ id: SlabHandle) { self.id = id }
  }

  /// Writes that a socket holds: what 208 KB are worth in small packets.
  var socketWrites = 277
  /// Bytes of one write; more is written in pieces.
  var writeMax = 1 << 20
  var channels: [SlabHandle: Channel] = [:]
  var subscriptions: [String: [Subscription]] = [:]
  var retained: [String: [UInt8]] = [:]
  /// Topics that must not be read, by client name: an access rule.
  var unreadable: [String: Set<String>] = [:]
  var refusedFilters: Set<String> = []
  var connackProperties: [UInt8] = []
  var grantedMax: UInt8 = 2

  var handledPublishes = 0
  private var shareTurn = 0

  // MARK: Handling

  /// Handles one packet of the channel, if there is one. Returns whether it did anything.
  func step(_ channel: Channel) -> Bool {
    write(channel)
    guard !channel.isClosed else { return false }
    guard let packet = Packet.first(of: channel.input) else {
      if channel.inputEnded { close(channel) }
      return channel.inputEnded
    }
    channel.input.removeFirst(packet.count)
    channel.seen.append(packet)
    handle(channel, packet)
    return true
  }

  private func handle(_ channel: Channel, _ packet: [UInt8]) {
    switch packet[0] >> 4 {
    case 1: connect(channel, packet)
    case 3: publish(channel, packet)
    case 6: send(channel, [0x70, 2] + packet[2..<4])
    case 8: subscribe(channel, packet)
    case 10: unsubscribe(channel, packet)
    case 12: send(channel, Packet.pingresp)
    case 14: close(channel)
    case 4, 5, 7: break
    default: close(channel)
    }
  }

  func send(_ channel: Channel, _ packet: [UInt8]) {
    guard !channel.isClosed else { return }
    var at = 0
    while at < packet.count {
      channel.queue.append(Array(packet[at..<min(packet.count, at + writeMax)]))
      at += writeMax
    }
    write(channel)
  }

  /// What a broker does when it may write again.
  private func write(_ channel: Channel) {
    while !channel.queue.isEmpty, channel.socket.count < socketWrites {
      channel.socket.append(channel.queue.removeFirst())
    }
  }

  func close(_ channel: Channel) {
    channel.isClosed = true
    if channel.isClean { subscriptions[channel.name] = nil }
  }

  private func body(_ packet: [UInt8]) -> [UInt8] {
    var at = 1
    while packet[at] & 0x80 != 0 { at += 1 }
    return Array(packet[(at + 1)...])
  }

  private func connect(_ channel: Channel, _ packet: [UInt8]) {
    var rest = body(packet)[...]
    _ = takeString(&rest)
    channel.version = rest.removeFirst()
    let flags = rest.removeFirst()
    rest = rest.dropFirst(2)
    var expiry = 0
    if channel.version == 5 {
      let properties = takeProperties(&rest)
      expiry = properties[0x11]?.first ?? 0
    }
    channel.name = takeString(&rest)
    let isCleanStart = flags & 2 != 0
    channel.isClean = channel.version == 5 ? expiry == 0 : isCleanStart
    for other in channels.values where other !== channel && other.name == channel.name {
      if other.isConnected, !other.isClosed { close(other) }
    }
    let isPresent = !isCleanStart && subscriptions[channel.name] != nil
    if !isPresent { subscriptions[channel.name] = channel.isClean ? nil : [] }
    channel.isConnected = true
    send(
      channel,
      Packet.connack(channel.version, present: isPresent, properties: connackProperties))
  }

  private func subscribe(_ channel: Channel, _ packet: [UInt8]) {
    var rest = body(packet)[...]
    let id = [rest.removeFirst(), rest.removeFirst()]
    var identifier = 0
    if channel.version == 5 { identifier = takeProperties(&rest)[0x0b]?.first ?? 0 }
    var codes: [UInt8] = []
    var added: [String] = []
    while !rest.isEmpty {
      let filter = takeString(&rest)
      let options = rest.removeFirst()
      if refusedFilters.contains(filter) {
        codes.append(channel.version == 5 ? 0x87 : 0x80)
        continue
      }
      let granted = min(options & 3, grantedMax)
      codes.append(granted)
      var list = subscriptions[channel.name] ?? []
      list.removeAll { $0.filter == filter }
      var subscription = Subscription(
        filter: filter, options: options & ~3 | granted, identifier: identifier)
      if filter.hasPrefix("$share/") { subscription.group = filter }
      list.append(subscription)
      subscriptions[channel.name] = list
      added.append(filter)
    }
    send(channel, Packet.packet(0x90, id + Packet.properties(channel.version, []) + codes))
    for filter in added {
      for (topic, payload) in retained.sorted(by: { $0.key < $1.key })
      where matches(filter, topic) {
        send(
          channel, Packet.publish(topic, payload, retain: true, version: channel.version))
      }
    }
  }

  private func unsubscribe(_ channel: Channel, _ packet: [UInt8]) {
    var rest = body(packet)[...]
    let id = [rest.removeFirst(), rest.removeFirst()]
    if channel.version == 5 { _ = takeProperties(&rest) }
    var codes: [UInt8] = []
    while !rest.isEmpty {
      let filter = takeString(&rest)
      subscriptions[channel.name]?.removeAll { $0.filter == filter }
      codes.append(0)
    }
    let properties = Packet.properties(channel.version, [])
    send(channel, Packet.packet(0xb0, id + (channel.version == 5 ? properties + codes : [])))
  }

  private func publish(_ channel: Channel, _ packet: [UInt8]) {
    handledPublishes += 1
    let qos = packet[0] >> 1 & 3
    var rest = body(packet)[...]
    var topic = takeString(&rest)
    let id = qos > 0 ? [rest.removeFirst(), rest.removeFirst()] : []
    var forwarded: [UInt8] = []
    if channel.version == 5 {
      let length = takeVariable(&rest)
      var section = Array(rest.prefix(length))[...]
      rest = rest.dropFirst(length)
      var expiry: [UInt8] = []
      while !section.isEmpty {
        let (kind, raw) = takeProperty(&section)
        switch kind {
        case 0x23:
          let alias = Int(raw[0]) << 8 | Int(raw[1])
          if topic.isEmpty {
            guard let known = channel.aliases[alias] else { return close(channel) }
            topic = known
          } else {
            channel.aliases[alias] = topic
          }
        case 0x02: if raw != [0, 0, 0, 0] { expiry = [kind] + raw }
        default: forwarded += [kind] + raw
        }
      }
      forwarded += expiry
    }
    if qos == 1 { send(channel, [0x40, 2] + id) }
    if qos == 2 { send(channel, [0x50, 2] + id) }
    let payload = Array(rest)
    if packet[0] & 1 != 0 { retained[topic] = payload.isEmpty ? nil : payload }
    distribute(topic, payload, qos, forwarded, from: channel)
  }

  private func distribute(
    _ topic: String, _ payload: [UInt8], _ qos: UInt8, _ properties: [UInt8], from: Channel
  ) {
    var members: [String: [(Channel, Subscription)]] = [:]
    for channel in channels.values.sorted(by: { $0.id.index < $1.id.index })
    where channel.isConnected && !channel.isClosed {
      var isServed = false
      for subscription in subscriptions[channel.name] ?? [] {
        guard matches(subscription.filter, topic),
          !(unreadable[channel.name]?.contains(topic) ?? false)
        else { continue }
        if let group = subscription.group {
          members[group, default: []].append((channel, subscription))
          continue
        }
        if subscription.options & 4 != 0, channel === from { continue }
        // A 3.x client gets one copy, however many of its filters match.
        if channel.version != 5, isServed { continue }
        isServed = true
        deliver(channel, subscription, topic, payload, qos, properties)
      }
    }
    for (_, list) in members.sorted(by: { $0.key < $1.key }) {
      shareTurn += 1
      let (channel, subscription) = list[shareTurn % list.count]
      deliver(channel, subscription, topic, payload, qos, properties)
    }
  }

  private func deliver(
    _ channel: Channel, _ subscription: Subscription, _ topic: String, _ payload: [UInt8],
    _ qos: UInt8, _ properties: [UInt8]
  ) {
    var own: [UInt8] = []
    if subscription.identifier > 0 { own = [0x0b] + Packet.variable(subscription.identifier) }
    send(
      channel,
      Packet.publish(
        topic, payload, qos: min(qos, subscription.options & 3), id: 7, version: channel.version,
        properties: own + properties))
  }

  // MARK: Reading

  private func takeVariable(_ rest: inout ArraySlice<UInt8>) -> Int {
    var value = 0
    var shift = 0
    while true {
      let byte = rest.removeFirst()
      value |= Int(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 { return value }
    }
  }

  private func takeString(_ rest: inout ArraySlice<UInt8>) -> String {
    let count = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
    defer { rest = rest.dropFirst(count) }
    return String(decoding: rest.prefix(count), as: UTF8.self)
  }

  private func takeProperty(_ rest: inout ArraySlice<UInt8>) -> (UInt8, [UInt8]) {
    let kind = rest.removeFirst()
    let count: Int
    switch kind {
    case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a: count = 1
    case 0x13, 0x21, 0x22, 0x23: count = 2
    case 0x02, 0x11, 0x18, 0x27: count = 4
    case 0x0b:
      var copy = rest
      _ = takeVariable(&copy)
      count = rest.count - copy.count
    case 0x26:
      var copy = rest
      _ = takeString(&copy)
      _ = takeString(&copy)
      count = rest.count - copy.count
    default: count = 2 + Int(rest.first!) << 8 + Int(rest.dropFirst().first!)
    }
    defer { rest = rest.dropFirst(count) }
    return (kind, Array(rest.prefix(count)))
  }

  /// Numbers of a section by identifier, big-endian or variable.
  private func takeProperties(_ rest: inout ArraySlice<UInt8>) -> [UInt8: [Int]] {
    let length = takeVariable(&rest)
    var section = Array(rest.prefix(length))[...]
    rest = rest.dropFirst(length)
    var found: [UInt8: [Int]] = [:]
    while !section.isEmpty {
      let (kind, raw) = takeProperty(&section)
      var value = raw.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      if kind == 0x0b {
        var slice = raw[...]
        value = takeVariable(&slice)
      }
      found[kind, default: []].append(value)
    }
    return found
  }
}

/// Section 4.7 in ten lines.
func matches(_ filter: String, _ topic: String) -> Bool {
  var pattern = filter.split(separator: "/", omittingEmptySubsequences: false)[...]
  if filter.hasPrefix("$share/") { pattern = pattern.dropFirst(2) }
  let levels = topic.split(separator: "/", omittingEmptySubsequences: false)
  if topic.hasPrefix("$"), pattern.first == "#" || pattern.first == "+" { return false }
  for (k, level) in pattern.enumerated() {
    if level == "#" { return true }
    guard k < levels.count, level == "+" || level == levels[k] else { return false }
  }
  return pattern.count == levels.count
}
