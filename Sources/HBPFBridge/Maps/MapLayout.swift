/// Which maps lie in the state behind the packet, and where: flat ones in the order of their
/// declaration, as long as they fit. The same for every target, so that the state of a program
/// means the same in the FPGA and in software.
package struct MapLayout: Equatable, Sendable {
  /// Offsets in the data memory, nil for a map elsewhere.
  private var places: [Int?] = []
  /// The first byte that no map takes.
  package private(set) var end = HBPFLimits.stateOffset

  package init(_ maps: [MapDeclaration]) {
    for map in maps {
      if map.kind.isFlat, map.flatBytes <= HBPFLimits.dataBytes - end {
        places.append(end)
        end += map.flatBytes
      } else {
        places.append(nil)
      }
    }
  }

  package func place(of map: Int) -> Int? { places[map] }
}
