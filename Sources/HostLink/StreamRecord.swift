import DPUCore

// What stands on the connections of a broker on another machine besides frames. The shim makes all
// connections: one for control, one for the frames of each worker.

/// The first bytes of each connection, from the shim: what it is for.
package struct StreamOpening: Equatable, BitwiseCopyable, Sendable {
  package enum Purpose: UInt8, BitwiseCopyable, Sendable {
    /// Answered by `Hello`; then `CertificateRecord` both ways. Its end is the link's end.
    case control = 1
    /// Then the frames of one worker.
    case frames = 2
  }

  private enum Offset {
    static let magic = 0, version = 4, purpose = 6, worker = 7, generation = 8, reserved = 12
  }
  package static let byteCount = 16
  private static let magic: UInt32 = 0x5355_5044  // "DPUS"

  package var purpose: Purpose
  /// Of `frames`: which worker's, and of the attachment with this number.
  package var worker: UInt8 = 0
  package var generation: UInt32 = 0

  package init(_ purpose: Purpose, worker: UInt8 = 0, generation: UInt32 = 0) {
    self.purpose = purpose
    self.worker = worker
    self.generation = generation
  }

  package init(_ bytes: RawSpan) throws(LinkFailure) {
    guard bytes.byteCount >= Self.byteCount, bytes.leUInt32(at: Offset.magic) == Self.magic,
      bytes.leUInt16(at: Offset.version) == Hello.currentVersion
    else { throw .incompatible }
    guard let purpose = Purpose(rawValue: bytes.byte(at: Offset.purpose)) else { throw .badKind }
    self.purpose = purpose
    worker = bytes.byte(at: Offset.worker)
    generation = bytes.leUInt32(at: Offset.generation)
  }

  /// To be sent.
  package var record: StreamRecord {
    var record = StreamRecord(wanted: Self.byteCount)
    record.write { bytes in
      bytes.storeLE(Self.magic, at: Offset.magic)
      bytes.storeLE(Hello.currentVersion, at: Offset.version)
      bytes.storeByte(purpose.rawValue, at: Offset.purpose)
      bytes.storeByte(worker, at: Offset.worker)
      bytes.storeLE(generation, at: Offset.generation)
      bytes.storeLE(UInt32(0), at: Offset.reserved)
    }
    return record
  }
}

/// On the control connection, once the firmware has greeted. The certificate travels here and not
/// between the frames, so that data never holds it up.
package struct CertificateRecord: Equatable, BitwiseCopyable, Sendable {
  package enum Kind: UInt32, BitwiseCopyable, Sendable {
    /// Shim: the certificate is `flags` from now on.
    case statement = 1
    /// Firmware: no worker can read anything older than the statement with this number.
    case acknowledgement = 2
    /// Firmware, at last: no worker can read any certificate of this attachment.
    case farewell = 3
  }

  private enum Offset { static let kind = 0, flags = 4, number = 8 }
  package static let byteCount = 16

  package var kind: Kind
  package var flags: CertificateFlags = []
  /// Statements count up; an acknowledgement covers all that came before.
  package var number: UInt64

  package init(_ kind: Kind, flags: CertificateFlags = [], number: UInt64 = 0) {
    self.kind = kind
    self.flags = flags
    self.number = number
  }

  package init(_ bytes: RawSpan) throws(LinkFailure) {
    guard bytes.byteCount >= Self.byteCount else { throw .badLength }
    guard let kind = Kind(rawValue: bytes.leUInt32(at: Offset.kind)) else { throw .badKind }
    self.kind = kind
    flags = CertificateFlags(rawValue: bytes.leUInt32(at: Offset.flags))
    number = bytes.leUInt64(at: Offset.number)
  }

  /// To be sent.
  package var record: StreamRecord {
    var record = StreamRecord(wanted: Self.byteCount)
    record.write { bytes in
      bytes.storeLE(kind.rawValue, at: Offset.kind)
      bytes.storeLE(flags.rawValue, at: Offset.flags)
      bytes.storeLE(number, at: Offset.number)
    }
    return record
  }
}

/// A record that comes or goes in as many pieces as the stream makes of it.
package struct StreamRecord: BitwiseCopyable, Sendable {
  /// How far a piece brought it.
  package enum Progress: BitwiseCopyable, Sendable { case whole, partial, ended }

  private var bytes = InlineArray<48, UInt8>(repeating: 0)
  /// Bytes of the whole record.
  private let wanted: Int
  /// Of those, received or sent.
  private var done = 0

  /// `wanted` bytes, at most those of the greeting.
  package init(wanted: Int) {
    precondition(wanted > 0 && wanted <= Hello.frameByteCount)
    self.wanted = wanted
  }

  /// The firmware's greeting, to be sent.
  package init(greeting: Hello) {
    self.init(wanted: Hello.frameByteCount)
    bytes = greeting.frame
  }

  /// What came so far.
  package var content: RawSpan {
    @_lifetime(borrow self)
    // Bytes are a valid view of bytes.
    borrowing get { unsafe bytes.span.extracting(0..<wanted).bytes }
  }

  package var isWhole: Bool { done == wanted }

  fileprivate mutating func write(_ body: (inout MutableRawSpan) -> Void) {
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    body(&raw)
  }

  /// Lets `read` bring the bytes that are missing. It returns how many came, 0 at the end, or a
  /// negative errno.
  package mutating func receive(_ read: (StreamParts) -> Int) -> Progress {
    let (start, end) = (done, wanted)
    var span = bytes.mutableSpan
    return progress(
      unsafe span.withUnsafeMutableBytes {
        read(StreamParts(UInt(bitPattern: $0.baseAddress!) + UInt(start), end - start))
      })
  }

  /// Lets `write` take the bytes that were not sent yet.
  package mutating func send(_ write: (StreamParts) -> Int) -> Progress {
    guard !isWhole else { return .whole }
    let (start, end) = (done, wanted)
    return progress(
      unsafe bytes.span.withUnsafeBytes {
        write(StreamParts(UInt(bitPattern: $0.baseAddress!) + UInt(start), end - start))
      })
  }

  private mutating func progress(_ count: Int) -> Progress {
    if count == -11 { return .partial }  // EAGAIN
    guard count > 0, count <= wanted - done else { return .ended }
    done += count
    return isWhole ? .whole : .partial
  }
}
