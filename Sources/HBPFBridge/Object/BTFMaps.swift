import DPUCore

/// The maps that BTF declares: variables of the section `.maps`, structures whose members say by
/// their types what the map is. `__uint(max_entries, 64)` is a pointer to an array of 64.
struct BTFMaps {
  /// Numbers of the members, as far as given; a type by itself where a size follows from it.
  struct Definition {
    var kind: UInt32 = 0
    var keyBytes: UInt32 = 0
    var valueBytes: UInt32 = 0
    var entries: UInt32 = 0
  }

  private enum Kind {
    static let integer: UInt32 = 1, pointer: UInt32 = 2, array: UInt32 = 3, structure: UInt32 = 4
    static let union: UInt32 = 5, enumeration: UInt32 = 6, name: UInt32 = 8
    static let functionType: UInt32 = 13, variable: UInt32 = 14, section: UInt32 = 15
    static let float: UInt32 = 16, declarationTag: UInt32 = 17, enumeration64: UInt32 = 19
    static let last: UInt32 = 19
  }

  private static let magic: UInt16 = 0xeb9f
  private static let place: Text = "section .BTF"

  private let strings: Range<Int>
  /// Where the record of each type begins; type 0 is `void`.
  private var places: [Int] = [0]

  init(_ bytes: RawSpan) throws(ObjectFault) {
    guard bytes.byteCount >= 24, bytes.leUInt16(at: 0) == Self.magic else {
      throw ObjectFault(Self.place, "this is no BTF")
    }
    func part(_ at: Int) -> Range<Int>? {
      let start = UInt64(bytes.leUInt32(at: 4)) + UInt64(bytes.leUInt32(at: at))
      let end = start + UInt64(bytes.leUInt32(at: at + 4))
      return end <= UInt64(bytes.byteCount) ? Int(start)..<Int(end) : nil
    }
    guard let types = part(8), let strings = part(16) else {
      throw ObjectFault(Self.place, "types or strings lie outside the section")
    }
    self.strings = strings
    var at = types.lowerBound
    while at < types.upperBound {
      guard types.upperBound - at >= 12, let count = Self.extent(bytes.leUInt32(at: at + 4)),
        count <= types.upperBound - at
      else { throw ObjectFault(Self.place, "type \(places.count) is cut off or of no known kind") }
      guard places.count <= HBPFLimits.types else {
        throw ObjectFault(Self.place, "more than \(HBPFLimits.types) types")
      }
      places.append(at)
      at += count
    }
  }

  /// Bytes of a type's record, from its second word; nil for a kind that nobody knows.
  private static func extent(_ info: UInt32) -> Int? {
    let members = Int(info & 0xffff)
    switch info >> 24 & 0x1f {
    case Kind.integer, Kind.variable, Kind.declarationTag: return 16
    case Kind.array: return 24
    case Kind.structure, Kind.union, Kind.section, Kind.enumeration64: return 12 + 12 * members
    case Kind.enumeration, Kind.functionType: return 12 + 8 * members
    case 1...Kind.last: return 12
    default: return nil
    }
  }

  // MARK: Types

  private func kind(_ type: Int, _ bytes: RawSpan) -> UInt32 {
    type > 0 && type < places.count ? bytes.leUInt32(at: places[type] + 4) >> 24 & 0x1f : 0
  }

  private func members(_ type: Int, _ bytes: RawSpan) -> Int {
    Int(bytes.leUInt32(at: places[type] + 4) & 0xffff)
  }

  /// The last word of a record's head: a size, or another type.
  private func last(_ type: Int, _ bytes: RawSpan) -> Int {
    Int(bytes.leUInt32(at: places[type] + 8))
  }

  private func name(at offset: UInt32, _ bytes: RawSpan) -> Text {
    guard Int(offset) < strings.count else { return Text() }
    var end = strings.lowerBound + Int(offset)
    let start = end
    while end < strings.upperBound, bytes.byte(at: end) != 0, end - start <= HBPFLimits.nameBytes {
      end += 1
    }
    return Text(bytes.extracting(start..<end))
  }

  /// Behind names and qualifiers; 0 when that does not end.
  private func resolved(_ type: Int, _ bytes: RawSpan) -> Int {
    var current = type
    for _ in 0..<32 {
      switch kind(current, bytes) {
      case Kind.name...11, 18: current = last(current, bytes)
      default: return current
      }
    }
    return 0
  }

  private func size(_ type: Int, _ bytes: RawSpan, depth: Int = 0) -> UInt32? {
    let type = resolved(type, bytes)
    switch kind(type, bytes) {
    case Kind.integer, Kind.structure, Kind.union, Kind.enumeration, Kind.float,
      Kind.enumeration64:
      return UInt32(last(type, bytes))
    case Kind.pointer: return 8
    case Kind.array:
      guard depth < 8,
        let element = size(
          Int(bytes.leUInt32(at: places[type] + 12)), bytes, depth: depth + 1)
      else { return nil }
      let (total, overflow) = element.multipliedReportingOverflow(
        by: bytes.leUInt32(at: places[type] + 20))
      return overflow ? nil : total
    default: return nil
    }
  }

  // MARK: Maps

  /// What the variable `map` of section `.maps` declares.
  func definition(of map: Text, _ bytes: RawSpan) throws(ObjectFault) -> Definition {
    let place: Text = "section .maps, map \(map)"
    for type in 1..<max(1, places.count)
    where kind(type, bytes) == Kind.section
      && name(at: bytes.leUInt32(at: places[type]), bytes) == ".maps"
    {
      for member in 0..<members(type, bytes) {
        let variable = Int(bytes.leUInt32(at: places[type] + 12 + 12 * member))
        guard kind(variable, bytes) == Kind.variable,
          name(at: bytes.leUInt32(at: places[variable]), bytes) == map
        else { continue }
        let structure = resolved(last(variable, bytes), bytes)
        guard kind(structure, bytes) == Kind.structure else {
          throw ObjectFault(place, "its type is no structure")
        }
        return try definition(structure, bytes, place)
      }
    }
    throw ObjectFault(place, "BTF does not describe it; compile with -g")
  }

  private func definition(
    _ structure: Int, _ bytes: RawSpan, _ place: Text
  ) throws(ObjectFault) -> Definition {
    var result = Definition()
    for member in 0..<members(structure, bytes) {
      let at = places[structure] + 12 + 12 * member
      let name = name(at: bytes.leUInt32(at: at), bytes)
      let type = resolved(Int(bytes.leUInt32(at: at + 4)), bytes)
      guard kind(type, bytes) == Kind.pointer else {
        throw ObjectFault(place, "its member \(name) is no pointer, as __uint and __type make it")
      }
      let target = resolved(last(type, bytes), bytes)
      switch name {
      case "key", "value":
        guard let size = size(target, bytes) else {
          throw ObjectFault(place, "the type of its \(name) has no size")
        }
        if name == "key" { result.keyBytes = size } else { result.valueBytes = size }
      case "type", "key_size", "value_size", "max_entries", "map_flags":
        guard kind(target, bytes) == Kind.array else {
          throw ObjectFault(place, "its member \(name) does not hold a number")
        }
        let number = bytes.leUInt32(at: places[target] + 20)
        switch name {
        case "type": result.kind = number
        case "key_size": result.keyBytes = number
        case "value_size": result.valueBytes = number
        case "max_entries": result.entries = number
        default: break
        }
      default: throw ObjectFault(place, "its member \(name) is not supported")
      }
    }
    return result
  }
}
