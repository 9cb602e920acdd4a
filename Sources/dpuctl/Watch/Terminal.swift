import Glibc

/// The terminal while a full-screen command has it: raw input, the alternate screen, no cursor.
/// `restore` gives it back as it was.
final class Terminal {
  private var saved = termios()

  /// Nil when standard input and output are no terminal.
  init?() {
    guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1,
      tcgetattr(STDIN_FILENO, &saved) == 0
    else { return nil }
    var raw = saved
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)
    // A new size or a signal to stop ends the wait for a key.
    signal(SIGWINCH) { _ in }
    for stop in [SIGINT, SIGTERM, SIGHUP] { signal(stop) { _ in stopRequested = 1 } }
    ByteStream.write("\u{1b}[?1049h\u{1b}[?25l", to: STDOUT_FILENO)
  }

  func restore() {
    ByteStream.write("\u{1b}[?25h\u{1b}[?1049l", to: STDOUT_FILENO)
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved)
  }

  /// Columns and lines; 80 by 24 when the terminal does not say.
  static var size: (columns: Int, lines: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
    else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Shows `lines` from the top, each cut to the width; the rest of the screen is cleared.
  static func show(_ lines: [String]) {
    let (columns, rows) = size
    var text = "\u{1b}[H"
    for (index, line) in lines.prefix(rows).enumerated() {
      if index > 0 { text += "\r\n" }
      text += String(line.prefix(columns)) + "\u{1b}[K"
    }
    ByteStream.write(text + "\u{1b}[J", to: STDOUT_FILENO)
  }

  /// Waits for a key, at most `seconds`; nil when none came or the size of the terminal changed.
  static func key(within seconds: Double) -> Key? {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard poll(&input, 1, Int32(max(0, seconds * 1_000).rounded(.up))) == 1 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = read(STDIN_FILENO, &bytes, bytes.count)
    guard count > 0 else { return .end }
    switch Array(bytes[..<count]) {
    case [0x1b]: return .escape
    case [0x0a], [0x0d]: return .enter
    case [0x08], [0x7f]: return .backspace
    case let bytes where bytes[0] == 0x1b: return nil
    case let bytes: return String(decoding: bytes, as: UTF8.self).first.map { .character($0) }
    }
  }

  enum Key: Equatable {
    case character(Character)
    case enter, escape, backspace
    /// Standard input has ended.
    case end
  }

  static var isStopping: Bool { stopRequested != 0 }
}

/// Set by a signal handler.
nonisolated(unsafe) private var stopRequested: sig_atomic_t = 0
