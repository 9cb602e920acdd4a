package import ControlPlane

/// What the port numbers of a pipeline's program stand for.
package struct PortMap: BitwiseCopyable, Sendable {
  /// Where a packet that leaves on some port goes.
  package enum End: Equatable, BitwiseCopyable, Sendable {
    case device(Int)
    case stack
    case cpu
    case nowhere
  }

  /// By port number: 0 nowhere, 1 stack, 2 CPU, 3 and above the device's ports. An array of 512
  /// bytes, so that a packet on its way out costs one load.
  private var ends = InlineArray<512, UInt8>(repeating: 0)
  /// By port of the device: its number, -1 when it has none.
  private var numbers = InlineArray<4, Int16>(repeating: -1)
  package private(set) var stack: Int?
  package private(set) var cpu: Int?

  /// `uplink` and `host` are the device's ports as the poll loop numbers them; nil: there is none.
  package init(_ ports: [Configuration.PipelinePort], uplink: Int, host: Int?) {
    for port in ports {
      switch port.end {
      case .uplink: connect(port.number, toDevice: uplink)
      case .host: if let host { connect(port.number, toDevice: host) }
      case .stack:
        ends[port.number] = 1
        stack = port.number
      case .cpu:
        ends[port.number] = 2
        cpu = port.number
      }
    }
  }

  private mutating func connect(_ number: Int, toDevice port: Int) {
    ends[number] = UInt8(3 + port)
    numbers[port] = Int16(number)
  }

  @inline(__always)
  func end(of number: Int) -> End {
    switch ends[number & 511] {
    case 0: .nowhere
    case 1: .stack
    case 2: .cpu
    case let code: .device(Int(code) - 3)
    }
  }

  /// The number of a port of the device; nil when its frames do not go through this pipeline.
  @inline(__always)
  func number(ofDevice port: Int) -> Int? {
    numbers[port] < 0 ? nil : Int(numbers[port])
  }
}
