package import DPUCore
import JSONText

/// A recorded run of another switch: how it was set up, packets that arrived, packets that left,
/// and counters and registers afterwards.
package struct PacketVector: Sendable {
  package var program = Text()
  /// Lines in the words of simple_switch_CLI.
  package var setup: [Text] = []
  package var arrivals: [(port: Int, bytes: [UInt8])] = []
  /// Per port; only these ports are compared, all others must stay silent.
  package var departures: [(port: Int, packets: [[UInt8]])] = []
  /// `NAME[INDEX]= VALUE`, as simple_switch_CLI prints it.
  package var state: [Text] = []
  /// Bytes of every packet that are not compared: timestamps.
  package var mask: [Range<Int>] = []
  /// Whether packets of a port must come in the recorded order.
  package var isOrdered = true

  package init() {}
}

extension PacketVector {
  package static func parse(_ text: RawSpan) throws(ScriptError) -> PacketVector {
    let root: JSONNode
    do throws(JSONDocument.Failure) {
      root = try JSONDocument.parse(text)
    } catch {
      let position = TextPosition(of: error.offset, in: text)
      throw ScriptError(line: position.line, column: position.column, message: error.reason)
    }
    do throws(JSONField.Problem) {
      return try PacketVector(reading: JSONField(node: root, path: JSONPath()))
    } catch {
      var locator = JSONLocator(text)
      let offset = locator.locate(error.path, key: error.atKey)
      let position = TextPosition(of: offset, in: text)
      throw ScriptError(
        line: position.line, column: position.column,
        message: "\(error.path.text): \(error.message)")
    }
  }

  private init(reading root: JSONField) throws(JSONField.Problem) {
    for member in try root.members() {
      let field = member.field
      switch member.key {
      case "program": program = try field.text()
      case "oracle": _ = try field.text()
      case "setup": setup = try Self.texts(field)
      case "state": state = try Self.texts(field)
      case "mask":
        for range in try field.elements(0...1_024) {
          let ends = try range.elements(2...2)
          let low = try ends[0].integer(0...65_535)
          mask.append(low..<(try ends[1].integer(low...65_535)))
        }
      case "in":
        for packet in try field.elements(0...1_000_000) {
          let parts = try packet.elements(2...2)
          arrivals.append(
            (try parts[0].integer(0...SwitchLimits.ports - 1), try Self.bytes(parts[1])))
        }
      case "out":
        for port in try field.members() {
          guard let number = port.key.decimal, number < SwitchLimits.ports else {
            throw port.field.problem("the name of a port must be a number")
          }
          var packets: [[UInt8]] = []
          for packet in try port.field.elements(0...1_000_000) {
            packets.append(try Self.bytes(packet))
          }
          departures.append((number, packets))
        }
      case "order":
        switch try field.text() {
        case "port": isOrdered = true
        case "any": isOrdered = false
        default: throw field.problem("must be port or any")
        }
      default: throw member.unknown("program, oracle, setup, mask, in, out, state, order")
      }
    }
  }

  private static func texts(_ field: JSONField) throws(JSONField.Problem) -> [Text] {
    var texts: [Text] = []
    for element in try field.elements(0...1_000_000) { texts.append(try element.text()) }
    return texts
  }

  private static func bytes(_ field: JSONField) throws(JSONField.Problem) -> [UInt8] {
    let digits = try field.text(maximumBytes: 1 << 17).bytes
    guard digits.count % 2 == 0 else { throw field.problem("has an odd number of digits") }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = Text.nibble(digits[index]), let low = Text.nibble(digits[index + 1]) else {
        throw field.problem("must be hexadecimal digits")
      }
      bytes.append(high << 4 | low)
    }
    return bytes
  }
}
