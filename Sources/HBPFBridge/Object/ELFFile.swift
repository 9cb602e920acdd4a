import DPUCore

/// Sections, symbols and relocations of a 64-bit little-endian ELF file for the machine BPF, each
/// checked to lie inside the file. Says nothing of what they mean.
struct ELFFile {
  private enum Header {
    static let kind = 16, machine = 18, sectionTable = 40, sectionEntryBytes = 58
    static let sectionCount = 60, nameSection = 62, byteCount = 64
  }

  static let magic: UInt32 = 0x464c_457f
  private static let relocatable: UInt16 = 1
  private static let machineBPF: UInt16 = 247

  struct Section {
    static let byteCount = 64
    /// Kinds that are looked at (ELF's `sh_type`).
    static let symbols: UInt32 = 2, stringTable: UInt32 = 3, relocationsWithAddend: UInt32 = 4
    static let program: UInt32 = 1, zeros: UInt32 = 8, relocations: UInt32 = 9
    static let writable: UInt64 = 1, allocated: UInt64 = 2, executable: UInt64 = 4

    var name: Text
    var kind: UInt32
    var flags: UInt64
    /// In the file; empty for a section of zeros.
    var range: Range<Int>
    var size: Int
    var link: Int
    var info: Int

    var isCode: Bool { kind == Self.program && flags & Self.executable != 0 && size > 0 }
  }

  struct Symbol {
    static let byteCount = 24
    static let object: UInt8 = 1, function: UInt8 = 2, section: UInt8 = 3

    var name: Text
    var kind: UInt8
    var isGlobal: Bool
    /// Index of its section; 0 for one that is not defined here.
    var section: Int
    var value: Int
    var size: Int
  }

  struct Relocation {
    var offset: Int
    var symbol: Int
    var kind: UInt32
  }

  private(set) var sections: [Section] = []
  private(set) var symbols: [Symbol] = []

  static func isELF(_ bytes: RawSpan) -> Bool {
    bytes.byteCount >= 4 && bytes.leUInt32(at: 0) == magic
  }

  init(_ bytes: RawSpan) throws(ObjectFault) {
    guard bytes.byteCount >= Header.byteCount, Self.isELF(bytes) else {
      throw ObjectFault("file header", "this is no ELF file")
    }
    guard bytes.byte(at: 4) == 2, bytes.byte(at: 5) == 1 else {
      throw ObjectFault("file header", "not of 64 bits and little-endian: use -target bpfel")
    }
    let machine = bytes.leUInt16(at: Header.machine)
    guard machine == Self.machineBPF else {
      throw ObjectFault("file header", "for machine \(machine), not for BPF (\(Self.machineBPF))")
    }
    guard bytes.leUInt16(at: Header.kind) == Self.relocatable else {
      throw ObjectFault("file header", "not an object file as a compiler writes it")
    }
    try readSections(bytes)
    for index in sections.indices where sections[index].kind == Section.symbols {
      try readSymbols(bytes, sections[index])
    }
  }

  // MARK: Sections

  private mutating func readSections(_ bytes: RawSpan) throws(ObjectFault) {
    let count = Int(bytes.leUInt16(at: Header.sectionCount))
    let table = bytes.leUInt64(at: Header.sectionTable)
    guard bytes.leUInt16(at: Header.sectionEntryBytes) == Section.byteCount,
      let start = Self.range(table, UInt64(count * Section.byteCount), in: bytes)?.lowerBound
    else { throw ObjectFault("section table", "lies outside the file") }
    guard count <= HBPFLimits.objectSections else {
      throw ObjectFault("section table", "more than \(HBPFLimits.objectSections) sections")
    }
    for index in 0..<count {
      let at = start + index * Section.byteCount
      let kind = bytes.leUInt32(at: at + 4)
      let size = bytes.leUInt64(at: at + 32)
      guard size <= UInt64(HBPFLimits.objectBytes) else {
        throw ObjectFault("section \(index)", "has more than \(HBPFLimits.objectBytes) bytes")
      }
      let hasBytes = kind != Section.zeros && kind != 0
      guard
        let range = hasBytes ? Self.range(bytes.leUInt64(at: at + 24), size, in: bytes) : 0..<0
      else { throw ObjectFault("section \(index)", "lies outside the file") }
      sections.append(
        Section(
          name: "", kind: kind, flags: bytes.leUInt64(at: at + 8), range: range, size: Int(size),
          link: Int(bytes.leUInt32(at: at + 40)), info: Int(bytes.leUInt32(at: at + 44))))
    }
    let names = Int(bytes.leUInt16(at: Header.nameSection))
    for index in 0..<count {
      let offset = bytes.leUInt32(at: start + index * Section.byteCount)
      sections[index].name = try string(bytes, section: names, at: Int(offset))
    }
  }

