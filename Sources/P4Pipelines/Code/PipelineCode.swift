package import DPUCore

/// A program compiled for one machine: what runs, and where everything lies. Immutable; made once
/// per load by `Compiler`, read by the machine, the switch, the control plane and the tracer.
///
/// **State of a packet.** Lanes hold metadata of up to 64 bits, temporaries, `next` counters and
/// varbit lengths. Mask registers hold, one bit per packet, what is a single bit: first the
/// validity of every header (register `h` is header `h`), then one-bit metadata, then temporaries.
/// The header bytes hold headers in network order and metadata wider than 64 bits. Wide slots hold
/// temporaries only.
///
/// **Running.** A section starts at its entry block. Blocks of a section are numbered so that in a
/// control every successor has a higher number; in the parser a loop goes back. Always the lowest
/// pending block runs, with all packets that wait for it.
package struct PipelineCode: Sendable {
  package var instructions: [Instruction] = []
  package var blocks: [Block] = []
  package var parser = Section()
  package var verify = Section()
  package var ingress = Section()
  package var egress = Section()
  /// Checksum updates, then statements of the deparser.
  package var update = Section()

  // Layout
  package var laneCount = 0
  /// All mask registers; those before `packetMasks` are part of a packet's state.
  package var maskCount = 0
  package var packetMasks = 0
  /// Lanes before this are part of a packet's state; those after it are temporaries that need not be
  /// copied with it.
  package var packetLanes = 0
  /// Header bytes of one packet, a multiple of 64 that includes at least 16 of padding at its end.
  package var headerBytes = 0
  /// Of those, the bytes that hold something: what a copy of a packet's state copies.
  package var usedHeaderBytes = 0
  /// Limbs of a wide slot; 0 when the program has no wide arithmetic.
  package var wideLimbs = 0
  package var wideCount = 0
  package var headers: [HeaderCode] = []
  package var stacks: [StackCode] = []
  package var unions: [UnionCode] = []

  // What a new packet must find
  /// Lanes that are 0 when ingress parsing starts. Others are written before they are read.
  package var zeroedLanes: [UInt32] = []
  /// Bytes likewise: offset and count.
  package var zeroedBytes: [ByteRange] = []
  /// Mask registers (all below `packetMasks`) are always cleared for a new packet.

  /// Lanes that are 0 when a packet starts at egress with its headers given but its metadata lost
  /// (clones), before its field list is put back.
  package var zeroedLanesOfClones: [UInt32] = []
  package var zeroedBytesOfClones: [ByteRange] = []
  /// Mask registers that are metadata: cleared for clones.
  package var metadataMasks: Range<Int> = 0..<0

  /// Headers of which a field may be read while they are invalid, and that the parser leaves alone
  /// but for extracting them: their bytes are zeroed after the parser for the packets in which it
  /// has not found them, so that nothing of an earlier packet shows. (Those that the parser itself
  /// reads or writes while invalid are among `zeroedBytes`.)
  package var staleHeaders: [UInt32] = []

  // Lanes with a meaning outside
  /// Where the payload starts, in bytes of the packet; kept up by the parser.
  package var cursorLane: UInt32 = 0
  /// The packet's length register: starts as `packet_length`, follows setValid and setInvalid, read
  /// by the switch for `packet_length` in egress. `none` when no egress statement reads that.
  package var lengthLane: UInt32 = Instruction.none
  /// By `StandardField.rawValue`; nil: the program neither reads nor writes it (reads as 0).
  package var standard: [FieldPlace?] = []

  /// Where each field lives, by header and field of the program: for the tracer and for tests.
  package var fieldPlaces: [[FieldPlace]] = []

  // Descriptors that instructions name
  package var selectCases: [SelectCase] = []
  package var runHeaders: [UInt32] = []
  package var wideConstants: [UInt64] = []
  package var tables: [TableCode] = []
  package var calculations: [CalculationCode] = []
  /// Gather plans: keys of value sets.
  package var plans: [GatherPlan] = []
  /// Constant bytes of plans.
  package var constantBytes: [UInt8] = []
  package var fieldLists: [FieldListCode] = []
  package var learnLists: [LearnListCode] = []
  package var logs: [LogCode] = []
  /// Headers in deparser order.
  package var deparserOrder: [UInt32] = []
  /// No instruction changes header bytes or validity after the parser: nothing to write back.
  package var keepsPacket = false

  /// In block order, not overlapping.
  package var serialRegions: [SerialRegion] = []

  /// For people: one mark per instruction; names.
  package var marks: [Mark] = []
  package var laneNames: [Text] = []
  package var maskNames: [Text] = []

  package init() {}
}

extension PipelineCode {
  /// The last instruction is the control instruction.
  package struct Block: BitwiseCopyable, Sendable {
    package var first: UInt32
    package var count: UInt32
    /// Index of the serial region + 1, 0: none.
    package var region: UInt32 = 0
    package init(first: Int, count: Int) {
      self.first = UInt32(first)
      self.count = UInt32(count)
    }
  }

