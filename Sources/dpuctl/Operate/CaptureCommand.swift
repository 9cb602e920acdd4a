import ArgumentParser
import Glibc

/// Frames of a running firmware, as a file that Wireshark and tcpdump read.
struct Capture: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copies frames as they arrive and leave, in the pcapng format.",
    discussion: """
      dpuctl capture --port uplink -n 100 --write uplink.pcapng
      dpuctl capture | tcpdump -n -r -

      Frames are copied before anything of the firmware has looked at them, and when they are handed \
      to the device. What is not fetched in time is missing; missedByCapture of the port counts it.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Option(help: "One port. (default: all)")
  var port: String?

  @Option(name: .customLong("bytes"), help: "Bytes of each frame, 14 to 2,048.")
  var copyBytes = 2_048

  @Option(name: .customShort("n"), help: "Frames after which to end. (default: no end)")
  var count: Int?

  @Option(help: "A file. (default: standard output)", completion: .file())
  var write: String?

  func validate() throws {
    guard (14...2_048).contains(copyBytes) else {
      throw ValidationError("--bytes must be from 14 to 2,048")
    }
  }

  mutating func run() throws {
    if write == nil, isatty(STDOUT_FILENO) != 0 {
      throw Failure.usage("a capture is not for a terminal; use --write FILE or a pipe")
    }
    let firmware = try FirmwareConnection(options.place(root))
    _ = try firmware.call(
      "event.subscribe", .object([.init(key: "kinds", value: .array([.string("capture")]))]))
    var parameters: [JSONValue.Member] = [.init("copyBytes", copyBytes)]
    if let port { parameters.append(.init("port", port)) }
    _ = try firmware.call("capture.start", .object(parameters))
    let descriptor =
      try write.map { path in
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else {
          throw Failure.usage("\(path): \(String(cString: strerror(errno)))")
        }
        return file
      } ?? STDOUT_FILENO
    var file = PcapngFile()
    guard ByteStream.write(file.header[...], to: descriptor) else { return }
    var left = count ?? .max
    var offset: Int?
    while left > 0 {
      let event = try firmware.nextEvent()
      // The firmware's clock begins at some other time than ours.
      let shift = offset ?? Self.wallClock - (event["nanoseconds"].integer ?? 0)
      offset = shift
      var blocks: [UInt8] = []
      for frame in event["frames"].elements.prefix(left) {
        blocks += try file.blocks(
          of: PcapngFile.Frame(
            interface: frame["port"].cell, isOutgoing: frame["outgoing"].isTrue,
            nanoseconds: (frame["nanoseconds"].integer ?? 0) + shift,
            length: frame["length"].integer ?? 0,
            bytes: Hexadecimal.bytes(frame["frame"].cell, of: "capture.start")))
        left -= 1
      }
      // A reader that has seen enough ends the capture.
      guard ByteStream.write(blocks[...], to: descriptor) else { return }
    }
  }

  private static var wallClock: Int {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
  }
}

/// Blocks of the PCAP Next Generation format (draft-ietf-opsawg-pcapng): one section, an interface for
/// each port that shows.
struct PcapngFile {
  struct Frame {
    var interface: String
    var isOutgoing: Bool
    /// Since 1970.
    var nanoseconds: Int
    /// Of the frame as it was; `bytes` may be fewer.
    var length: Int
    var bytes: [UInt8]
  }

  private var interfaces: [String] = []

  /// Section 4.1: the section header block, which comes first.
  var header: [UInt8] {
    Self.block(0x0a0d_0d0a, Self.word(0x1a2b_3c4d) + Self.half(1) + Self.half(0) + Self.long(-1))
  }

  /// The frame, behind a description of its interface if that is new.
  mutating func blocks(of frame: Frame) -> [UInt8] {
    var blocks: [UInt8] = []
    let number: Int
    if let known = interfaces.firstIndex(of: frame.interface) {
      number = known
    } else {
      number = interfaces.count
      interfaces.append(frame.interface)
      // Section 4.2: Ethernet, no limit; if_name, and if_tsresol: nanoseconds.
      blocks += Self.block(
        1,
        Self.half(1) + Self.half(0) + Self.word(0) + Self.option(2, Array(frame.interface.utf8))
          + Self.option(9, [9]) + Self.option(0, []))
    }
    // Section 4.3: the enhanced packet block; epb_flags: 1 inbound, 2 outbound.
    let time = UInt64(bitPattern: Int64(frame.nanoseconds))
    let content =
      Self.word(UInt32(number)) + Self.word(UInt32(time >> 32))
      + Self.word(UInt32(truncatingIfNeeded: time)) + Self.word(UInt32(frame.bytes.count))
      + Self.word(UInt32(clamping: max(frame.length, frame.bytes.count)))
      + Self.padded(frame.bytes)
      + Self.option(2, Self.word(frame.isOutgoing ? 2 : 1)) + Self.option(0, [])
    return blocks + Self.block(6, content)
  }

  // Little endian, which the byte-order magic of the header says.
  private static func half(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value), UInt8(value >> 8)]
  }
  private static func word(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
  }
  private static func long(_ value: Int64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> Int64(8 * $0)) }
  }
  private static func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
  }
  private static func option(_ code: UInt16, _ value: [UInt8]) -> [UInt8] {
    half(code) + half(UInt16(value.count)) + padded(value)
  }
  private static func block(_ type: UInt32, _ content: [UInt8]) -> [UInt8] {
    let length = word(UInt32(content.count + 12))
    return word(type) + length + content + length
  }
}
