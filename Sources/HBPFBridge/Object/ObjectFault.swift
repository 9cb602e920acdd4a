package import DPUCore

/// Why an object file is refused, and where in it.
package struct ObjectFault: Error, Equatable, Sendable {
  /// A section, with an offset or an instruction where there is one: `section xdp, instruction 3`.
  package var place: Text
  package var reason: Text

  package init(_ place: Text, _ reason: Text) {
    self.place = place
    self.reason = reason
  }

  package var text: Text { "\(place): \(reason)" }
}