  package struct Section: Sendable {
    package var entry = 0
    /// Empty: nothing to do.
    package var blocks: Range<Int> = 0..<0
    package init() {}
  }

  package struct ByteRange: BitwiseCopyable, Sendable {
    package var offset: UInt32
    package var count: UInt32
    package init(offset: Int, count: Int) {
      self.offset = UInt32(offset)
      self.count = UInt32(count)
    }
  }

  package struct SelectCase: BitwiseCopyable, Sendable {
    package var value: UInt64
    package var mask: UInt64
    package var block: UInt32
    package init(value: UInt64, mask: UInt64, block: Int) {
      self.value = value
      self.mask = mask
      self.block = UInt32(block)
    }
  }

  /// Blocks in which packets must not overtake each other because they share state that is read
  /// back. When the lowest pending block lies in a region, the packets pending anywhere in it run
  /// in bit order, one after the other, each until it has left the region.
  ///
  /// With a `conflictLane` every access to shared state is at the index in that lane, which no
  /// instruction of the region writes: packets with pairwise different values may run together.
  package struct SerialRegion: Sendable {
    package var blocks: Range<Int>
    package var conflictLane: UInt32 = Instruction.none
    package init(blocks: Range<Int>) { self.blocks = blocks }
  }
}

// MARK: Headers

extension PipelineCode {
  /// A header; metadata headers are here for numbering only, with `bytes` 0.
  package struct HeaderCode: Sendable {
    /// In the header bytes.
    package var offset: UInt32 = 0
    /// Its bytes, the varbit at its maximum: what it takes in the header bytes.
    package var bytes: UInt32 = 0
    package var isMetadata = false
    /// A varbit is stored in place at its maximum, its bits first; fields after it stand where they
    /// stand when it is full. On the wire they follow its last bit. `variableBits` 0: no varbit.
    package var variableBit: UInt32 = 0
    package var variableBits: UInt32 = 0
    /// Lane with the varbit's length in bits, zeroed at start.
    package var lengthLane: UInt32 = Instruction.none
    package var union: UInt32 = Instruction.none
    /// Some instruction outside the parser may change its bytes.
    package var isWritten = false
    package init() {}
    /// Bytes on the wire while the varbit is empty.
    package var fixedBytes: UInt32 { bytes - variableBits / 8 }
  }

  /// A stack of headers or of unions.
  ///
  /// `pushStack` by n: `L[next] = min(count, L[next] + n)`, element i takes validity, bytes and
  /// varbit length of element i - n, from the last down to n; the first n become invalid.
  /// `popStack` by n: `L[next] -= min(L[next], n)`, element i takes those of i + n, the last n
  /// become invalid. A stack of unions moves all members of each element.
  package struct StackCode: Sendable {
    package var count: UInt32 = 0
    /// Members of an element: 1, or the members of the union. Member m of element i is header
    /// `headers[i * members + m]`.
    package var members: UInt32 = 1
    package var headers: [UInt32] = []
    package var nextLane: UInt32 = 0
    package init() {}
  }

  package struct UnionCode: Sendable {
    package var members: [UInt32] = []
    package init() {}
  }

  /// Where the value of a field lives.
  package enum FieldPlace: Sendable {
    /// The low `width` bits; the rest of the lane is 0, for signed fields too.
    case lane(UInt32, width: Int)
    case mask(UInt32)
    /// `width` bits from bit `bit` of the header bytes.
    case bytes(bit: Int, width: Int)
    /// A varbit of a header.
    case variable(header: UInt32)
    /// Never read by the program, not kept: reads as 0, writes vanish.
    case nowhere(width: Int)
  }
}

// MARK: Gathering bytes

extension PipelineCode {
  /// One piece of a byte string that is put together from a packet's state.
  package struct Segment: BitwiseCopyable, Sendable {
    package enum Kind: UInt8, BitwiseCopyable, Sendable {
      /// `bits / 8` whole bytes from `H[source]`, to a byte position.
      case bytes
      /// `field(source)` with `shift` and `mask`.
      case field
      /// `L[source]`.
      case lane
      /// `M[source]`.
      case mask
      /// The value of `bits` bits that start at bit `source` of the header bytes, of any width.
      case bits
      /// Low `bits` bits of `W[source]`.
      case wide
      /// `bits` bits from bit 0 of `constantBytes[source]`.
      case constant
      /// Header `source` as on the wire: for one with a varbit.
      case header
      /// The varbit of header `source`.
      case variable
      /// The packet from the cursor on.
      case payload
    }
    package var kind: Kind
    package var shift: UInt8 = 0
    /// When this mask register is clear: zeros in a fixed plan, left out of another. `none`:
    /// always there.
    package var guardMask: UInt32 = Instruction.none
    package var source: UInt32
    /// Bits that it adds, the value right-aligned in them with zeros before.
    package var bits: UInt32
    /// Bit where it starts, when the plan is fixed.
    package var at: UInt32 = 0
    package var mask: UInt64 = ~0
    package init(_ kind: Kind, source: Int, bits: Int) {
      self.kind = kind
      self.source = UInt32(source)
      self.bits = UInt32(bits)
    }
  }

