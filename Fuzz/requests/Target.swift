// Input: one line of the control socket, and behind a line feed its body. The answer is one line of
// JSON, or nothing.
import DPUCore
import JSONText

@testable import ControlPlane

/// Made once: counters are never freed.
private final class Firmware: @unchecked Sendable {
  var handler = RequestHandler(source: FakeSource())
}
private let firmware = Firmware()

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  let bytes = UnsafeBufferPointer(start: data, count: count)
  let end = bytes.firstIndex(of: 10) ?? count
  let line = RequestLine(input.extracting(0..<end))
  if case .bytes(let announced) = line.body { precondition(announced >= 0) }
  let reply = firmware.handler.handle(
    line, body: Text(bytes: Array(bytes[end...].dropFirst())),
    from: Caller(count & 1 == 0 ? .administrator : .reader))
  precondition(!reply.bytes.contains(10))
  precondition(reply.isEmpty || (try? JSONDocument.parse(reply.span)) != nil)
  return 0
}
