/// An array whose size is fixed when it is made: no growth, no copy, no reference counting.
///
/// The storage of everything that lives on the packet path. Elements are plain values; access is
/// bounds-checked and happens in place (`table[i].field += 1` touches one field).
@safe @usableFromInline
package struct FixedArray<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline let base: UnsafeMutablePointer<Element>
  package let count: Int

  /// Allocates at start-up, never later.
  package init(repeating value: Element, count: Int) {
    precondition(count >= 0)
    // Cache-line alignment, so that tables of 64-byte records do not straddle lines.
    let bytes = max(1, count) * MemoryLayout<Element>.stride
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: bytes, alignment: max(64, MemoryLayout<Element>.alignment))
    unsafe base = raw.bindMemory(to: Element.self, capacity: max(1, count))
    self.count = count
    unsafe Self.fill(base, count: count, with: value)
  }

  package mutating func fill(_ range: Range<Int>, with value: Element) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe Self.fill(base + range.lowerBound, count: range.count, with: value)
  }

  /// Copies that double, because without optimisation the library fills element by element.
  private static func fill(
    _ start: UnsafeMutablePointer<Element>, count: Int, with value: Element
  ) {
    guard count > 0 else { return }
    unsafe start.initialize(to: value)
    var filled = 1
    while filled < count {
      let more = min(filled, count - filled)
      unsafe (start + filled).initialize(from: start, count: more)
      filled += more
    }
  }

  // Inlinable: Embedded Swift must see it in every module that owns an array.
  @inlinable deinit { unsafe base.deallocate() }

  package subscript(index: Int) -> Element {
    @inline(__always)
    unsafeAddress {
      precondition(index >= 0 && index < count)
      return unsafe UnsafePointer(base + index)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(index >= 0 && index < count)
      return unsafe base + index
    }
  }

  @inline(__always)
  package subscript(index: UInt32) -> Element {
    unsafeAddress {
      precondition(Int(index) < count)
      return unsafe UnsafePointer(base + Int(index))
    }
    unsafeMutableAddress {
      precondition(Int(index) < count)
      return unsafe base + Int(index)
    }
  }

  package var span: Span<Element> {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe Span(_unsafeStart: base, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  package var mutableSpan: MutableSpan<Element> {
    @_lifetime(&self)
    mutating get {
      let span = unsafe MutableSpan(_unsafeStart: base, count: count)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }
}

extension FixedArray where Element == UInt8 {
  /// The bytes in `range`. Traps when it lies outside.
  @inline(__always)
  @_lifetime(borrow self)
  package borrowing func bytes(_ range: Range<Int>) -> RawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe RawSpan(
      _unsafeStart: UnsafeRawPointer(base + range.lowerBound), byteCount: range.count)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  @inline(__always)
  @_lifetime(&self)
  package mutating func mutableBytes(_ range: Range<Int>) -> MutableRawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let span = unsafe MutableRawSpan(
      _unsafeStart: UnsafeMutableRawPointer(base + range.lowerBound), byteCount: range.count)
    return unsafe _overrideLifetime(span, mutating: &self)
  }
}

// The pointer is owned by exactly one array, so handing the array on hands the memory on.
extension FixedArray: @unchecked Sendable {}

extension FixedArray {
  /// Where an element lives, for addressors of types built on this one.
  @unsafe @inline(__always)
  func address(_ index: UInt32) -> UnsafePointer<Element> {
    precondition(Int(index) < count)
    return unsafe UnsafePointer(base + Int(index))
  }
}

extension FixedArray where Element == UInt8 {
  /// Where the bytes are, for memory that is handed to something outside of Swift's sight. The
  /// array must outlive that.
  @inline(__always)
  package var hostAddress: UInt { unsafe UInt(bitPattern: base) }

  /// Sets the bytes in `range` to zero. Traps when it lies outside.
  package mutating func zero(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe (base + range.lowerBound).update(repeating: 0, count: range.count)
  }
}
