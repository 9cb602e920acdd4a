/// What a program may ask for at most. A program comes from outside, so whatever it says must
/// neither exhaust memory nor the stack; each limit lies far above what compilers write.
package enum ProgramLimits {
  /// Bytes of the text. The largest of our programs has 190 kB.
  package static let textBytes = 16 << 20
  /// Objects and arrays in the text: jansson takes up to 300 bytes for an empty one, so a text of
  /// brackets would otherwise take a hundred times its size.
  package static let containers = 1 << 19
  /// Values in the text, about 80 bytes each.
  package static let values = 1 << 21
  /// Bytes of a name, and of the format of a log message.
  package static let nameBytes = 4_096

  /// Instances of headers and metadata, members of stacks and unions included.
  package static let headers = 4_096
  /// Fields of all instances: each may become a lane of 128 packets (1 kB).
  package static let fields = 16_384
  /// Bits of a field of fixed width: what p4c itself allows unless told otherwise.
  package static let fieldBits = 2_048
  /// Bits of a header with its varbit at its longest; more than a packet holds is never parsed.
  package static let headerBits = 16_384
  /// Bits of all headers together: they are kept for 128 packets.
  package static let headersBits = 1 << 20

  /// Elements of each kind that is counted in tens: stacks, unions, counters, registers,
  /// calculations, lists, enums, errors.
  package static let objects = 4_096
  package static let states = 4_096
  package static let actions = 16_384
  package static let tables = 4_096
  package static let conditionals = 16_384
  /// Statements of all actions, states and the deparser.
  package static let statements = 1 << 18
  /// Operators and operands of all expressions.
  package static let expressionNodes = 1 << 19
  /// Operators within operators: each is a call deeper, here and in the compiler. p4c's deepest
  /// in its test set is 20.
  package static let expressionDepth = 200
  /// Bits of a constant, and the longest shift by a constant: longer ones leave nothing of a field.
  package static let constantBits = 2 * fieldBits

  /// Bits of the key of a table, or of the transition of a parser state, with padding.
  package static let keyBits = 4_096
  /// Entries of one table; members of one profile. As many as `TableLimits.entriesMax`.
  package static let entries = 1 << 20
  /// Memory of all tables, estimated (see `tableBytes(keyBytes:capacity:isScanned:)`).
  package static let tablesBytes = 1 << 30
  /// Values of all parser value sets.
  package static let valueSetEntries = 1 << 16
  /// Cells of all counters (16 bytes each) and of all meters (about 64 bytes each).
  package static let counterCells = 1 << 22
  package static let meterCells = 1 << 20
  /// Memory of all registers.
  package static let registerBytes = 1 << 28
  /// Bits of a register's cell.
  package static let registerBits = fieldBits
  /// Bits of all inputs of one calculation or one digest, without payload.
  package static let calculationBits = 1 << 16
  /// Headers that the deparser names; a header may be emitted more than once.
  package static let emitted = 4_096

  /// What a table may take: two copies of each key and a record; for tables that are searched by
  /// rule, a bit per rule for each of the 256 values of each key byte.
  static func tableBytes(keyBytes: Int, capacity: Int, isScanned: Bool) -> Int {
    capacity * (64 + 2 * keyBytes + (isScanned ? 32 * keyBytes : 0))
  }
}
