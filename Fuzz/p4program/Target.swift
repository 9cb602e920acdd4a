// Input: a program as BMv2 JSON. It is accepted and then consistent, or refused at a place in it.
import DPUCore
import JSONText
import P4Pipelines

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  do {
    ProgramCheck.check(try ProgramLoader.load(input))
  } catch {
    let lines = UnsafeBufferPointer(start: data, count: count)
      .split(separator: 10, omittingEmptySubsequences: false)
    precondition((1...lines.count).contains(error.position.line))
    precondition(error.position.column <= lines[error.position.line - 1].count + 1)
    precondition(error.path.bytes.first == UInt8(ascii: "$") && !error.message.isEmpty)
  }
  return 0
}
