import Glibc

/// How far something is, on a terminal; a single line elsewhere.
final class ProgressBar {
  private static let width = 30

  private let title: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var shown = -1

  init(_ title: String) {
    self.title = title
    if !isTerminal { ByteStream.write(title + "\n", to: STDERR_FILENO) }
  }

  func show(_ done: Int, of whole: Int) {
    guard isTerminal, whole > 0 else { return }
    let percent = done * 100 / whole
    guard percent != shown else { return }
    shown = percent
    let filled = percent * Self.width / 100
    let bar =
      String(repeating: "#", count: filled)
      + String(repeating: "-", count: Self.width - filled)
    ByteStream.write("\r\(title) [\(bar)] \(percent) %", to: STDERR_FILENO)
  }

  func end() {
    if isTerminal { ByteStream.write("\n", to: STDERR_FILENO) }
  }
}
