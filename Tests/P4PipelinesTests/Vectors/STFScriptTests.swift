import DPUCore
import Testing

@testable import P4Pipelines

/// What is understood of an STF script, and what is refused and where.
@Suite struct STFScriptTests {
  private func parse(_ text: String) throws(ScriptError) -> [STFScript.Statement] {
    try STFScript.parse(Text(bytes: Array(text.utf8)).span).statements
  }

  @Test func packetsAndExpectations() throws {
    let statements = try parse(
      """
      # a comment
      packet 0 00 01 abCD   # another
      EXPECT 511 0*01 **
      expect 3
      \texpect 3 $
      expect 7 00 01$\r
      no_packet
      """)
    #expect(statements.map(\.line) == [2, 3, 4, 5, 6, 7])
    guard case .packet(0, [0, 1, 0xab, 0xcd]) = statements[0].command,
      case .expect(511, let pattern?) = statements[1].command,
      case .expect(3, nil) = statements[2].command,
      case .expect(3, let nothing?) = statements[3].command,
      case .expect(7, let exact?) = statements[4].command,
      case .expectNothing = statements[5].command
    else {
      Issue.record("\(statements)")
      return
    }
    #expect(pattern == PacketPattern(nibbles: [0, 16, 0, 1, 16, 16], isExact: false))
    #expect(nothing == PacketPattern(nibbles: [], isExact: true))
    #expect(exact == PacketPattern(nibbles: [0, 0, 0, 1], isExact: true))
  }

  @Test func entries() throws {
    let statements = try parse(
      """
      add ingress.t 100 h.f:0x0*04 h.v.isValid():1 s[1].x:10/8 ingress.act(a:1, b : 0x2 ,3) = name
      add t act()
      setdefault t act(a:1)
      remove all
      remove t h.f:1
      """)
    guard case .add(let table, 100, let keys, let action, let handle) = statements[0].command,
      case .add(_, nil, let none, _, nil) = statements[1].command,
      case .setDefault = statements[2].command, case .removeAll = statements[3].command,
      case .remove(_, nil, let removed) = statements[4].command
    else {
      Issue.record("\(statements)")
      return
    }
    #expect(table.text == "ingress.t")
    #expect(keys.map(\.name.text) == ["h.f", "h.v.isValid()", "s[1].x"])
    #expect(keys.map(\.value.text) == ["0x0*04", "1", "10/8"])
    #expect(action.name.text == "ingress.act")
    #expect(action.arguments.map(\.value.text) == ["1", "0x2", "3"])
    #expect(action.arguments.map(\.name?.text) == ["a", "b", nil])
    #expect(handle == "name")
    #expect(none.isEmpty && removed.count == 1)
  }

  @Test func commandsOfTheSwitch() throws {
    let statements = try parse(
      """
      mirroring_add 5 4
      mc_node_create 400 6 7
      register_write r 0 1
      check_counter c(10) packets == 2
      check_counter c($name)
      wait
      wait 20
      """)
    #expect(statements.count == 7)
    guard case .checkCounter(_, _, let comparison?) = statements[3].command,
      case .checkCounter(_, let index, nil) = statements[4].command,
      case .wait(1_000) = statements[5].command, case .wait(20) = statements[6].command
    else {
      Issue.record("\(statements)")
      return
    }
    #expect(comparison.value == 2 && !comparison.ofBytes)
    #expect(index.text == "$name")
  }

  @Test(arguments: [
    ("frobnicate 1", 1, 1, "unknown command 'frobnicate'"),
    ("\n  packet", 2, 9, "a port is missing"),
    ("packet x 00", 1, 8, "not a port, 0 to 511: 'x'"),
    ("packet 512 00", 1, 8, "not a port, 0 to 511: '512'"),
    ("packet 0", 1, 9, "the bytes of the packet are missing"),
    ("packet 0 0g", 1, 11, "not a hexadecimal digit: 'g'"),
    ("packet 0 000", 1, 13, "an odd number of digits: 3"),
    ("packet 0 0*", 1, 12, "'*' stands only in what is expected"),
    ("expect 0 00$ 11", 1, 14, "nothing may follow '$'"),
    ("add", 1, 4, "the name of a table is missing"),
    ("add t", 1, 6, "an action is missing: NAME(ARGUMENT:VALUE, ...)"),
    ("add t k:1 act", 1, 11, "an action is missing: NAME(ARGUMENT:VALUE, ...)"),
    ("add t k: act()", 1, 7, "a key is written name:value"),
    ("add t k 1 act()", 1, 7, "a key is written name:value, an action name(...)"),
    ("add t act(a:1", 1, 14, "')' is missing"),
    ("add t act(a:1,)", 1, 15, "an argument is missing"),
    ("add t 99999999999 act()", 1, 7, "the priority is too large"),
    ("add t act() x", 1, 13, "nothing more was expected in this line"),
    ("wait soon", 1, 6, "milliseconds must be a number"),
    ("check_counter c", 1, 15, "written NAME(INDEX) [packets|bytes RELATION NUMBER]"),
    ("check_counter c(1) == 2", 1, 20, "'packets' or 'bytes' is missing"),
    ("check_counter c(1) packets 2", 1, 27, "a relation and a number are missing"),
  ])
  func refused(_ text: String, _ line: Int, _ column: Int, _ message: String) {
    do throws(ScriptError) {
      _ = try parse(text)
      Issue.record("accepted: \(text)")
    } catch {
      #expect((error.line, error.column) == (line, column), "\(text)")
      #expect(error.message.string == message)
    }
  }

  /// Damaged scripts: each is read or refused at a place inside it.
  @Test func damagedScripts() {
    var seeds: [[UInt8]] = []
    for file in VectorFiles.stf {
      if let text = try? VectorFiles.text(file.test) { seeds.append(text.bytes) }
    }
    var dice = SplitMix64(seed: 3)
    for _ in 0..<3_000 {
      var bytes = seeds[dice.below(seeds.count)]
      for _ in 0..<1 + dice.below(6) where !bytes.isEmpty {
        let place = dice.below(bytes.count)
        switch dice.below(3) {
        case 0: bytes.remove(at: place)
        case 1: bytes.insert(Array(":()#$*= \n/1".utf8)[dice.below(11)], at: place)
        default: bytes[place] = dice.byte()
        }
      }
      do throws(ScriptError) {
        _ = try STFScript.parse(Text(bytes: bytes).span)
      } catch {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        #expect(error.line >= 1 && error.line <= lines.count)
        #expect(error.column >= 1 && error.column <= lines[error.line - 1].count + 1)
      }
    }
  }
}
