// Input: a byte that chooses a program, then records that write its tables. What is read is written
// again the same; a fault lies at a place within the records.
import DPUCore
import Glibc
import JSONText
import P4Pipelines

/// Of the fuzzer of programs: tables of all kinds, and a profile with groups.
private let programs = ["everything", "entries", "selector"].map { name in
  var path = #filePath.split(separator: "/", omittingEmptySubsequences: false)
  path.removeLast(2)
  let file = fopen(path.joined(separator: "/") + "/p4program/corpus/" + name, "r")!
  var text = [UInt8](repeating: 0, count: 1 << 20)
  text.removeLast(text.count - fread(&text, 1, text.count, file))
  fclose(file)
  return P4Names(try! ProgramLoader.load(text.span.bytes))
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  guard count > 0 else { return 0 }
  let names = programs[Int(data[0]) % programs.count]
  let program = names.program
  let records = RawSpan(_unsafeStart: UnsafeRawPointer(data + 1), byteCount: count - 1)
  var reader = TableUpdateReader(records, of: program)
  let batch = ControlBatch(names)
  var again: [UInt8] = []
  do throws(TableUpdateFault) {
    while let update = try reader.next() {
      var arguments: [Int] = []
      if case .action(let action, _) = update.action {
        arguments = program.actions[action].parameters.map { $0.width }
      }
      update.append(
        to: &again, keyWidths: program.tables[update.table].keys.map { $0.width },
        argumentWidths: arguments)
      // It may still be refused, as by a table without a key.
      _ = try? batch.add(update)
    }
    precondition(again.count == records.byteCount)
  } catch {
    precondition(error.update == reader.count)
    precondition(error.offset >= again.count && error.offset < records.byteCount)
  }
  for index in again.indices { precondition(again[index] == records.byte(at: index)) }
  precondition(batch.count <= reader.count)
  return 0
}
