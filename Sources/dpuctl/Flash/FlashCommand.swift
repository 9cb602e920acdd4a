import ArgumentParser
import Glibc

/// A new firmware into the slot that does not run, and back to the old one when it does not work.
struct Flash: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Puts an image onto a DPU that was started from one.",
    discussion: """
      The image goes to the slot that does not run. The DPU checks it, is started anew with it once, \
      and keeps it when it is healthy then; else the DPU goes back to the slot that runs now.
      """)

  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Argument(help: "An image, as `./dev image` makes it.")
  var image: String

  @Option(help: "The public key (PEM) that must have signed it. The DPU has its own.")
  var key: String?

  @Flag(help: "Only look at the file.")
  var check = false

  @Option(help: "Seconds that the DPU has to come back and to be healthy.")
  var patience = 300

  func validate() throws {
    guard patience > 0 else { throw ValidationError("--patience must be more than 0") }
  }

  private var wantsJSON: Bool { options.json || root.options.json }

  mutating func run() throws {
    let file = try ImageFile(path: image)
    try file.checkFiles()
    if let key { try file.checkSignature(key) }
    guard !check else {
      print(wantsJSON ? file.summary.text : file.table)
      return
    }
    let place = options.place(root)
    guard let host = place.host else { throw Failure.usage("flash needs --host USER@DPU") }
    let started = Snapshot.now
    let board = try Board(host: host, socket: place.socket)
    let before = try board.look()
    try before.mustFit(file)
    let slot = before.otherSlot
    try write(file, to: slot, of: board)
    let written = Snapshot.now
    try board.tell("dpu-slot try \(slot) && dpu-restart")
    say("slot \(slot): to be tried; the DPU is started anew")
    try awaitHealth(of: slot, on: board, at: place, before)
    try board.tell("dpu-slot commit")
    let answer = JSONValue.object([
      .init("slot", slot), .init("version", file.version),
      .init("previous", .string(before.version(of: before.running) ?? "")),
      .init("millisecondsWriting", Int((written - started) * 1_000)),
      .init("millisecondsStarting", Int((Snapshot.now - written) * 1_000)),
    ])
    print(wantsJSON ? answer.text : "slot \(slot): \(file.version) runs and stays")
  }

  private func write(_ file: ImageFile, to slot: String, of board: Board) throws {
    let whole = file.bytes.count
    let bar = ProgressBar("slot \(slot): sending \(Units.bytes(.number(String(whole))))")
    defer { bar.end() }
    try board.tell("dpu-slot write \(slot)", input: file.bytes) { bar.show($0, of: whole) }
  }

  /// Returns once the slot's firmware is healthy.
  private func awaitHealth(
    of slot: String, on board: Board, at place: FirmwarePlace, _ before: Board.Look
  ) throws {
    let end = Snapshot.now + Double(patience)
    var reason = "the DPU did not come back"
    while Snapshot.now < end {
      usleep(1_000_000)
      guard let now = board.lookQuietly(), now.boot != before.boot else { continue }
      guard now.running == slot else {
        let refuge = now.running.isEmpty ? "rescue" : "slot \(now.running)"
        let why = now.note.isEmpty ? "no reason known" : now.note
        throw Failure.refused("the DPU fell back to \(refuge): \(why)")
      }
      reason = "the firmware does not serve its control socket"
      guard now.isServing else { continue }
      if let health = try? FirmwareConnection(place).call("system.health") {
        let cores = health["checks"].elements.filter { $0["name"].cell.hasPrefix("core ") }
        if !cores.isEmpty, cores.allSatisfy({ $0["ok"].isTrue }) { return }
        reason = "a poll loop does not answer"
      }
    }
    // It falls back by itself, because nobody commits it.
    throw Failure.unreachable("slot \(slot) was not healthy within \(patience) seconds: \(reason)")
  }

  private func say(_ text: String) { ByteStream.write(text + "\n", to: STDERR_FILENO) }
}
