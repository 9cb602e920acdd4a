import DPUCore
import Foundation
import JSONText
import Synchronization
import Testing

@testable import ControlPlane

/// Damaged texts: every one gets an answer, nothing traps, nothing is left behind.
/// `DPU_FUZZ_ROUNDS` raises the number of texts for a long run.
@Suite(.serialized) struct MutationTests {
  static let rounds =
    ProcessInfo.processInfo.environment["DPU_FUZZ_ROUNDS"].flatMap(Int.init) ?? 50_000

  @Test func damagedConfigurationsAreAcceptedOrRefusedInPlace() {
    // As many good seeds as bad ones, so that much of what is damaged is still accepted.
    let good = Array(repeating: [ConfigurationTests.minimal(), ConfigurationTests.full], count: 30)
    let seeds =
      good.joined() + ConfigurationTests.wrongTexts.map(\.0)
      + ConfigurationTests.wrongMembers.map { ConfigurationTests.minimal($0.0) }
    var mutator = Mutator(seeds: seeds, seed: 11)
    var accepted = 0
    let memory = JanssonMemory()
    for _ in 0..<Self.rounds {
      let bytes = mutator.next()
      do {
        _ = try Configuration.parse(Text(bytes: bytes).span)
        accepted += 1
      } catch {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let line = lines[safe: error.position.line - 1] ?? []
        let isInside = error.position.column >= 1 && error.position.column <= line.count + 1
        if !isInside || error.path.bytes.first != UInt8(ascii: "$") || error.message.isEmpty {
          Issue.record(
            "\(error.text(file: "f").string) for \(String(decoding: bytes, as: UTF8.self))")
        }
      }
    }
    #expect(memory.kept < 1_000)
    #expect(accepted > Self.rounds / 50 && accepted < Self.rounds / 2, "\(accepted) accepted")
  }

  @Test func damagedRequestsAreAnswered() {
    let seeds =
      RequestTests.refusals.map(\.0)
      + RequestTests.answers.map {
        #"{"jsonrpc":"2.0","id":"a\u00e9","method":"\#($0.0)","params":\#($0.1.isEmpty ? "{}" : $0.1)}"#
      }
      + [#"[{"jsonrpc":"2.0","method":"rpc.list"},{"jsonrpc":"2.0","id":1,"method":"rpc.list"}]"#]
    var mutator = Mutator(seeds: seeds, seed: 12)
    var handler = RequestHandler(source: FakeSource())
    let memory = JanssonMemory()
    for round in 0..<Self.rounds {
      let bytes = mutator.next()
      let reply = handler.handle(
        Text(bytes: bytes).span, from: Caller(round.isMultiple(of: 2) ? .administrator : .reader))
      let isLine = !reply.bytes.contains(UInt8(ascii: "\n"))
      let isJSON = reply.isEmpty || (try? JSONDocument.parse(reply.span)) != nil
      if !isLine || !isJSON {
        Issue.record("\(reply.string) for \(String(decoding: bytes, as: UTF8.self))")
      }
    }
    #expect(memory.kept < 1_000)
    let answered = handler.counters[.answered]
    let parse = handler.counters[.refusedParse]
    let enough = UInt64(Self.rounds / 50)
    #expect(answered > enough && parse > enough, "\(answered) answered, \(parse) not JSON")
  }

  @Test func deepNestingIsRefusedWithoutExhaustingTheStack() {
    for text in [
      String(repeating: "[", count: 1 << 20), String(repeating: #"{"a":"#, count: 200_000),
    ] {
      #expect(RequestTests.reply(to: text).contains("-32700"))
      #expect(complaint(about: text)?.contains("maximum parsing depth reached") == true)
    }
    // As deep as jansson allows, and not a request.
    let deepest = String(repeating: "[", count: 2_000) + String(repeating: "]", count: 2_000)
    #expect(RequestTests.reply(to: deepest).contains("-32600"))
  }
}

extension Array {
  subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}

/// Texts made from others by small damage, the same for the same seed.
private struct Mutator {
  let seeds: [[UInt8]]
  var random: SplitMix64

  static let pieces = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "null", "true", "-1", "1e9",
    "0.5", "99999999999999999999", "9223372036854775807", "\u{e9}", "\n", " ", "\0", "\u{7f}",
  ].map { Array($0.utf8) }

  init(seeds: [String], seed: UInt64) {
    self.seeds = seeds.map { Array($0.utf8) }
    random = SplitMix64(seed: seed)
  }

  mutating func next() -> [UInt8] {
    var bytes = seeds.randomElement(using: &random)!
    for _ in 0...Int.random(in: 0..<3, using: &random) { damage(&bytes) }
    return bytes
  }

  private mutating func damage(_ bytes: inout [UInt8]) {
    let at = Int.random(in: 0...bytes.count, using: &random)
    let end = min(bytes.count, at + Int.random(in: 0..<16, using: &random))
    switch Int.random(in: 0..<10, using: &random) {
    case 0: bytes.insert(contentsOf: Self.pieces.randomElement(using: &random)!, at: at)
    case 1: bytes.replaceSubrange(at..<end, with: Self.pieces.randomElement(using: &random)!)
    case 2: bytes.removeSubrange(at..<end)
    case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
    case 4: bytes.removeSubrange(at...)
    case 5:
      let other = seeds.randomElement(using: &random)!
      bytes.replaceSubrange(
        at..., with: other.suffix(Int.random(in: 0...other.count, using: &random)))
    // Still JSON, most often.
    case 6:
      if let digit = bytes[at...].firstIndex(where: { (0x30...0x39).contains($0) }) {
        bytes[digit] = UInt8.random(in: 0x30...0x39, using: &random)
      }
    case 7:
      if let colon = bytes[at...].firstIndex(of: UInt8(ascii: ":")) {
        bytes.insert([0x20, 0x09, 0x0a, 0x0d].randomElement(using: &random)!, at: colon)
      }
    default: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
    }
  }
}

/// Counts what jansson allocates and does not free. Other tests may hold a few values meanwhile.
private struct JanssonMemory {
  private static let live = Atomic(0)
  private let before: Int

  init() {
    typealias Allocate = @convention(c) (Int) -> UnsafeMutableRawPointer?
    typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void
    typealias SetFunctions = @convention(c) (Allocate, Free) -> Void
    let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "json_set_alloc_funcs")!
    unsafeBitCast(symbol, to: SetFunctions.self)(
      {
        Self.live.add(1, ordering: .relaxed)
        return malloc($0)
      },
      {
        if $0 != nil { Self.live.subtract(1, ordering: .relaxed) }
        free($0)
      })
    before = Self.live.load(ordering: .relaxed)
  }

  /// Allocations since the start that are not freed.
  var kept: Int { Self.live.load(ordering: .relaxed) - before }
}
