// Copies between packets, header bytes and scratch areas of the machine; whoever calls has made
// sure that both sides have the bytes.

/// Copies `count` bytes that do not overlap. Headers are short: two loads that overlap in the
/// middle are several times faster than a call to memcpy.
@inline(__always)
func copyShort(
  _ from: UnsafePointer<UInt8>, _ to: UnsafeMutablePointer<UInt8>, _ count: Int
) {
  let source = unsafe UnsafeRawPointer(from)
  let target = UnsafeMutableRawPointer(to)
  if count >= 16 {
    var left = count
    var from = unsafe source
    var to = unsafe target
    while left > 64 {
      unsafe copyPiece(from, to, SIMD64<UInt8>.self)
      unsafe from += 64
      unsafe to += 64
      left &-= 64
    }
    let last = count &- 16
    if left > 32 {
      unsafe copyPiece(from, to, SIMD32<UInt8>.self)
      unsafe copyPiece(source + (last &- 16), target + (last &- 16), SIMD32<UInt8>.self)
    } else {
      if left > 16 { unsafe copyPiece(from, to, SIMD16<UInt8>.self) }
      unsafe copyPiece(source + last, target + last, SIMD16<UInt8>.self)
    }
  } else if count >= 8 {
    let last = unsafe (source + (count &- 8)).loadUnaligned(as: UInt64.self)
    unsafe copyPiece(source, target, UInt64.self)
    unsafe (target + (count &- 8)).storeBytes(of: last, as: UInt64.self)
  } else if count >= 4 {
    let last = unsafe (source + (count &- 4)).loadUnaligned(as: UInt32.self)
    unsafe copyPiece(source, target, UInt32.self)
    unsafe (target + (count &- 4)).storeBytes(of: last, as: UInt32.self)
  } else if count > 0 {
    // One to three bytes: first, middle and last, which may be the same.
    let middle = unsafe from[count &>> 1]
    let last = unsafe from[count &- 1]
    unsafe to[0] = from[0]
    unsafe to[count &>> 1] = middle
    unsafe to[count &- 1] = last
  }
}

@inline(__always)
private func copyPiece<Piece: BitwiseCopyable>(
  _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _: Piece.Type
) {
  unsafe to.storeBytes(of: from.loadUnaligned(as: Piece.self), as: Piece.self)
}

/// Copies bytes that may overlap.
@inline(__always)
func moveBytes(_ from: UnsafePointer<UInt8>, _ to: UnsafeMutablePointer<UInt8>, _ count: Int) {
  unsafe to.update(from: from, count: count)
}

@inline(__always)
func zeroBytes(_ at: UnsafeMutablePointer<UInt8>, _ count: Int) {
  unsafe at.update(repeating: 0, count: count)
}

// MARK: Bits

/// The `width` bits (1...64) that end before bit `end` of the bytes at `base`, bit 0 being the
/// highest of the first byte. Reads up to nine bytes that end with the last byte concerned: there
/// must be that many before it.
@inline(__always)
func loadBits(_ base: UnsafePointer<UInt8>, endingAt end: Int, width: Int) -> UInt64 {
  let low = -end & 7
  let after = (end &+ 7) &>> 3
  var value = unsafe load64(base + (after &- 8)) &>> UInt64(low)
  if width &+ low > 64 {
    value |= unsafe UInt64(base[after &- 9]) &<< UInt64(64 &- low)
  }
  return value & lowBits(width)
}

/// Writes the low `width` bits (1...64) of `value` there; all other bits stay. Reads and writes
/// the same bytes as `loadBits`.
@inline(__always)
func storeBits(
  _ value: UInt64, _ base: UnsafeMutablePointer<UInt8>, endingAt end: Int, width: Int
) {
  let low = -end & 7
  let after = (end &+ 7) &>> 3
  let mask = lowBits(width)
  let place = unsafe base + (after &- 8)
  let old = unsafe load64(place)
  unsafe store64(old & ~(mask &<< UInt64(low)) | (value & mask) &<< UInt64(low), place)
  if width &+ low > 64 {
    // At most seven bits are left, in the low bits of the byte before.
    let rest = UInt64(64 &- low)
    let restMask = UInt8(truncatingIfNeeded: mask &>> rest)
    let byte = unsafe base + (after &- 9)
    unsafe byte.pointee =
      byte.pointee & ~restMask | UInt8(truncatingIfNeeded: value &>> rest) & restMask
  }
}

/// A word with the low `width` bits set; all of them from 64 on.
@inline(__always)
func lowBits(_ width: Int) -> UInt64 {
  width >= 64 ? ~0 : (1 &<< UInt64(truncatingIfNeeded: width)) &- 1
}

/// Copies `count` bits, from bit `from` of `source` to bit `to` of `target`. The other bits of the
/// bytes written to stay. There must be eight bytes of the same memory before both.
func copyBits(
  _ source: UnsafePointer<UInt8>, _ from: Int, _ target: UnsafeMutablePointer<UInt8>, _ to: Int,
  count: Int
) {
  if (from | to | count) & 7 == 0 {
    unsafe moveBytes(source + from >> 3, target + to >> 3, count >> 3)
    return
  }
  var done = 0
  while done < count {
    let width = min(56, count &- done)
    done &+= width
    let value = unsafe loadBits(source, endingAt: from &+ done, width: width)
    unsafe storeBits(value, target, endingAt: to &+ done, width: width)
  }
}
