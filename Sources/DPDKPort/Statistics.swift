internal import CDPDK

/// What a port is and does, for the operator.
package struct DPDKPortInfo {
  /// Hardware address, as in `hardwareAddress()`.
  package var hardwareAddress: UInt64
  /// Text without a terminator.
  package var device: [UInt8]
  package var driver: [UInt8]
  package var isUp: Bool
  /// Whether flows are spread over the queues by a hash in the device.
  package var spreadsFlows: Bool
  package var mtu: Int
  package var queues: Int
  /// Zero when the device does not know.
  package var megabitsPerSecond: Int
}

/// The driver's counts since the port was opened.
package struct DPDKPortStatistics: BitwiseCopyable, Sendable {
  package var framesReceived: UInt64
  package var bytesReceived: UInt64
  package var framesTransmitted: UInt64
  package var bytesTransmitted: UInt64
  /// Arrived while the receive queue was full.
  package var missed: UInt64
  package var receiveErrors: UInt64
  package var transmitErrors: UInt64
  /// Arrived while the pool was empty.
  package var noBuffer: UInt64
}

/// One of the driver's own counters, such as `rx_q0_packets`.
package struct DPDKNamedCounter {
  package var name: [UInt8]
  package var value: UInt64
}

extension DPDKPort {
  package func describe() throws(DPDKFailure) -> DPDKPortInfo {
    let info = try info()
    return DPDKPortInfo(
      hardwareAddress: try hardwareAddress(), device: bytes(of: info.device),
      driver: bytes(of: info.driver), isUp: info.link_up != 0, spreadsFlows: info.rss != 0,
      mtu: Int(info.mtu), queues: Int(info.queues), megabitsPerSecond: Int(info.speed_mbps))
  }

  package func statistics() throws(DPDKFailure) -> DPDKPortStatistics {
    var stats = cdpdk_port_stats()
    try DPDKFailure.check(unsafe cdpdk_port_stats(number, &stats))
    return DPDKPortStatistics(
      framesReceived: stats.frames_received, bytesReceived: stats.bytes_received,
      framesTransmitted: stats.frames_transmitted, bytesTransmitted: stats.bytes_transmitted,
      missed: stats.missed, receiveErrors: stats.receive_errors,
      transmitErrors: stats.transmit_errors, noBuffer: stats.no_buffer)
  }

  /// At most 256 of the driver's counters. Control thread only.
  package func namedCounters() throws(DPDKFailure) -> [DPDKNamedCounter] {
    var stats = [cdpdk_xstat](repeating: cdpdk_xstat(), count: 256)
    let count = unsafe stats.withUnsafeMutableBufferPointer {
      unsafe cdpdk_port_xstats(number, $0.baseAddress!, UInt32($0.count))
    }
    try DPDKFailure.check(count)
    return (0..<Int(count)).map {
      DPDKNamedCounter(name: bytes(of: stats[$0].name), value: stats[$0].value)
    }
  }

  /// The text in a C array, up to its terminator.
  private func bytes<Tuple>(of text: Tuple) -> [UInt8] {
    unsafe withUnsafeBytes(of: text) { raw in
      var result: [UInt8] = []
      var index = 0
      while index < raw.count, unsafe raw[index] != 0 {
        result.append(unsafe raw[index])
        index += 1
      }
      return result
    }
  }
}
