import DPUCore
import Foundation
import JSONText
import Testing

@testable import P4Pipelines

/// Programs with mistakes in them, made from the corpus by chance. The environment variable
/// `P4_MUTATIONS` says how many, `P4_SEED` where to start, `P4_KEEP` names a file that holds the
/// program at hand, for when one ends the test.
@Suite struct MutationTests {
  /// Where the values of a JSON text stand, as bytes.
  struct Outline {
    struct Node {
      var range: Range<Int>
      var children: [(key: Range<Int>?, node: Node)] = []
    }

    let bytes: [UInt8]
    private(set) var root = Node(range: 0..<0)
    private var index = 0

    init(_ bytes: [UInt8]) {
      self.bytes = bytes
      root = value()
    }

    private func byte() -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    private static func isSpace(_ byte: UInt8) -> Bool {
      byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
    }

    private mutating func space() {
      while Self.isSpace(byte()) { index += 1 }
    }

    private mutating func string() -> Range<Int> {
      let start = index
      index += 1
      while index < bytes.count, byte() != UInt8(ascii: "\"") {
        index += byte() == UInt8(ascii: "\\") ? 2 : 1
      }
      index += 1
      return start..<index
    }

    private mutating func value() -> Node {
      space()
      let start = index
      var node = Node(range: start..<start)
      switch byte() {
      case UInt8(ascii: "\""): _ = string()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        let isObject = byte() == UInt8(ascii: "{")
        index += 1
        space()
        while byte() != UInt8(ascii: "}"), byte() != UInt8(ascii: "]"), index < bytes.count {
          var key: Range<Int>?
          if isObject {
            key = string()
            space()
            index += 1
          }
          node.children.append((key, value()))
          space()
          if byte() == UInt8(ascii: ",") { index += 1 }
          space()
        }
        index += 1
      default:
        while index < bytes.count, byte() != UInt8(ascii: ","), byte() != UInt8(ascii: "]"),
          byte() != UInt8(ascii: "}"), !Self.isSpace(byte())
        {
          index += 1
        }
      }
      node.range = start..<index
      return node
    }

    /// All values below the root, and for members also with their keys.
    var places: [(key: Range<Int>?, range: Range<Int>)] {
      var found: [(Range<Int>?, Range<Int>)] = []
      func visit(_ node: Node) {
        for child in node.children {
          found.append((child.key, child.node.range))
          visit(child.node)
        }
      }
      visit(root)
      return found
    }

    /// Offsets of the values that `path` may mean; keys with dots make it ambiguous.
    func offsets(of path: Substring, in node: Node) -> [Int] {
      if path.isEmpty { return [node.range.lowerBound] }
      var found: [Int] = []
      for (position, child) in node.children.enumerated() {
        let step =
          child.key.map { "." + String(decoding: bytes[$0.dropFirst().dropLast()], as: UTF8.self) }
          ?? "[\(position)]"
        if path.hasPrefix(step) { found += offsets(of: path.dropFirst(step.count), in: child.node) }
      }
      return found
    }
  }

  static func mutate(
    _ outline: Outline, _ places: [(key: Range<Int>?, range: Range<Int>)],
    _ random: inout Xorshift
  ) -> [UInt8] {
    var bytes = outline.bytes
    func pick() -> (key: Range<Int>?, range: Range<Int>) {
      places[Int.random(in: places.indices, using: &random)]
    }
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      for _ in 0...Int.random(in: 0...3, using: &random) {
        let index = Int.random(in: bytes.indices, using: &random)
        bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
    case 1:  // A member or an element goes, with its comma.
      let place = pick()
      var end = place.range.upperBound
      var start = place.key?.lowerBound ?? place.range.lowerBound
      while end < bytes.count, [0x20, 0x0a].contains(bytes[end]) { end += 1 }
      if bytes[end] == UInt8(ascii: ",") {
        end += 1
      } else {
        while [0x20, 0x0a].contains(bytes[start - 1]) { start -= 1 }
        if bytes[start - 1] == UInt8(ascii: ",") { start -= 1 }
      }
      bytes.removeSubrange(start..<end)
    case 2:  // Two values change places.
      let (a, b) = (pick().range, pick().range)
      let (first, second) = a.lowerBound < b.lowerBound ? (a, b) : (b, a)
      guard first.upperBound <= second.lowerBound else { break }
      bytes.replaceSubrange(second, with: outline.bytes[first])
      bytes.replaceSubrange(first, with: outline.bytes[second])
    case 3:  // A value becomes a number.
      let numbers = [
        "-1", "0", "1", "2", "7", "8", "255", "65536", "2147483648", "9223372036854775807",
        "18446744073709551616", "1.5", "1e400", "\"0x0\"", "\"-0x1\"", "\"0xffffffffffffffffff\"",
        "null", "true", "[]", "{}", "\"\"",
      ]
      bytes.replaceSubrange(pick().range, with: numbers.randomElement(using: &random)!.utf8)
    case 4: bytes.removeLast(Int.random(in: bytes.indices, using: &random))
    case 5:  // A value is replaced by another.
      bytes.replaceSubrange(pick().range, with: outline.bytes[pick().range])
    case 6:  // An element or a member stands twice.
      let place = pick()
      let part = outline.bytes[
        (place.key?.lowerBound ?? place.range.lowerBound)..<place.range.upperBound]
      bytes.insert(contentsOf: Array(part) + [UInt8(ascii: ",")], at: part.startIndex)
    default:  // Something within a value changes.
      let range = pick().range
      let index = Int.random(in: range, using: &random)
      bytes[index] = UInt8.random(in: 0x20..<0x7f, using: &random)
    }
    return bytes
  }

