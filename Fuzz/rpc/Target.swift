// Input: a byte that says whether the caller may write, then one line of a client.
import DPUCore

@testable import ControlPlane

// Made once: counters are never given back.
nonisolated(unsafe) private let handler = Handler()

private final class Handler {
  let handler = RequestHandler(source: FakeSource())
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var input = Input(data, count)
  let caller = Caller(mayWrite: input.byte() & 1 == 1)
  let line = input.rest()
  let reply = handler.handler.handle(line.span.bytes, from: caller).bytes
  precondition(reply.count <= Limits.replyBytes + 1_024)
  if reply.isEmpty { return 0 }
  // Whatever was asked, the answer is one line of JSON.
  precondition(!reply.contains(10))
  do throws(JSONDocument.Failure) {
    let kind = try JSONDocument.parse(reply.span.bytes).kind
    precondition(kind == .object || kind == .array)
  } catch {
    preconditionFailure("the reply is not JSON")
  }
  return 0
}
