import P4Pipelines

/// What BMv2 leaves to chance: reading past the packet, an element that a stack does not have, an
/// assertion that fails. There is nothing to compare then.
struct Unspecified: Error {}

/// A packet with its headers in the reference switch: the plainest form that can be thought of,
/// one unlimited number per field.
struct ReferencePacket {
  let program: P4Program
  var fields: [[WideInteger]]
  var isValid: [Bool]
  /// Bits of the varbit field of each header.
  var variableBits: [Int]
  var nextOfStack: [Int]
  var nextOfUnionStack: [Int]
  var validMember: [Int?]

  /// Bytes behind the headers.
  var data: [UInt8] = []
  /// The length register: what setValid and setInvalid change.
  var length = 0
  /// Bytes at the last arrival; counters and meters take it.
  var arrivedLength = 0
  var isExiting = false
  var cloneSession = 0
  var cloneList: Int?
  var resubmits = false
  var resubmitList: Int?
  var recirculates = false
  var recirculateList: Int?
  var port = 0

  init(_ program: P4Program, data: [UInt8]) {
    self.program = program
    fields = program.headers.map { $0.fields.map { _ in .zero } }
    isValid = program.headers.map(\.isMetadata)
    variableBits = program.headers.map { _ in 0 }
    nextOfStack = program.stacks.map { _ in 0 }
    nextOfUnionStack = program.unionStacks.map { _ in 0 }
    validMember = program.unions.map { _ in nil }
    self.data = data
    length = data.count
    arrivedLength = data.count
  }

  // MARK: Fields

  func width(_ field: P4Program.FieldReference) -> Int {
    let header = program.headers[field.header]
    return header.fields[field.field].isVariable
      ? variableBits[field.header] : header.fields[field.field].width
  }

  subscript(field: P4Program.FieldReference) -> WideInteger {
    get { fields[field.header][field.field] }
    set { fields[field.header][field.field] = fitted(newValue, field) }
  }

  /// As BMv2's Field::export_bytes: signed values that lie above the largest but within the mask
  /// stay as they are.
  private func fitted(_ value: WideInteger, _ field: P4Program.FieldReference) -> WideInteger {
    let width = width(field)
    guard program.headers[field.header].fields[field.field].isSigned else {
      return value.truncated(to: width)
    }
    let minimum = -WideInteger.powerOfTwo(width - 1)
    if value < minimum || .ones(width) < value {
      return value.truncated(to: width).signExtended(from: width)
    }
    return value
  }

  /// The bits as they stand on the wire.
  func bits(_ field: P4Program.FieldReference) -> WideInteger {
    self[field].truncated(to: width(field))
  }

  mutating func setStandard(_ name: String, _ value: Int) {
    let header = program.standardMetadata
    for (index, field) in program.headers[header].fields.enumerated()
    where field.name.string == name {
      self[P4Program.FieldReference(header: header, field: index)] = WideInteger(value)
    }
  }

  func standard(_ name: String) -> Int {
    let header = program.standardMetadata
    for (index, field) in program.headers[header].fields.enumerated()
    where field.name.string == name {
      return fields[header][index].exactInt ?? 0
    }
    return 0
  }

  mutating func resetMetadata() {
    for (index, header) in program.headers.enumerated() where header.isMetadata {
      fields[index] = header.fields.map { _ in .zero }
    }
  }

  mutating func copy(_ list: Int?, from other: ReferencePacket) {
    guard let list else { return }
    for field in program.fieldLists[list].fields {
      fields[field.header][field.field] = other.fields[field.header][field.field]
    }
  }

  // MARK: Headers

  /// Bytes that the header takes in a packet.
  func byteCount(_ header: Int) -> Int {
    var bits = 0
    for (index, field) in program.headers[header].fields.enumerated() where !field.isValidBit {
      bits += width(P4Program.FieldReference(header: header, field: index))
    }
    return bits / 8
  }

  func bytes(of header: Int) -> [UInt8] {
    var bits: [Bool] = []
    for index in program.headers[header].fields.indices {
      let field = P4Program.FieldReference(header: header, field: index)
      bits += Self.bits(of: self.bits(field), width: width(field))
    }
    return Self.bytes(of: bits)
  }

  mutating func setValid(_ header: Int) {
    isValid[header] = true
    guard let union = program.headers[header].union else { return }
    let member = program.headers[header].unionIndex
    if let other = validMember[union], other != member {
      isValid[program.unions[union].members[other]] = false
    }
    validMember[union] = member
  }

  mutating func setInvalid(_ header: Int) {
    isValid[header] = false
    guard let union = program.headers[header].union else { return }
    if validMember[union] == program.headers[header].unionIndex { validMember[union] = nil }
  }

  mutating func assign(_ target: Int, from source: Int) {
    guard isValid[source] else { return setInvalid(target) }
    setValid(target)
    variableBits[target] = variableBits[source]
    for index in fields[source].indices {
      self[P4Program.FieldReference(header: target, field: index)] = fields[source][index]
    }
  }

  mutating func swap(_ first: Int, _ second: Int) {
    fields.swapAt(first, second)
    isValid.swapAt(first, second)
    variableBits.swapAt(first, second)
  }

  func areEqual(_ first: Int, _ second: Int) -> Bool {
    isValid[first] && isValid[second] && fields[first] == fields[second]
  }

  // MARK: Bits

  static func bits(of value: WideInteger, width: Int) -> [Bool] {
    (0..<width).reversed().map { value.word($0 / 64) >> UInt64($0 % 64) & 1 == 1 }
  }

  /// Zeros fill the last byte.
  static func bytes(of bits: [Bool]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: (bits.count + 7) / 8)
    for (index, bit) in bits.enumerated() where bit { bytes[index / 8] |= 0x80 >> UInt8(index % 8) }
    return bytes
  }

  static func number(_ bytes: ArraySlice<UInt8>, bit: Int, width: Int) -> WideInteger {
    var value = WideInteger.zero
    for offset in bit..<bit + width {
      let byte = bytes[bytes.startIndex + offset / 8]
      value = value << 1 | WideInteger(UInt64(byte >> UInt8(7 - offset % 8) & 1))
    }
    return value
  }
}