  private static func range(_ start: UInt64, _ count: UInt64, in bytes: RawSpan) -> Range<Int>? {
    guard start <= UInt64(bytes.byteCount), count <= UInt64(bytes.byteCount) - start else {
      return nil
    }
    return Int(start)..<Int(start + count)
  }

  /// A string that ends with a zero.
  private func string(
    _ bytes: RawSpan, section: Int, at offset: Int
  ) throws(ObjectFault) -> Text {
    guard sections.indices.contains(section), sections[section].kind == Section.stringTable,
      offset < sections[section].range.count
    else { throw ObjectFault("string table", "has no string at \(offset)") }
    let range = sections[section].range
    var end = range.lowerBound + offset
    while end < range.upperBound, bytes.byte(at: end) != 0 { end += 1 }
    guard end < range.upperBound else {
      throw ObjectFault("string table", "the string at \(offset) does not end")
    }
    guard end - range.lowerBound - offset <= HBPFLimits.nameBytes else {
      throw ObjectFault(
        "string table", "the string at \(offset) is longer than \(HBPFLimits.nameBytes) bytes")
    }
    return Text(bytes.extracting(range.lowerBound + offset..<end))
  }

  // MARK: Symbols and relocations

  private mutating func readSymbols(_ bytes: RawSpan, _ section: Section) throws(ObjectFault) {
    guard symbols.isEmpty else { throw ObjectFault("section table", "a second symbol table") }
    guard section.range.count % Symbol.byteCount == 0 else {
      throw ObjectFault("symbol table", "is no whole number of symbols")
    }
    guard section.range.count / Symbol.byteCount <= HBPFLimits.objectSymbols else {
      throw ObjectFault("symbol table", "more than \(HBPFLimits.objectSymbols) symbols")
    }
    for at in stride(
      from: section.range.lowerBound, to: section.range.upperBound, by: Symbol.byteCount)
    {
      let info = bytes.byte(at: at + 4)
      let index = bytes.leUInt16(at: at + 6)
      let value = bytes.leUInt64(at: at + 8)
      let size = bytes.leUInt64(at: at + 16)
      // Indices from 0xff00 on mean no section; value and size are only numbers there.
      let isDefined = index > 0 && Int(index) < sections.count
      guard !isDefined || value <= UInt64(sections[Int(index)].size),
        !isDefined || size <= UInt64(sections[Int(index)].size) - value
      else {
        throw ObjectFault(
          "symbol \(symbols.count)", "does not lie in its section \(Int(index))")
      }
      symbols.append(
        Symbol(
          name: try string(bytes, section: section.link, at: Int(bytes.leUInt32(at: at))),
          kind: info & 0xf, isGlobal: info >> 4 != 0, section: isDefined ? Int(index) : 0,
          value: isDefined ? Int(value) : 0, size: isDefined ? Int(size) : 0))
    }
  }

  /// The relocations of section `target`. Those with an addend of their own do not occur for BPF.
  func relocations(of target: Int, _ bytes: RawSpan) throws(ObjectFault) -> [Relocation] {
    var result: [Relocation] = []
    for section in sections where section.info == target {
      if section.kind == Section.relocationsWithAddend, section.size > 0 {
        throw ObjectFault("section \(section.name)", "relocations with addends are not for BPF")
      }
      guard section.kind == Section.relocations else { continue }
      guard section.range.count % 16 == 0 else {
        throw ObjectFault("section \(section.name)", "is no whole number of relocations")
      }
      for at in stride(from: section.range.lowerBound, to: section.range.upperBound, by: 16) {
        let offset = bytes.leUInt64(at: at)
        let symbol = Int(bytes.leUInt32(at: at + 12))
        guard offset < UInt64(sections[target].size), symbols.indices.contains(symbol) else {
          throw ObjectFault(
            "section \(section.name), relocation \(result.count)",
            "its offset or symbol does not exist")
        }
        result.append(
          Relocation(offset: Int(offset), symbol: symbol, kind: bytes.leUInt32(at: at + 8)))
      }
    }
    return result
  }
}
