import Glibc

/// A program that runs beside this one.
enum ChildProcess {
  /// Starts the program that `arguments` begins with, looked for as the shell does. `input` and
  /// `output`, when given, become its standard input and output; it gets none of `others`.
  static func start(
    _ arguments: [String], input: Int32? = nil, output: Int32? = nil, without others: [Int32] = []
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input { posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
    for other in others { posix_spawn_file_actions_addclose(&actions, other) }
    // Whatever blocks signals in this process must not keep the other from ending.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process: pid_t = 0
    let error = posix_spawnp(&process, arguments[0], &actions, &attributes, &pointers, environ)
    guard error == 0 else {
      throw Failure.unreachable("\(arguments[0]): \(String(cString: strerror(error)))")
    }
    return process
  }

  struct Answer {
    /// As a shell would say it.
    var status: Int32
    var output: String
  }

  /// Runs a program that is given `input`; its complaints go where ours do. It should print only once
  /// it has read everything. `progress` is told how many bytes it has been given.
  static func run(
    _ arguments: [String], input: ArraySlice<UInt8> = [], progress: (Int) -> Void = { _ in }
  ) throws -> Answer {
    var toChild: [Int32] = [0, 0]
    var fromChild: [Int32] = [0, 0]
    guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else {
      throw Failure.unreachable("no pipe: \(String(cString: strerror(errno)))")
    }
    defer { close(fromChild[0]) }
    let started = Result {
      try start(arguments, input: toChild[0], output: fromChild[1], without: toChild + fromChild)
    }
    close(toChild[0])
    close(fromChild[1])
    // One that ends without reading is told apart by its status and by what it prints.
    signal(SIGPIPE, SIG_IGN)
    if case .success = started { feed(input, to: toChild[1], progress) }
    close(toChild[1])
    let process = try started.get()
    let bytes = ByteStream.rest(of: fromChild[0]) ?? []
    var status: Int32 = 0
    waitpid(process, &status, 0)
    let signal = status & 0x7f
    return Answer(
      status: signal == 0 ? status >> 8 & 0xff : 128 + signal,
      output: String(decoding: bytes, as: UTF8.self))
  }

  private static func feed(
    _ input: ArraySlice<UInt8>, to descriptor: Int32, _ progress: (Int) -> Void
  ) {
    var rest = input
    while !rest.isEmpty {
      let chunk = rest.prefix(1 << 16)
      guard ByteStream.write(chunk, to: descriptor) else { return }
      rest = rest.dropFirst(chunk.count)
      progress(input.count - rest.count)
    }
  }
}