  /// Programs with mistakes by chance, each given to `body` with its number.
  static func mutations(
    _ count: Int, seed: UInt64, _ body: (_ number: Int, _ bytes: [UInt8]) throws -> Void
  ) throws {
    // Reading the outlines takes longer than loading, so some programs have to do per run.
    var random = Xorshift(seed)
    let paths = Corpus.paths.shuffled(using: &random).prefix(max(10, count / 100))
    let outlines =
      try paths.map { Outline(try Corpus.text($0).bytes) }
      + [Outline(Array(baseProgram.replacing("STATEMENTS", with: "").utf8))]
    let places = outlines.map(\.places)
    for number in 0..<count {
      let program = number % outlines.count
      let bytes = mutate(outlines[program], places[program], &random)
      if let path = environment["P4_KEEP"] {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
      }
      try body(number, bytes)
    }
  }

  static let environment = ProcessInfo.processInfo.environment
  static let seed = environment["P4_SEED"].flatMap(UInt64.init) ?? 1

  @Test func mistakesAreRefusedAtTheirPlace() throws {
    let count = Self.environment["P4_MUTATIONS"].flatMap(Int.init) ?? 2_000
    var refused = 0
    try Self.mutations(count, seed: Self.seed) { number, bytes in
      let text = Text(bytes: bytes)
      do throws(ProgramError) {
        let program = try ProgramLoader.load(text.span)
        ProgramCheck.check(program)
        // What it says may still be more than the compiler does; that is an answer too.
        do throws(CompileError) {
          _ = try Compiler.compile(program)
        } catch {
          #expect(!error.message.isEmpty)
        }
      } catch {
        refused += 1
        try #require(!error.message.isEmpty && error.path.string.hasPrefix("$"))
        // Finding the place again takes longer than the loader itself, so not each time.
        guard number % 8 == 0, !error.message.string.hasPrefix("must be JSON") else { return }
        try #require(
          Self.names(error, in: bytes),
          "seed \(Self.seed), number \(number): \(error.text.string)")
      }
    }
    #expect(refused > count / 3)
  }

  /// What is accepted runs: any packet goes through it, and every buffer comes back.
  @Test func acceptedMistakesRun() throws {
    let count = Self.environment["P4_MUTATIONS"].flatMap(Int.init).map { $0 / 10 } ?? 200
    var random = RandomPackets(seed: Self.seed)
    var ran = 0
    try Self.mutations(count, seed: Self.seed &+ 1) { number, bytes in
      let text = Text(bytes: bytes)
      guard let program = try? ProgramLoader.load(text.span),
        let code = try? Compiler.compile(program)
      else { return }
      // Memory is taken for all entries at once.
      guard program.tables.reduce(0, { $0 + $1.capacity }) < 300_000 else { return }
      let packets = (0..<20).map { _ in random.next() }
      let used = try Self.run(program, code, packets)
      #expect(used == 0, "seed \(Self.seed), number \(number)")
      ran += 1
    }
    #expect(ran > count / 10)
  }

  /// Buffers that are missing afterwards.
  private static func run(
    _ program: P4Program, _ code: PipelineCode, _ packets: [[UInt8]]
  ) throws -> Int {
    // More memory than there is is refused.
    guard
      var virtual = try? VirtualSwitch(
        program, code, batch: 7, ports: VirtualPorts(buffers: 512, packetBytes: 2_048))
    else { return 0 }
    for (index, packet) in packets.enumerated() { _ = virtual.send(packet, port: index % 4) }
    _ = virtual.settle()
    virtual.drain()
    return virtual.ports.used
  }

  /// Whether the position is that of the path.
  static func names(_ error: ProgramError, in bytes: [UInt8]) -> Bool {
    let path = error.path.string
    // Keys are cut in paths, and written without their escapes.
    if path.contains("…") || bytes.contains(UInt8(ascii: "\\")) { return true }
    let outline = Outline(bytes)
    let text = Text(bytes: bytes)
    return outline.offsets(of: path.dropFirst(), in: outline.root).contains {
      TextPosition(of: $0, in: text.span) == error.position
    }
  }
}
