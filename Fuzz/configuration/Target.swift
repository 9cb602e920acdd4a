// Input: the contents of a configuration file. It is accepted, or refused at a place in it.
import ControlPlane
import DPUCore
import JSONText

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  do {
    let configuration = try Configuration.parse(input)
    precondition(configuration.ports.contains { $0.role == .uplink })
    precondition(!configuration.addresses.isEmpty && !configuration.cores.isEmpty)
    precondition(configuration.control.socket != configuration.hostLink.socket)
  } catch {
    let lines = UnsafeBufferPointer(start: data, count: count)
      .split(separator: 10, omittingEmptySubsequences: false)
    precondition((1...lines.count).contains(error.position.line))
    precondition(error.position.column <= lines[error.position.line - 1].count + 1)
    precondition(error.path.bytes.first == UInt8(ascii: "$") && !error.message.isEmpty)
  }
  return 0
}
