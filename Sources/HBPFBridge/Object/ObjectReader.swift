import DPUCore

/// Turns the sections of an ELF file into programs and maps.
struct ObjectReader {
  /// Relocations of code (LLVM's names: R_BPF_64_64 and R_BPF_64_32).
  private static let wideLoad: UInt32 = 1
  private static let call: UInt32 = 10

  /// A section of code, its map references resolved.
  struct Code {
    var section: Int
    var instructions: [Instruction]
    /// Targets of the local calls that a relocation gives, by slot.
    var calls: [(slot: Int, section: Int, target: Int)] = []
    /// In the order of their beginnings.
    var functions: [ELFFile.Symbol] = []

    func call(at slot: Int) -> (section: Int, target: Int)? {
      for call in calls where call.slot == slot { return (call.section, call.target) }
      return nil
    }
  }

  private let file: ELFFile
  private(set) var maps: [MapDeclaration] = []
  private(set) var codes: [Code] = []
  /// The map that begins at an offset of a section.
  private var mapPlaces: [(section: Int, offset: Int, map: Int)] = []
  /// The map that a section of variables is.
  private var variables: [(section: Int, map: Int)] = []

  init(_ bytes: RawSpan) throws(ObjectFault) {
    file = try ELFFile(bytes)
    try readMaps(bytes)
    try readVariables(bytes)
    for index in file.sections.indices where file.sections[index].isCode {
      try readCode(index, bytes)
    }
    guard !codes.isEmpty else { throw ObjectFault("section table", "there is no code") }
  }

  func sectionName(_ index: Int) -> Text { file.sections[index].name }

  // MARK: Maps

  private mutating func readMaps(_ bytes: RawSpan) throws(ObjectFault) {
    for index in file.sections.indices {
      let section = file.sections[index]
      guard section.name == ".maps" || section.name == "maps" else { continue }
      var symbols: [ELFFile.Symbol] = []
      for symbol in file.symbols
      where symbol.section == index && symbol.kind != ELFFile.Symbol.section {
        symbols.append(symbol)
      }
      symbols.sort { $0.value < $1.value }
      if section.name == ".maps" {
        guard !symbols.isEmpty else { continue }
        let btf = try btf(bytes)
        for symbol in symbols {
          let definition = try btf.table.definition(of: symbol.name, btf.bytes)
          try add(definition, symbol, in: index)
        }
      } else {
        for symbol in symbols { try add(legacy(symbol, section, bytes), symbol, in: index) }
      }
    }
  }

  @_lifetime(copy bytes)
  private func btfBytes(_ bytes: RawSpan) -> RawSpan {
    for section in file.sections where section.name == ".BTF" {
      return bytes.extracting(section.range)
    }
    return bytes.extracting(0..<0)
  }

