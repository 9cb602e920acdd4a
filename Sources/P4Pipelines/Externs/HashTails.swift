import DPUCore

// Tails are read through the raw pointers that the caller of `HashFunctions.hash` answers for; cells
// are found by offsets that this type assigned.

/// Checks of a few changing bytes and a tail that is mostly one of a few, as a generator hashes
/// them: what the tail does to the check is remembered with its bytes.
///
/// The register after A and then B is the one after A shifted over B's length, plus the one that B
/// makes of zero. For each function with a tail there are tables for shifting, and cells in which a
/// tail is found by its own bytes.
struct HashTails: ~Copyable {
  /// Tails of a function are whole words, at least two (shorter ones are hashed as fast).
  static let wordsMin = 2
  static let wordsMax = 16
  /// Cells of a function: a power of two. As many as a batch has packets.
  private static let cells = 64
  /// Batches that are hashed whole after one in which most tails were new.
  private static let pause: UInt32 = 64

  struct Plan: BitwiseCopyable {
    /// Of the tail; 0: none.
    var words = 0
    /// In `shifts` and `cells`.
    var shift = 0
    var cell = 0
    var isUsed = false
    var pause: UInt32 = 0
  }

  private let plans: RawArray<Plan>
  /// `[byte of the register][its value]`.
  private let shifts: RawArray<UInt32>
  /// A tail and the register it makes of zero. All zero at the start, which is true too.
  private let cells: RawArray<UInt64>

  /// The words of each function's tail.
  init(words: [Int]) {
    var plans: [Plan] = []
    var shift = 0
    var cell = 0
    for count in words {
      var plan = Plan()
      if count > 0 {
        precondition(count >= Self.wordsMin && count <= Self.wordsMax)
        plan.words = count
        plan.shift = shift
        plan.cell = cell
        shift += 4 * 256
        cell += Self.cells * (count + 1)
      }
      plans.append(plan)
    }
    self.plans = RawArray(plans)
    shifts = RawArray(zeroes: shift)
    cells = RawArray(zeroes: cell)
  }

  /// The function's check has changed. nil: it is none that takes low bits first.
  func prepare(_ function: Int, _ tables: UnsafePointer<UInt32>?) {
    let plan = plans[function]
    if plan.words == 0 { return }
    unsafe plans.base[function].isUsed = tables != nil
    for index in 0..<Self.cells * (plan.words + 1) { unsafe cells.base[plan.cell + index] = 0 }
    guard let tables = unsafe tables else { return }
    // On the stack: checks are changed on the core that runs packets.
    let zeros = InlineArray<16, UInt64>(repeating: 0)
    unsafe withUnsafeBytes(of: zeros) { zeros in
      for index in 0..<4 * 256 {
        let register = UInt32(index % 256) << UInt32(index / 256 * 8)
        unsafe shifts.base[plan.shift + index] = CRC<UInt32>.updateReflected(
          register, tables, zeros.baseAddress.unsafelyUnwrapped, 8 * plan.words)
      }
    }
  }

  /// Whether the next batch is best hashed with tails apart; asked once for each.
  @inline(__always)
  func isWorthwhile(_ function: Int) -> Bool {
    let plan = unsafe plans.base + function
    if unsafe !plan.pointee.isUsed { return false }
    if unsafe plan.pointee.pause == 0 { return true }
    unsafe plan.pointee.pause -= 1
    return false
  }

  /// Takes the tails of the packets of `mask`, at `tails + i * stride`, into their registers.
  func take(
    _ function: Int, mask: UInt64, tails: UnsafePointer<UInt8>, stride: Int,
    into registers: UnsafeMutablePointer<UInt64>, _ tables: UnsafePointer<UInt32>
  ) {
    let plan = plans[function]
    // A constant number of words makes no loop: patterns of 32 bytes are the usual ones.
    let misses =
      if plan.words == 4 {
        unsafe take(plan, words: 4, mask, tails, stride, registers, tables)
      } else {
        unsafe take(plan, words: plan.words, mask, tails, stride, registers, tables)
      }
    if 2 * misses > mask.nonzeroBitCount { unsafe plans.base[function].pause = Self.pause }
  }

  /// Returns how many tails were new.
  @inline(__always)
  private func take(
    _ plan: Plan, words: Int, _ mask: UInt64, _ tails: UnsafePointer<UInt8>, _ stride: Int,
    _ registers: UnsafeMutablePointer<UInt64>, _ tables: UnsafePointer<UInt32>
  ) -> Int {
    let cells = unsafe cells.base + plan.cell
    let shift = unsafe shifts.base + plan.shift
    var misses = 0
    each(mask) { packet in
      let tail = unsafe UnsafeRawPointer(tails + packet &* stride)
      let cell = unsafe cells + Self.place(tail, words: words) &* (words &+ 1)
      if unsafe !Self.isSame(tail, cell, words: words) {
        misses &+= 1
        unsafe Self.remember(tail, words, in: cell, tables)
      }
      let register = unsafe registers[packet]
      var moved = unsafe shift[Int(register & 255)] ^ shift[256 &+ Int(register &>> 8 & 255)]
      moved ^=
        unsafe shift[512 &+ Int(register &>> 16 & 255)] ^ shift[768 &+ Int(register &>> 24 & 255)]
      unsafe registers[packet] = UInt64(moved) ^ cell[words]
    }
    return misses
  }

  /// The cell of a tail.
  @inline(__always)
  private static func place(_ tail: UnsafeRawPointer, words: Int) -> Int {
    var mix: UInt64 = 0
    var index = 0
    while index < words {
      mix = unsafe (mix &<< 23 | mix &>> 41) ^ word(tail, index)
      index &+= 1
    }
    return Int(truncatingIfNeeded: (mix &* 0x9e37_79b9_7f4a_7c15) &>> 58)
  }

  @inline(__always)
  private static func isSame(
    _ tail: UnsafeRawPointer, _ cell: UnsafePointer<UInt64>, words: Int
  ) -> Bool {
    var difference: UInt64 = 0
    var index = 0
    while index < words {
      difference |= unsafe word(tail, index) ^ cell[index]
      index &+= 1
    }
    return difference == 0
  }

  @inline(__always)
  private static func word(_ tail: UnsafeRawPointer, _ index: Int) -> UInt64 {
    unsafe tail.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
  }

  @inline(never)
  private static func remember(
    _ tail: UnsafeRawPointer, _ words: Int, in cell: UnsafeMutablePointer<UInt64>,
    _ tables: UnsafePointer<UInt32>
  ) {
    for index in 0..<words { unsafe cell[index] = word(tail, index) }
    unsafe cell[words] = UInt64(CRC<UInt32>.updateReflected(0, tables, tail, 8 * words))
  }
}