  /// Segments one after the other, bit by bit, the first bit the highest of the first byte; the
  /// last byte is filled up with zeros.
  package struct GatherPlan: Sendable {
    package var segments: [Segment] = []
    /// Every segment starts at its `at`, whether its guard is set or not: no varbits, no payload.
    /// Table keys, value set keys and digests are fixed; calculations with guards are not.
    package var isFixed = true
    /// Bytes altogether when fixed, else the most without the payload.
    package var bytes = 0
    package init() {}
  }

  package struct CalculationCode: Sendable {
    package var algorithm: P4Program.HashAlgorithm
    package var plan: GatherPlan
    package var hasPayload = false
    /// The hash function's number in the set of externs: the index in `P4Program.calculations`, or
    /// the number of those plus the profile for a selector. (Several codes may share a function:
    /// the same calculation where more is known of the headers.)
    package var function: Int
    package init(algorithm: P4Program.HashAlgorithm, plan: GatherPlan, function: Int) {
      self.algorithm = algorithm
      self.plan = plan
      self.function = function
    }
  }

  /// What is saved and put back for resubmit, recirculate and clones; by place.
  package struct FieldListCode: Sendable {
    /// The number that programs and lanes use.
    package var id: Int
    package var fields: [FieldPlace] = []
    /// Bytes of the saved form: each field padded to whole bytes.
    package var bytes = 0
    package init(id: Int) { self.id = id }
  }

  /// The bytes of a digest: each element padded to whole bytes, and its width.
  package struct LearnListCode: Sendable {
    package var id: Int
    package var plan = GatherPlan()
    package var widths: [Int] = []
    package init(id: Int) { self.id = id }
  }

  package struct LogCode: Sendable {
    package var format: Text
    /// Lanes, one per argument.
    package var arguments: [UInt32]
    package init(format: Text, arguments: [UInt32]) {
      self.format = format
      self.arguments = arguments
    }
  }
}

// MARK: Tables

extension PipelineCode {
  /// `apply` of a table, for the running packets:
  /// 1. without keys: everybody misses; else gather `key`, look up;
  /// 2. `M[hitMask] = hit` (unless `none`); `L[recordLane]` = record (0 on a miss: the default
  ///    record), `L[entryLane]` = entry where there is a lane for it;
  /// 3. on a hit: the direct counter counts, the direct meter writes its colour to `meterResult`;
  /// 4. every packet goes to `actionBlocks[actionIndex[n]]` with n the action number of its record
  ///    (index into `P4Program.actions`), or to `noActionBlock` when the record holds none.
  package struct TableCode: Sendable {
    /// Key fields padded to whole bytes, zeros up to a multiple of 8 bytes. Fixed.
    package var key = GatherPlan()
    /// `key.bytes` rounded up to 8; 0 without keys.
    package var keyBytes = 0
    package var keys: [KeyCode] = []
    package var storage: P4Program.Storage = .direct
    package var hitMask: UInt32 = Instruction.none
    package var recordLane: UInt32 = 0
    package var entryLane: UInt32 = Instruction.none
    /// By index in `P4Program.actions`; 255: not an action of this table.
    package var actionIndex: [UInt8] = []
    package var actionBlocks: [UInt32] = []
    package var noActionBlock: UInt32 = 0
    package var meterResult: FieldPlace?
    /// Selector input of a table with groups, gathered where the record is a group.
    package var selector: CalculationCode?
    /// Words of the longest argument list among its actions.
    package var argumentWords = 0
    /// Never applied: every use was inlined. The control plane still knows the table.
    package var isInlined = false
    package init() {}
  }

  package struct KeyCode: Sendable {
    package var kind: P4Program.MatchKind
    /// Byte in the key.
    package var offset: Int
    package var width: Int
    package init(kind: P4Program.MatchKind, offset: Int, width: Int) {
      self.kind = kind
      self.offset = offset
      self.width = width
    }
  }
}

// MARK: Names

extension PipelineCode {
  /// What an instruction belongs to.
  package struct Mark: BitwiseCopyable, Sendable {
    package enum Place: UInt8, BitwiseCopyable, Sendable {
      case state, action, table, conditional, checksum, deparser, none
    }
    package var place: Place = .none
    package var isIngress = true
    /// Index of the state, action, table, conditional or checksum in the program.
    package var index: UInt32 = 0
    /// Of the statement within it.
    package var statement: UInt32 = 0
    /// Table through which an action runs, + 1; 0: none.
    package var table: UInt32 = 0
    package init() {}
  }
}

/// Core errors of a parser, with BMv2's numbers (a program's own list agrees for these).
package enum ParserError {
  package static let none: UInt64 = 0
  package static let packetTooShort: UInt64 = 1
  package static let noMatch: UInt64 = 2
  package static let stackOutOfBounds: UInt64 = 3
  package static let headerTooShort: UInt64 = 4
  package static let parserTimeout: UInt64 = 5
  package static let parserInvalidArgument: UInt64 = 6
}
