// Input: a configuration file.
import ControlPlane
import DPUCore

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let text = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  do throws(ConfigurationError) {
    let configuration = try Configuration.parse(text)
    precondition(!configuration.ports.isEmpty && !configuration.addresses.isEmpty)
    precondition(!configuration.cores.isEmpty)
  } catch {
    // Whoever edits the file must be told where and what.
    precondition(error.position.line >= 1 && error.position.column >= 1)
    precondition(!error.message.isEmpty && error.text(file: "f").bytes.count > 4)
  }
  return 0
}