  private struct TypeTable: ~Escapable {
    let table: BTFMaps
    let bytes: RawSpan

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) throws(ObjectFault) {
      table = try BTFMaps(bytes)
      self.bytes = bytes
    }
  }

  @_lifetime(copy bytes)
  private func btf(_ bytes: RawSpan) throws(ObjectFault) -> TypeTable {
    let found = btfBytes(bytes)
    guard found.byteCount > 0 else {
      throw ObjectFault("section .maps", "there is no .BTF to describe it; compile with -g")
    }
    return try TypeTable(found)
  }

  /// Five numbers: kind, bytes of key and value, entries, flags.
  private func legacy(
    _ symbol: ELFFile.Symbol, _ section: ELFFile.Section, _ bytes: RawSpan
  ) throws(ObjectFault) -> BTFMaps.Definition {
    guard section.range.count - symbol.value >= 20 else {
      throw ObjectFault("section maps, map \(symbol.name)", "is shorter than 20 bytes")
    }
    let at = section.range.lowerBound + symbol.value
    return BTFMaps.Definition(
      kind: bytes.leUInt32(at: at), keyBytes: bytes.leUInt32(at: at + 4),
      valueBytes: bytes.leUInt32(at: at + 8), entries: bytes.leUInt32(at: at + 12))
  }

  private mutating func add(
    _ definition: BTFMaps.Definition, _ symbol: ELFFile.Symbol, in section: Int
  ) throws(ObjectFault) {
    let place: Text = "section \(file.sections[section].name), map \(symbol.name)"
    if let fault = MapDeclaration.fault(
      kind: definition.kind, keyBytes: definition.keyBytes, valueBytes: definition.valueBytes,
      entries: definition.entries)
    {
      throw ObjectFault(place, fault)
    }
    guard maps.count < HBPFLimits.maps else {
      throw ObjectFault(place, "more than \(HBPFLimits.maps) maps")
    }
    mapPlaces.append((section, symbol.value, maps.count))
    maps.append(
      MapDeclaration(
        name: symbol.name, kind: MapKind(linux: definition.kind)!,
        keyBytes: Int(definition.keyBytes), valueBytes: Int(definition.valueBytes),
        entries: Int(definition.entries)))
  }

  /// Sections of variables, each as one map with one value.
  private mutating func readVariables(_ bytes: RawSpan) throws(ObjectFault) {
    for index in file.sections.indices {
      let section = file.sections[index]
      let isConstant = section.name.bytes.starts(with: (".rodata" as Text).bytes)
      guard
        isConstant || section.name.bytes.starts(with: (".data" as Text).bytes)
          || section.name.bytes.starts(with: (".bss" as Text).bytes),
        section.flags & ELFFile.Section.allocated != 0, section.size > 0
      else { continue }
      let place: Text = "section \(section.name)"
      guard section.size <= HBPFLimits.mapValueBytes else {
        throw ObjectFault(place, "more than \(HBPFLimits.mapValueBytes) bytes of variables")
      }
      guard try file.relocations(of: index, bytes).isEmpty else {
        throw ObjectFault(place, "a variable begins with an address, which is not supported")
      }
      guard maps.count < HBPFLimits.maps else {
        throw ObjectFault(place, "more than \(HBPFLimits.maps) maps")
      }
      var initial: [UInt8] = []
      for at in section.range { initial.append(bytes.byte(at: at)) }
      variables.append((index, maps.count))
      maps.append(
        MapDeclaration(
          name: section.name, kind: .variables(isReadOnly: isConstant), keyBytes: 4,
          valueBytes: section.size, entries: 1, initial: initial))
    }
  }

  // MARK: Code

  private mutating func readCode(_ index: Int, _ bytes: RawSpan) throws(ObjectFault) {
    let section = file.sections[index]
    guard section.range.count % Instruction.byteCount == 0 else {
      throw ObjectFault("section \(section.name)", "is no whole number of instructions")
    }
    guard section.range.count / Instruction.byteCount <= HBPFLimits.instructions else {
      throw ObjectFault(
        "section \(section.name)", "more than \(HBPFLimits.instructions) instructions")
    }
    var code = Code(
      section: index, instructions: ProgramObject.instructions(bytes.extracting(section.range)))
    for symbol in file.symbols
    where symbol.section == index && symbol.kind == ELFFile.Symbol.function {
      guard symbol.value % Instruction.byteCount == 0, symbol.size % Instruction.byteCount == 0
      else {
        throw ObjectFault(
          "section \(section.name), function \(symbol.name)",
          "does not begin and end at an instruction")
      }
      code.functions.append(symbol)
    }
    code.functions.sort { $0.value < $1.value }
    for relocation in try file.relocations(of: index, bytes) {
      try apply(relocation, to: &code)
    }
    codes.append(code)
  }

  private func apply(
    _ relocation: ELFFile.Relocation, to code: inout Code
  ) throws(ObjectFault) {
    let slot = relocation.offset / Instruction.byteCount
    let symbol = file.symbols[relocation.symbol]
    let place: Text = "section \(sectionName(code.section)), instruction \(slot)"
    guard relocation.offset % Instruction.byteCount == 0 else {
      throw ObjectFault(place, "a relocation in the middle of it")
    }
    switch relocation.kind {
    case Self.wideLoad:
      guard code.instructions[slot].isWideLoad, slot + 1 < code.instructions.count else {
        throw ObjectFault(place, "a relocation for a wide load, and this is none")
      }
      guard symbol.section > 0 else {
        throw ObjectFault(place, "\(symbol.name) is not defined in this file")
      }
      try refer(to: symbol, at: slot, in: &code, place)
    case Self.call:
      guard code.instructions[slot].isLocalCall else {
        throw ObjectFault(place, "a relocation for a local call, and this is none")
      }
      guard symbol.section > 0, file.sections[symbol.section].isCode else {
        throw ObjectFault(place, "calls \(symbol.name), which is not defined in this file")
      }
      let target =
        symbol.value / Instruction.byteCount + Int(code.instructions[slot].immediate) + 1
      code.calls.append((slot, symbol.section, target))
    default:
      throw ObjectFault(place, "relocations of type \(relocation.kind) are not supported")
    }
  }

  /// Makes the wide load at `slot` mean a map, or a place in the variables.
  private func refer(
    to symbol: ELFFile.Symbol, at slot: Int, in code: inout Code, _ place: Text
  ) throws(ObjectFault) {
    let target = symbol.value + Int(code.instructions[slot].immediate)
    for entry in mapPlaces where entry.section == symbol.section && entry.offset == target {
      code.instructions[slot].source = WideLoadKind.mapByIndex
      code.instructions[slot].immediate = Int32(entry.map)
      code.instructions[slot + 1].immediate = 0
      return
    }
    for entry in variables where entry.section == symbol.section {
      guard target >= 0, target <= Int(Int32.max) else {
        throw ObjectFault(place, "a variable at \(target) of \(sectionName(entry.section))")
      }
      code.instructions[slot].source = WideLoadKind.mapValueByIndex
      code.instructions[slot].immediate = Int32(entry.map)
      code.instructions[slot + 1].immediate = Int32(target)
      return
    }
    if file.sections[symbol.section].isCode {
      throw ObjectFault(place, "takes the address of a function, which is not supported")
    }
    throw ObjectFault(place, "means section \(sectionName(symbol.section)), which holds no map")
  }
}
