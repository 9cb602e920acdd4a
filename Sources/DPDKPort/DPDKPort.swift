internal import CDPDK

/// Buffers of one worker. Lives as long as the process.
package struct DPDKPool: BitwiseCopyable, Sendable {
  let token: UInt

  /// `frames` buffers for packets of `mtu` bytes; the best count is a power of two minus one.
  /// Each worker makes one, with its own number.
  package init(worker: Int, frames: Int, mtu: Int) throws(DPDKFailure) {
    token = cdpdk_pool_create(UInt32(worker), UInt32(frames), UInt16(mtu))
    if token == 0 { throw DPDKFailure(code: 12) }
  }

  /// Free buffers. Slow, for statistics.
  package var available: Int { Int(cdpdk_pool_available(token)) }
}

/// One network port, known to DPDK by number.
package struct DPDKPort: BitwiseCopyable, Sendable {
  package let number: UInt16

  package struct Options: Sendable {
    /// Descriptors wanted per queue and direction; adjusted to what the device can.
    package var descriptors = 1024
    /// Largest IP packet in bytes.
    package var mtu = 1500
    /// Also receive frames for other addresses: needed to pass traffic through.
    package var promiscuous = true
    package init() {}
  }

  /// The port whose device has this name, such as `net_af_packet0` or `0000:03:00.0`.
  package init(named name: [UInt8]) throws(DPDKFailure) {
    var text = name.map { CChar(bitPattern: $0) }
    text.append(0)
    let result = unsafe text.withUnsafeBufferPointer { unsafe cdpdk_port_find($0.baseAddress!) }
    try DPDKFailure.check(result)
    number = UInt16(result)
  }

  /// Makes two ports joined by memory: what one sends, the other receives. Once.
  package static func makePair() throws(DPDKFailure) -> (DPDKPort, DPDKPort) {
    var first: UInt16 = 0
    var second: UInt16 = 0
    try DPDKFailure.check(unsafe cdpdk_port_pair(&first, &second))
    return (DPDKPort(number: first), DPDKPort(number: second))
  }

  private init(number: UInt16) { self.number = number }

  /// Starts the port with one queue for each pool. Refuses when the device has fewer.
  package func open(_ options: Options, pools: [DPDKPool]) throws(DPDKFailure) {
    var settings = cdpdk_port_options(
      queues: UInt16(pools.count), descriptors: UInt16(options.descriptors),
      mtu: UInt16(options.mtu), promiscuous: options.promiscuous ? 1 : 0)
    let tokens = pools.map { $0.token }
    let result = unsafe tokens.withUnsafeBufferPointer {
      unsafe cdpdk_port_open(number, &settings, $0.baseAddress!)
    }
    try DPDKFailure.check(result)
  }

  package func close() { cdpdk_port_close(number) }

  /// Takes the link up or down; not every driver can.
  package func setLink(isUp: Bool) throws(DPDKFailure) {
    try DPDKFailure.check(cdpdk_port_set_link(number, isUp ? 1 : 0))
  }

  /// Hardware address, the first byte on the wire in the highest place of six.
  package func hardwareAddress() throws(DPDKFailure) -> UInt64 {
    let mac = try info().mac
    return UInt64(mac.0) << 40 | UInt64(mac.1) << 32 | UInt64(mac.2) << 24
      | UInt64(mac.3) << 16 | UInt64(mac.4) << 8 | UInt64(mac.5)
  }

  func info() throws(DPDKFailure) -> cdpdk_port_info {
    var info = cdpdk_port_info()
    try DPDKFailure.check(unsafe cdpdk_port_info(number, &info))
    return info
  }
}
