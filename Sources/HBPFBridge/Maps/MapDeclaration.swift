package import DPUCore

/// How a map finds its values.
package enum MapKind: Equatable, BitwiseCopyable, Sendable {
  /// Values by index, all there from the start.
  case array
  /// Values by key, made and removed while the program runs.
  case hash
  /// Variables of the program: one value, reached without a lookup.
  case variables(isReadOnly: Bool)

  package var name: StaticString {
    switch self {
    case .array: "array"
    case .hash: "hash"
    case .variables(isReadOnly: false): "variables"
    case .variables(isReadOnly: true): "constants"
    }
  }

  /// Whether the values lie in a row from the start on.
  package var isFlat: Bool { self != .hash }
}

/// A map as a program declares it.
package struct MapDeclaration: Equatable, Sendable {
  package var name: Text
  package var kind: MapKind
  package var keyBytes: Int
  package var valueBytes: Int
  package var entries: Int
  /// What variables begin with; empty: zeros.
  package var initial: [UInt8] = []

  package init(
    name: Text, kind: MapKind, keyBytes: Int, valueBytes: Int, entries: Int, initial: [UInt8] = []
  ) {
    self.name = name
    self.kind = kind
    self.keyBytes = keyBytes
    self.valueBytes = valueBytes
    self.entries = entries
    self.initial = initial
  }

  /// From one value of an array to the next: values begin at a multiple of eight.
  package var stride: Int { (valueBytes + 7) & ~7 }

  package var isReadOnly: Bool { kind == .variables(isReadOnly: true) }

  /// Bytes of all values of a flat map.
  var flatBytes: Int { stride * entries }

  /// Nil when it can be made; `kind` is the number of Linux's `enum bpf_map_type`.
  static func fault(kind: UInt32, keyBytes: UInt32, valueBytes: UInt32, entries: UInt32) -> Text? {
    guard let known = MapKind(linux: kind) else {
      return "maps of type \(kind) are not there; 1 (hash), 2 (array) and their per-core forms are"
    }
    if known == .array, keyBytes != 4 { return "an array has keys of 4 bytes, not \(keyBytes)" }
    guard keyBytes > 0, keyBytes <= HBPFLimits.mapKeyBytes else {
      return "keys of \(keyBytes) bytes; 1 to \(HBPFLimits.mapKeyBytes) are possible"
    }
    guard valueBytes > 0, valueBytes <= HBPFLimits.mapValueBytes else {
      return "values of \(valueBytes) bytes; 1 to \(HBPFLimits.mapValueBytes) are possible"
    }
    guard entries > 0, entries <= HBPFLimits.mapEntries else {
      return "\(entries) entries; 1 to \(HBPFLimits.mapEntries) are possible"
    }
    return nil
  }
}

extension MapKind {
  /// Each core has its own copy of every map, so the per-core forms are the same as the others.
  init?(linux: UInt32) {
    switch linux {
    case 1, 5: self = .hash
    case 2, 6: self = .array
    default: return nil
    }
  }
}
