/// One element for each place of a batch: 64 * bank + packet.
///
/// Places come from the bits of masks, so an index is cut to the array instead of being checked:
/// that is one instruction on a path where a packet passes some ten of them.
@safe
struct PlaceArray<Element: BitwiseCopyable>: ~Copyable {
  private static var count: Int { 2 * Machine.width }
  private let elements: RawArray<Element>

  init(repeating element: Element) {
    elements = RawArray([Element](repeating: element, count: Self.count))
  }

  subscript(place: Int) -> Element {
    @inline(__always)
    unsafeAddress { unsafe UnsafePointer(elements.base + (place & (Self.count &- 1))) }
    @inline(__always)
    unsafeMutableAddress { unsafe elements.base + (place & (Self.count &- 1)) }
  }
}
