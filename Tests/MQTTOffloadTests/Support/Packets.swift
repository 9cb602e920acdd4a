import DPUCore
import MQTTWire

/// Packets written by hand, so that the tests do not lean on the codecs they go through.
enum Packet {
  static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }
  static func string(_ bytes: [UInt8]) -> [UInt8] { uint16(bytes.count) + bytes }
  static func uint16(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
  static func uint32(_ value: Int) -> [UInt8] { uint16(value >> 16) + uint16(value & 0xffff) }

  static func variable(_ value: Int) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    repeat {
      bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
      rest >>= 7
    } while rest > 0
    return bytes
  }

  static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
    [first] + variable(body.count) + body
  }

  static func properties(_ version: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    version == 5 ? variable(bytes.count) + bytes : []
  }

  static func connect(
    _ name: String, version: UInt8 = 4, clean: Bool = true, keepAlive: Int = 60,
    properties: [UInt8] = []
  ) -> [UInt8] {
    var body = version == 3 ? string("MQIsdp") : string("MQTT")
    body += [version, clean ? 2 : 0] + uint16(keepAlive)
    return packet(0x10, body + Packet.properties(version, properties) + string(name))
  }

  static func connack(
    _ version: UInt8, present: Bool = false, code: UInt8 = 0, properties: [UInt8] = []
  ) -> [UInt8] {
    packet(0x20, [present ? 1 : 0, code] + Packet.properties(version, properties))
  }

  static func subscribe(
    _ id: Int, _ filters: [(String, UInt8)], version: UInt8 = 4, properties: [UInt8] = []
  ) -> [UInt8] {
    let list = filters.flatMap { string($0.0) + [$0.1] }
    return packet(0x82, uint16(id) + Packet.properties(version, properties) + list)
  }

  static func unsubscribe(_ id: Int, _ filters: [String], version: UInt8 = 4) -> [UInt8] {
    packet(0xa2, uint16(id) + properties(version, []) + filters.flatMap { string($0) })
  }

  static func publish(
    _ topic: String, _ payload: [UInt8], qos: UInt8 = 0, retain: Bool = false, id: Int = 1,
    version: UInt8 = 4, properties: [UInt8] = []
  ) -> [UInt8] {
    let flags = qos << 1 | (retain ? 1 : 0)
    let identifier = qos > 0 ? uint16(id) : []
    return packet(
      0x30 | flags,
      string(topic) + identifier + Packet.properties(version, properties) + payload)
  }

  static func publish(_ topic: String, _ text: String, version: UInt8 = 4) -> [UInt8] {
    publish(topic, Array(text.utf8), version: version)
  }

  static let pingreq: [UInt8] = [0xc0, 0]
  static let pingresp: [UInt8] = [0xd0, 0]
  static let disconnect: [UInt8] = [0xe0, 0]

  /// The whole packet at the front; nil when there is none.
  static func first(of bytes: [UInt8]) -> [UInt8]? {
    var length = 0
    var at = 1
    while at < min(bytes.count, 5) {
      length |= Int(bytes[at] & 0x7f) << (7 * (at - 1))
      at += 1
      if bytes[at - 1] & 0x80 == 0 {
        return bytes.count >= at + length ? Array(bytes[..<(at + length)]) : nil
      }
    }
    return nil
  }

  /// Splits a stream into whole packets; what is left over is a packet that is not whole.
  static func split(_ bytes: [UInt8]) -> [[UInt8]] {
    var packets: [[UInt8]] = []
    var at = 0
    while at < bytes.count {
      let rest = Array(bytes[at...])
      guard case .packet(let header) = PacketFraming.scan(rest.span.bytes) else {
        packets.append(rest)
        break
      }
      packets.append(Array(rest[..<header.totalLength]))
      at += header.totalLength
    }
    return packets
  }
}

/// A PUBLISH as a test compares it.
struct Message: Equatable, CustomStringConvertible {
  var topic: String
  var payload: String
  var qos: UInt8 = 0
  var description: String { "\(topic)=\(payload)" + (qos > 0 ? " (QoS \(qos))" : "") }

  init(_ topic: String, _ payload: String, qos: UInt8 = 0) {
    self.topic = topic
    self.payload = payload
    self.qos = qos
  }

  init?(_ packet: [UInt8], version: UInt8) {
    guard packet[0] >> 4 == 3,
      let view = try? PublishView(
        packet.span.bytes, version: ProtocolVersion(rawValue: version)!, from: .server)
    else { return nil }
    topic = String(decoding: Self.bytes(view.topic), as: UTF8.self)
    payload = String(decoding: Self.bytes(view.payload), as: UTF8.self)
    qos = view.qos.rawValue
  }

  private static func bytes(_ span: RawSpan) -> [UInt8] {
    (0..<span.byteCount).map { span.byte(at: $0) }
  }
}
