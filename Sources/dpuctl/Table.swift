/// Text in aligned columns.
struct Table {
  enum Alignment { case left, right }

  struct Column {
    var title: String
    var alignment: Alignment

    static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
    static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
  }

  let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  mutating func add(_ cells: [String]) {
    precondition(cells.count == columns.count)
    rows.append(cells.map(Self.printable))
  }

  /// Names that clients choose must not steer the terminal: control characters stand as `\u{1b}`.
  private static func printable(_ cell: String) -> String {
    guard cell.unicodeScalars.contains(where: { $0.isControl }) else { return cell }
    var text = ""
    for scalar in cell.unicodeScalars {
      if scalar.isControl {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// Columns are two spaces apart; no line ends in spaces.
  var text: String {
    let lines = [columns.map(\.title)] + rows
    let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { cells in
      var line = ""
      for (index, cell) in cells.enumerated() {
        let padding = String(repeating: " ", count: widths[index] - cell.count)
        if index > 0 { line += "  " }
        line += columns[index].alignment == .left ? cell + padding : padding + cell
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

extension Unicode.Scalar {
  /// Whether it could steer a terminal.
  var isControl: Bool { properties.generalCategory == .control }
}

/// Figures as people read them.
enum Units {
  /// `812 B`, `3.4 KiB`, `1.0 GiB`.
  static func bytes(_ value: JSONValue) -> String {
    guard let count = value.integer else { return value.cell }
    if count < 1_024 { return "\(count) B" }
    var scaled = Double(count)
    var unit = ""
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] where scaled >= 1_024 {
      scaled /= 1_024
      unit = next
    }
    return "\(oneDecimal(scaled)) \(unit)"
  }

  /// `120 us`, `4.5 ms`, `2.0 s`.
  static func microseconds(_ value: JSONValue) -> String {
    guard let count = value.integer else { return value.cell }
    if count < 1_000 { return "\(count) us" }
    if count < 1_000_000 { return "\(oneDecimal(Double(count) / 1_000)) ms" }
    return "\(oneDecimal(Double(count) / 1_000_000)) s"
  }

  /// `850 ms`, `59 s`, `2 h 5 min`, `3 d 4 h`.
  static func milliseconds(_ value: JSONValue) -> String {
    guard let count = value.integer else { return value.cell }
    let seconds = count / 1_000
    switch seconds {
    case 0: return "\(count) ms"
    case ..<60: return "\(seconds) s"
    case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
    case ..<86_400: return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
    default: return "\(seconds / 86_400) d \(seconds / 3_600 % 24) h"
    }
  }

  /// The time that `count` cycles take.
  static func cycles(_ count: Int, _ perSecond: JSONValue) -> String {
    guard let perSecond = perSecond.integer, perSecond > 0 else { return "-" }
    let milliseconds = Int(Double(count) / Double(perSecond) * 1_000)
    return self.milliseconds(.number(String(milliseconds)))
  }

  static func percent(_ part: Int, of whole: Int) -> String {
    whole == 0 ? "-" : "\(oneDecimal(100 * Double(part) / Double(whole))) %"
  }

  static func megabits(_ value: JSONValue) -> String {
    guard let megabits = value.integer, megabits > 0 else { return "-" }
    return megabits >= 1_000
      ? "\(oneDecimal(Double(megabits) / 1_000)) Gbit/s" : "\(megabits) Mbit/s"
  }

  static func oneDecimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
  }
}
