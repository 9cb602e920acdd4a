/// The bytes of one run, taken from the front as the target needs them; zeros when they are used
/// up.
struct Input {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(_ data: UnsafePointer<UInt8>, _ count: Int) {
    bytes = UnsafeBufferPointer(start: data, count: count)
  }

  var isEmpty: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard !isEmpty else { return 0 }
    position += 1
    return bytes[position - 1]
  }

  mutating func word() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }
  mutating func long() -> UInt32 { UInt32(word()) << 16 | UInt32(word()) }

  /// As many as there are, up to `count`.
  mutating func take(_ count: Int) -> [UInt8] {
    let end = min(bytes.count, position + count)
    defer { position = end }
    return Array(bytes[position..<end])
  }

  mutating func rest() -> [UInt8] { take(bytes.count) }
}
