// Input: a byte that chooses version and direction, then a stream of packets.
import DPUCore
import MQTTWire

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: count)
  guard count > 1 else { return 0 }
  let choice = Int(input.byte(at: 0))
  let version = ProtocolVersion.allCases[choice % 3]
  let sender = choice & 4 == 0 ? Sender.client : .server
  var rest = input.extracting(1..<count)
  var sum: UInt64 = 0
  // As the offload reads a connection: packet after packet, until one breaks a rule.
  while true {
    let failure = exercise(rest, version, sender, &sum)
    guard case .packet(let header) = PacketFraming.scan(rest), failure == nil else { return 0 }
    precondition(header.totalLength >= 2 && header.totalLength <= rest.byteCount)
    rest = rest.extracting(header.totalLength..<rest.byteCount)
  }
}
