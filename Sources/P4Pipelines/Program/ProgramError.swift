package import DPUCore
package import JSONText

/// Why a program is refused, and where in its text.
package struct ProgramError: Error, Sendable {
  /// For example `$.pipelines[0].tables[3].key[1].target`.
  package var path: Text
  package var message: Text
  package var position: TextPosition

  /// `line:column: path: message`.
  package var text: Text { "\(position.line):\(position.column): \(path): \(message)" }
}

/// A refusal on its way out of the loader: the place is still a chain of steps.
struct ProgramProblem: Error {
  var place: ProgramPlace
  /// The key before the value is meant.
  var atKey = false
  var message: Text
}

/// One step of the way from the outermost value of a program to one inside it. Chained instead of
/// written out, because a path is needed for the one value that is refused, not for each that is
/// read.
final class ProgramPlace: Sendable {
  private enum Step: Sendable {
    case root
    case member(Text, ordinal: Int)
    case element(Int)
  }

  private let step: Step
  private let parent: ProgramPlace?

  init() {
    step = .root
    parent = nil
  }

  private init(_ step: Step, in parent: ProgramPlace) {
    self.step = step
    self.parent = parent
  }

  func member(_ key: Text, ordinal: Int) -> ProgramPlace {
    ProgramPlace(.member(key, ordinal: ordinal), in: self)
  }

  func element(_ index: Int) -> ProgramPlace { ProgramPlace(.element(index), in: self) }

  var path: JSONPath {
    var steps: [Step] = []
    var place: ProgramPlace? = self
    while let current = place {
      steps.append(current.step)
      place = current.parent
    }
    var path = JSONPath()
    for step in steps.reversed() {
      switch step {
      case .root: break
      case .member(let key, let ordinal): path = path.member(key, ordinal: ordinal)
      case .element(let index): path = path.element(index)
      }
    }
    return path
  }
}
