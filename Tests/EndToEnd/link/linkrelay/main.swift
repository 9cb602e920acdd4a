// A stand-in for the firmware: kernel TCP on one side, the link to the shim on the other.
//
//   linkrelay SOCKET TCP-PORT BROKER-PORT [WORKERS [RING-BYTES [OPTION...]]]
//
// The shim finds it at SOCKET, and with the option `tcp:ADDRESS:PORT` there as well, then from the
// machine of the option `peer:ADDRESS` alone if that is given.
//
// Each client of 127.0.0.1:TCP-PORT becomes a channel to the broker's listener BROKER-PORT. Its
// address is told as 10.x.y.z (option `ipv6`: fd77::7fxx:yyzz) for 127.x.y.z, so that the broker's log shows
// which way it came. Standard output says what the link reports; standard input takes
// `flush N`, `certified`, `hold` and `release` (grant no credit meanwhile), `counters`, `listener`
// (what the thread of the link counted), `quit`.
import CLinux
import Foundation
import Glibc
import HostLink

signal(SIGPIPE, SIG_IGN)
let arguments = CommandLine.arguments
guard arguments.count >= 4, let tcpPort = UInt16(arguments[2]), let port = UInt16(arguments[3])
else {
  print("linkrelay SOCKET TCP-PORT BROKER-PORT [WORKERS [RING-BYTES [OPTION...]]]")
  exit(2)
}
let linkSocket = clinux_control_listen(arguments[1], 0o666, -1)
guard linkSocket >= 0 else { fatalError("cannot listen at \(arguments[1]): \(linkSocket)") }
_ = clinux_link_raise_descriptor_limit(1 << 16)
let options = arguments.dropFirst(6)
var relay = Relay(
  linkSocket: linkSocket, streamListener: streamListener(options),
  tcpListener: listenOnLoopback(tcpPort), brokerPort: port,
  workers: arguments.count > 4 ? Int(arguments[4])! : 1,
  ringBytes: arguments.count > 5 ? Int(arguments[5])! : HostLinkLimits.ringBytes,
  usesIPv6: options.contains("ipv6"))
relay.run()
clinux_control_unlink(arguments[1])

/// Where brokers of other machines connect, nil when no option says so.
func streamListener(_ options: ArraySlice<String>) -> HostLinkStreamListener? {
  var peer: LinkAddress?
  for option in options where option.hasPrefix("peer:") {
    let place = place("tcp:\(option.dropFirst(5)):1")
    peer = LinkAddress(high: place.high, low: place.low, port: 0)
  }
  for option in options where option.hasPrefix("tcp:") {
    let descriptor = clinux_link_tcp_listen(place(option))
    guard descriptor >= 0 else { fatalError("cannot listen at \(option): \(descriptor)") }
    return HostLinkStreamListener(descriptor: descriptor, peer: peer)
  }
  return nil
}

func place(_ text: String) -> clinux_link_address {
  var address = clinux_link_address()
  guard clinux_link_parse_place(text, &address) == 1 else { fatalError("no address: \(text)") }
  return address
}

func listenOnLoopback(_ port: UInt16) -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var one: Int32 = 1
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  let bound = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 16) }
  }
  guard bound == 0, listen(descriptor, 4096) == 0 else { fatalError("cannot listen on \(port)") }
  _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  return descriptor
}
