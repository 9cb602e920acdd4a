/// What one instruction does to every packet of the running mask. The letters are the operands of
/// `Instruction`; the notation:
///
/// - `L[x]`: lane `x` of the packet, 64 bits. `M[x]`: mask register `x` of the bank, one bit per
///   packet. `H[x...]`: the packet's header bytes from byte `x`. `W[x]`: wide slot `x`, a two's
///   complement number of `PipelineCode.wideLimbs` limbs, least significant first.
/// - Everything wraps at 64 bits (lanes) or at the limbs (wide). "unsigned" and "signed" say how
///   the 64 bits are read where it matters.
/// - Every write reaches the packets of the running mask only: a mask register keeps the bits of
///   the others, `M[d] = M[d] & ~running | result & running`.
/// - `field(x)`: eight bytes from `H[x]` as a big-endian number, shifted right by `shift`, anded
///   with `mask`. Writing a field leaves the other bits of those bytes as they are. The eight
///   bytes may reach into the next header; after the last there is padding.
/// - `position`: `L[c]` (0 when `c` is `Instruction.none`) plus `e`, a byte in the packet.
/// - A parser instruction *fails* a packet: `L[cursorLane] = position`, the parser error lane (if
///   there is one) gets the code, and the packet leaves the running mask: its parsing is over.
package enum Opcode: UInt16, BitwiseCopyable, Sendable {
  // MARK: Control: the last instruction of every block, and only that

  /// To block `d`.
  case jump
  /// To block `b` where `M[a]` is set, else to block `c`.
  case branch
  /// Key `L[a]`. Cases `selectCases[b..<b + c]` in order: to `block` of the first with
  /// `key & mask == value`; without one to block `d`.
  case select
  /// As `select`; the key is `field(a)`.
  case selectField
  /// Looks up table `a` and dispatches; see `TableCode`.
  case apply
  /// The section is over for these packets.
  case finish

  // MARK: Lanes

  /// `L[d] = immediate`.
  case loadImmediate
  /// `L[d] = L[a] & mask`.
  case move
  /// `L[d] = (L[a] op L[b]) & mask`.
  case add, subtract, multiply, and, or, xor
  /// Shift by `L[b]`, unsigned; 64 and more gives 0 (`shiftRightSigned`: all sign). `& mask`.
  case shiftLeft, shiftRight, shiftRightSigned
  /// Division by zero gives 0. Signed division truncates toward zero, the remainder has the sign
  /// of the left side. `& mask`.
  case divide, modulo, divideSigned, moduloSigned
  /// `L[d] = (L[a] op immediate) & mask`; there is no `subtractImmediate`, as adding does it.
  case addImmediate, multiplyImmediate, andImmediate, orImmediate, xorImmediate
  /// `L[d] = (immediate - L[a]) & mask`.
  case reverseSubtractImmediate
  /// Shift by `shift` (0...63), `& mask`.
  case shiftLeftImmediate, shiftRightImmediate, shiftRightSignedImmediate
  /// By `immediate`, which is not 0. `& mask`.
  case divideImmediate, moduloImmediate
  /// `L[d] = (L[a] << shift | L[b]) & mask`: one more part of a concatenation.
  case shiftLeftOr
  /// `L[d]` = the low `size` bits (1...63) of `L[a]`, taken as signed, to 64 bits; `& mask`.
  case signExtend
  /// `L[d] = min(max(L[a], signed immediate), signed mask)`: all signed.
  case clampSigned
  /// `L[d] = min(L[a], immediate)`, unsigned.
  case minimumUnsigned
  /// `L[d] = M[c] ? L[a] : L[b]`.
  case choose
  /// `L[d] = M[a] ? immediate : mask`.
  case chooseImmediate

  // MARK: Masks. `size` 1 turns the result round, wherever a mask is made by a comparison

  /// `M[d] = L[a] == L[b]`, unsigned `<`, signed `<`.
  case equal, less, lessSigned
  /// `M[d] = (L[a] & mask) == immediate`.
  case equalImmediate
  /// `M[d] = L[a] < immediate`, unsigned.
  case lessImmediate
  /// `M[d] = L[a] < immediate`, signed.
  case lessSignedImmediate
  /// `M[d] = field(a) == immediate`.
  case equalField
  /// `M[d] = field(a) < immediate`, unsigned.
  case lessField
  /// All bits of `M[d]` as bit 0 of `immediate`.
  case setMask
  /// `M[d] = M[a]` (`size` 1: complement).
  case moveMask
  case andMask, orMask, xorMask
  /// `M[d] = M[a] & ~M[b]`.
  case andNotMask
  /// `M[d] = M[b + L[a] * c]`, clear when `L[a] >= e`: validity of an element of a stack.
  case maskAtIndex

  // MARK: Header bytes

  /// `L[d] = field(a)`.
  case loadField
  /// Whole bytes: `L[d]` = the 1, 2, 4 or 8 bytes from `H[a]`.
  case load8, load16, load32, load64
  /// A field over nine bytes: `size` bits (57...64), its lowest bit is bit `shift` (1...7) of
  /// byte `H[a + 8]`.
  case loadField9
  /// `field(d) = L[a] & mask`.
  case storeField
  case store8, store16, store32, store64
  /// As `loadField9`, written at `d`.
  case storeField9
  /// `field(d) = immediate`, which fits `mask`.
  case storeFieldImmediate
  /// `field(d) = (field(d) + immediate) & mask`.
  case addField
  /// `field(d) = word & mask` with a word of the packet's record, as `loadParameter`.
  case storeParameter
  /// `H[d..<d + b] = H[a..<a + b]`, as if through a copy; the ranges may overlap.
  case copyBytes
  /// `H[d..<d + b] = 0`.
  case zeroBytes
  /// As `loadField` and `storeField`, at `a` (or `d`) `+ L[b] * e` where `L[b] < c`; beyond that
  /// the load gives 0 and the store does nothing.
  case loadFieldAtIndex, storeFieldAtIndex

  // MARK: Action parameters

  /// `L[d] = word & mask`: word `c` (0 is the first after the action number) of record `L[a]` in
  /// the record store of table `b`.
  case loadParameter
  /// `W[d]` = `e` words from word `c` on, zero-extended.
  case loadParameterWide

  // MARK: Wide

  /// `W[d] = wideConstants[a..<a + wideLimbs]`.
  case wideConstant
  case wideMove
  /// `W[d]` = `L[a]`, zero-extended, or sign-extended (`size` 1).
  case wideFromLane
  /// `L[d]` = lowest limb of `W[a]` `& mask`.
  case laneFromWide
  /// `W[d]` = the `b` bits that end before bit `a` of the header bytes (bit 0 is the highest bit
  /// of `H[0]`): bits `a - b ..< a`, zero-extended.
  case wideLoad
  /// Those bits = low `b` bits of `W[d]`. Other bits stay.
  case wideStore
  /// `W[d] = W[a] op W[b]`; shifts by `W[b]` take its value, 0 bits from the right and, to the
  /// right, signs from the left; a negative distance shifts by 0.
  case wideAdd, wideSubtract, wideMultiply, wideAnd, wideOr, wideXor, wideShiftLeft, wideShiftRight
  /// Truncating; by zero gives 0.
  case wideDivide, wideModulo
  /// Shift by `b` bits, which may be any number.
  case wideShiftLeftImmediate, wideShiftRightImmediate
  /// `W[d]` = low `b` bits of `W[a]`, zero-extended; sign-extended from bit `b - 1` (`size` 1).
  case wideExtend
  /// `W[d]` = `W[a]` brought into the range of `b` bits, unsigned, or signed (`size` 1).
  case wideSaturate
  /// `W[d] = M[c] ? W[a] : W[b]`.
  case wideChoose
  /// `M[d] = W[a] == W[b]`, signed `<`. `size` 1 turns round.
  case wideEqual, wideLess

  // MARK: Headers as a whole

  /// Header `a` where it is invalid: its bytes and its varbit length become 0, it becomes valid,
  /// and `L[c]`, unless `c` is `none`, grows by its bytes (a varbit counts as empty). Other members
  /// of a union are the business of further instructions.
  case setValid
  /// Header `a` where it is valid: invalid, and `L[c]` shrinks by its bytes with its varbit.
  case setInvalid
  /// Header `d` = header `a`, same type: validity; and where `a` is valid all bytes and the
  /// varbit length. No length register changes. Other members of a union of `d` are the business
  /// of further instructions.
  case copyHeader
  /// Stack `a`, by `b` elements (1 to its count); see `StackCode`.
  case pushStack, popStack
  /// `M[d]` = headers `a` and `b` are both valid and have the same bytes (a varbit as in
  /// `variableEqual`): false for two invalid headers, as in BMv2. `size` 1 turns round.
  case headersEqual
  /// Varbit of header `d` = that of header `a`: bytes and length; `e` is 0.
  case copyVariable

  // MARK: Parser

  /// Fails with `packetTooShort` unless the packet has `length` bytes at `position`; copies them
  /// to header `a`, which becomes valid. (Unions and `next` are the business of further
  /// instructions, and so is the cursor.)
  case extract
  /// `b` extracts in a row, of `runHeaders[a..<a + b]`, whose bytes follow each other in the header
  /// bytes from `H[d]` and in the packet from `position`; `immediate` bytes in all. Where the
  /// packet is too short for all, those that fit are extracted one by one and the packet fails
  /// with `packetTooShort` at the first that does not.
  case extractRun
  /// Header `a` with a varbit of `L[b]` bits (signed). In this order: no multiple of 8 fails with
  /// `parserInvalidArgument`, a packet without the fixed bytes and so many with `packetTooShort`,
  /// more than the maximum (and less than 0) with `headerTooShort`. Sets the varbit length lane.
  case extractVariable
  /// The next element of stack `a`: where `L[nextLane] >= count` fails with `stackOutOfBounds`, else
  /// as `extract` of that element, and `L[nextLane] += 1`. Elements have no varbit.
  case extractNext
  /// Fails with error `immediate` where `M[a]` is clear.
  case failUnless
  /// As above, with error `L[b]`.
  case failUnlessLane
  /// Fails with `packetTooShort` unless the packet has `immediate` bytes at `position`.
  case require
  /// `L[a]` bits further: no multiple of 8 fails with `parserInvalidArgument`, more than there is
  /// with `packetTooShort`; else `L[cursorLane] = position + L[a] / 8`.
  case advance
  /// `L[d]` = `size` bits (1...64) that start `immediate` bits after `position`; fails with
  /// `packetTooShort` when the packet ends before.
  case lookahead
  /// The same, `b` bits into `W[d]`.
  case lookaheadWide
  /// `L[d]` = bytes of header `a` in the packet (with its varbit).
  case headerLength
  /// `M[d]` = value set `a` holds the key that plan `b` gathers.
  case matchValueSet

  // MARK: Externs

  /// Counter array `b`, index `L[a]`: one packet of the arrival length. Out of range: ignored.
  case count
  /// Index `immediate`.
  case countImmediate
  /// `L[d]` = register `b` at index `L[a]`; out of range `L[d]` stays. (`size` 1: never is.)
  case registerRead
  /// Register `b` at index `L[a]` = `L[c] & mask`; out of range ignored.
  case registerWrite
  /// The same with `W[d]` and `W[c]`; `e` is the register's width.
  case registerReadWide, registerWriteWide
  /// `L[d]` = colour that meter array `b` gives the packet at index `L[a]`; out of range stays.
  case meter
  /// `L[d]` = output of calculation `c` `& mask`; see `CalculationCode`.
  case hash
  /// `L[d]` = ones' complement sum, complemented, of the `b` bytes from `H[a]`, without the two
  /// bytes from `H[e]` (unless `none`); `b` is even, `e - a` too.
  case checksumBytes
  /// The same, stored as two bytes from `H[d]`.
  case updateChecksumBytes
  /// `L[d]` = a random number in `L[a]...L[b]`, unsigned; when `L[b] < L[a]`: `L[a]`.
  case random
  /// Asks for a digest with learn list `a`.
  case digest
  /// Asks for a clone to session `L[a]` with field list `b` (or `none`); ingress, egress. The last
  /// of a control counts.
  case cloneIngress, cloneEgress
  /// Asks for it, with field list `b` (or `none`).
  case resubmit, recirculate
  /// The packet that leaves keeps at most `L[a]` bytes.
  case truncate
  /// `M[d]` = the varbits of headers `a` and `b` are equal as numbers, as BMv2 compares them:
  /// leading zero bytes do not count. `size` 1 turns round.
  case variableEqual
  /// Register `b` at index `L[a]` = `immediate`; out of range ignored.
  case registerWriteImmediate
  /// Prints with `logs[a]`, only while tracing.
  case log
  /// Counts packets with `M[a]` clear as failed assertions; they go on.
  case assert
}
