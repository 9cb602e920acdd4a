package import DPUCore

/// A P4 program for the v1model architecture, as BMv2 JSON describes it, checked: every name is
/// resolved to an index into one of these arrays, every index is in range, every width is known.
///
/// Made once by `ProgramLoader`, read by the compiler and by the control plane; never on the
/// packet path. Indices, not references, so that it stays a plain value.
package struct P4Program: Sendable {
  package var headers: [Header] = []
  package var stacks: [HeaderStack] = []
  package var unions: [HeaderUnion] = []
  package var unionStacks: [UnionStack] = []
  package var errors: [NamedValue] = []
  package var enums: [EnumType] = []
  package var states: [ParserState] = []
  /// Index into `states`.
  package var startState = 0
  package var valueSets: [ValueSet] = []
  /// Headers in the order in which the deparser emits those that are valid.
  package var deparserOrder: [Int] = []
  /// Statements of the deparser control that run before the headers are emitted.
  package var deparserPrimitives: [Primitive] = []
  package var calculations: [Calculation] = []
  package var checksums: [Checksum] = []
  package var fieldLists: [FieldList] = []
  package var learnLists: [LearnList] = []
  package var counters: [CounterArray] = []
  package var meters: [MeterArray] = []
  package var registers: [RegisterArray] = []
  package var actions: [Action] = []
  package var profiles: [ActionProfile] = []
  package var tables: [Table] = []
  package var ingress = Control()
  package var egress = Control()
  /// Other names of fields: `field_aliases`.
  package var aliases: [(alias: Text, field: FieldReference)] = []
  /// The header of `standard_metadata`.
  package var standardMetadata = 0

  package init() {}

  package struct NamedValue: Sendable {
    package var name: Text
    package var value: UInt64
    package init(name: Text, value: UInt64) {
      self.name = name
      self.value = value
    }
  }

  package struct EnumType: Sendable {
    package var name: Text
    package var entries: [NamedValue]
    package init(name: Text, entries: [NamedValue]) {
      self.name = name
      self.entries = entries
    }
  }
}

// MARK: Headers

extension P4Program {
  /// One field of a header.
  package struct Field: Sendable {
    package var name: Text
    /// Bits; for a varbit field its maximum.
    package var width: Int
    /// Bits before it in the header, every varbit at its maximum.
    package var offset: Int
    package var isVariable = false
    package var isSigned = false
    /// The hidden one-bit field `$valid$` of a header: `width` 1, no place in the header.
    package var isValidBit = false
    package init(name: Text, width: Int, offset: Int) {
      self.name = name
      self.width = width
      self.offset = offset
    }
  }

  /// A header instance, or an instance of metadata. Members of stacks and unions stand here too.
  package struct Header: Sendable {
    package var name: Text
    package var typeName: Text
    package var fields: [Field]
    /// Bits of all fields, a varbit at its maximum. For headers that are no metadata a multiple
    /// of eight; the loader refuses others.
    package var width: Int
    package var isMetadata = false
    /// The varbit field, when there is one.
    package var variableField: Int?
    /// The stack it belongs to and its place there.
    package var stack: Int?
    package var stackIndex = 0
    package var union: Int?
    package var unionIndex = 0
    /// The number BMv2 gave it, for error texts only.
    package var id = 0
    package init(name: Text, typeName: Text, fields: [Field], width: Int) {
      self.name = name
      self.typeName = typeName
      self.fields = fields
      self.width = width
    }
  }

  package struct HeaderStack: Sendable {
    package var name: Text
    /// Indices into `headers`, first element first.
    package var elements: [Int]
    package init(name: Text, elements: [Int]) {
      self.name = name
      self.elements = elements
    }
  }

  package struct HeaderUnion: Sendable {
    package var name: Text
    /// Indices into `headers`, in the order of the type.
    package var members: [Int]
    /// The stack of unions it belongs to and its place there.
    package var stack: Int?
    package var stackIndex = 0
    package init(name: Text, members: [Int]) {
      self.name = name
      self.members = members
    }
  }

  package struct UnionStack: Sendable {
    package var name: Text
    /// Indices into `unions`.
    package var elements: [Int]
    package init(name: Text, elements: [Int]) {
      self.name = name
      self.elements = elements
    }
  }

  package struct FieldReference: Equatable, Hashable, Sendable {
    package var header: Int
    package var field: Int
    package init(header: Int, field: Int) {
      self.header = header
      self.field = field
    }
  }

  /// What a statement names when it means a whole header.
  package enum HeaderReference: Sendable {
    case header(Int)
    /// `stack.next` while parsing.
    case stackNext(Int)
    /// `stack.last`.
    case stackLast(Int)
    /// `stack[expression]`.
    indirect case stackElement(Int, Expression)
    /// Member `member` of the next union of a stack of unions, while parsing (`union_stack`).
    case unionStackNext(Int, member: Int)
    case unionStackLast(Int, member: Int)
    /// Member `member` of `unionStack[expression]`.
    indirect case unionStackElement(Int, Expression, member: Int)
  }

  /// What may be assigned to.
  package enum Destination: Sendable {
    case field(FieldReference)
    /// Field `field` of a header that is found at run time.
    case indirect(HeaderReference, field: Int)
  }
}

// MARK: Expressions

extension P4Program {
  package enum UnaryOperator: Sendable {
    /// Bit complement `~`, logical `not`.
    case complement, not
    /// `-x`.
    case negate
    /// d2b and b2d.
    case dataToBool, boolToData
  }

  package enum BinaryOperator: Sendable {
    case add, subtract, multiply, divide, modulo
    case shiftLeft, shiftRight
    case bitAnd, bitOr, bitXor
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case logicalAnd, logicalOr
    /// `sat_cast` and `usat_cast`: the left side brought into the range of a signed or unsigned
    /// integer of as many bits as the right side says.
    case saturatingCast, unsignedSaturatingCast
    /// `two_comp_mod`: the left side taken as a two's complement number of so many bits.
    case twosComplement
  }

  /// A value, computed with unlimited precision and cut only where it is stored, as BMv2 does.
  package indirect enum Expression: Sendable {
    case constant(WideInteger)
    case boolean(Bool)
    case field(FieldReference)
    /// A field of a header that is found at run time (`stack_field`, access_field).
    case indirectField(HeaderReference, field: Int)
    /// Parameter of the enclosing action.
    case parameter(Int)
    case isValid(HeaderReference)
    case isUnionValid(Int)
    /// Of a stack of unions' element.
    case isUnionElementValid(Int, Expression)
    /// Index of the last element that was extracted or pushed: the stack's size minus one.
    case lastStackIndex(Int)
    /// Elements that were extracted or pushed, where `next` stands.
    case stackSize(Int)
    case lastUnionStackIndex(Int)
    case unionStackSize(Int)
    case unary(UnaryOperator, Expression)
    case binary(BinaryOperator, Expression, Expression)
    case conditional(Expression, then: Expression, otherwise: Expression)
    /// While parsing: `width` bits, `offset` bits after the cursor, without moving it.
    case lookahead(offset: Int, width: Int)
    /// An element of a register array.
    case register(Int, index: Expression)
    /// Whole headers of one type compared, field by field and in validity (`==` of headers).
    case headersEqual(HeaderReference, HeaderReference)
    case stacksEqual(Int, Int)
    case unionsEqual(Int, Int)
  }
}

// MARK: Statements

extension P4Program {
  /// A statement of an action, of the deparser, or of a parser state.
  package enum Primitive: Sendable {
    case assign(Destination, Expression)
    /// varbit to varbit, with its length.
    case assignVariable(Destination, from: Destination)
    case assignHeader(HeaderReference, from: HeaderReference)
    case assignStack(Int, from: Int)
    case assignUnion(Int, from: Int)
    case assignUnionStack(Int, from: Int)
    case setValid(HeaderReference)
    case setInvalid(HeaderReference)
    case pushFront(stack: Int, count: Int)
    case popFront(stack: Int, count: Int)
    case pushFrontUnions(stack: Int, count: Int)
    case popFrontUnions(stack: Int, count: Int)
    case hash(Destination, base: Expression, calculation: Int, max: Expression)
    case count(counter: Int, index: Expression)
    case executeMeter(meter: Int, index: Expression, Destination)
    case registerRead(Destination, register: Int, index: Expression)
    case registerWrite(register: Int, index: Expression, Expression)
    /// Lowest and highest value, both included.
    case random(Destination, low: Expression, high: Expression)
    /// Receiver number and index into `learnLists`.
    case digest(receiver: Expression, learnList: Int)
    case markToDrop
    /// Session, and index into `fieldLists` when there is one.
    case cloneIngress(session: Expression, fieldList: Int?)
    case cloneEgress(session: Expression, fieldList: Int?)
    case resubmit(fieldList: Int?)
    case recirculate(fieldList: Int?)
    /// Keep at most so many bytes of the packet that leaves.
    case truncate(Expression)
    case exit
    /// Jumps within the statement list, to the statement with that index (may equal the count).
    case jump(Int)
    case jumpIfZero(Expression, Int)
    case log(format: Text, arguments: [Expression])
    case assert(Expression)
    case assume(Expression)
    case nothing
  }

  package struct Parameter: Sendable {
    package var name: Text
    package var width: Int
    package init(name: Text, width: Int) {
      self.name = name
      self.width = width
    }
  }

  package struct Action: Sendable {
    package var name: Text
    /// The number in the JSON; action entries name actions by it.
    package var id: Int
    package var parameters: [Parameter]
    package var primitives: [Primitive]
    package init(name: Text, id: Int, parameters: [Parameter], primitives: [Primitive]) {
      self.name = name
      self.id = id
      self.parameters = parameters
      self.primitives = primitives
    }
  }
}

// MARK: Parser

extension P4Program {
  package enum ParserOperation: Sendable {
    case extract(HeaderReference)
    /// The varbit field gets as many bits as the expression says.
    case extractVariable(HeaderReference, bits: Expression)
    case set(Destination, Expression)
    /// When the condition is false, parsing ends with the error of that number.
    case verify(Expression, error: Expression)
    /// Bits to skip.
    case advance(Expression)
    /// Bytes to skip, the old `shift`.
    case shift(Int)
    case primitive(Primitive)
  }

  package enum Successor: Sendable, Equatable {
    case state(Int)
    case accept
  }

  package struct Transition: Sendable {
    package enum Match: Sendable {
      case anything
      /// Key bytes as in the JSON: each key field padded to whole bytes, concatenated.
      case value([UInt8], mask: [UInt8]?)
      case valueSet(Int)
    }
    package var match: Match
    package var next: Successor
    package init(match: Match, next: Successor) {
      self.match = match
      self.next = next
    }
  }

  package struct KeyPart: Sendable {
    package var value: Expression
    /// Bits; padded to whole bytes in the key.
    package var width: Int
    package init(value: Expression, width: Int) {
      self.value = value
      self.width = width
    }
  }

  package struct ParserState: Sendable {
    package var name: Text
    package var operations: [ParserOperation]
    package var key: [KeyPart]
    /// Tried in order; without a match the packet is accepted.
    package var transitions: [Transition]
    package init(
      name: Text, operations: [ParserOperation], key: [KeyPart], transitions: [Transition]
    ) {
      self.name = name
      self.operations = operations
      self.key = key
      self.transitions = transitions
    }
  }

  package struct ValueSet: Sendable {
    package var name: Text
    package var width: Int
    package var capacity: Int
    package init(name: Text, width: Int, capacity: Int) {
      self.name = name
      self.width = width
      self.capacity = capacity
    }
  }
}

// MARK: Calculations and externs

extension P4Program {
  package enum HashAlgorithm: Sendable, Equatable {
    case crc8, crc16, crc32, crcCCITT, csum16, identity, xor16, xor32, xxh64, toeplitz, random
    /// Reads its parameters at run time in BMv2; ours start as the plain CRC of that width.
    case crc8Custom, crc16Custom, crc32Custom, crc64Custom
  }

  package enum CalculationInput: Sendable {
    case field(FieldReference)
    /// Of a header found at run time.
    case indirectField(HeaderReference, field: Int)
    /// All fields of a header, nothing when it is invalid.
    case header(Int)
    case constant(WideInteger, width: Int)
    /// What follows the parsed headers.
    case payload
  }

  package struct Calculation: Sendable {
    package var name: Text
    package var algorithm: HashAlgorithm
    package var inputs: [CalculationInput]
    package init(name: Text, algorithm: HashAlgorithm, inputs: [CalculationInput]) {
      self.name = name
      self.algorithm = algorithm
      self.inputs = inputs
    }
  }

  package struct Checksum: Sendable {
    package var name: Text
    package var target: FieldReference
    package var calculation: Int
    package var verify: Bool
    package var update: Bool
    package var condition: Expression?
    package init(
      name: Text, target: FieldReference, calculation: Int, verify: Bool, update: Bool,
      condition: Expression?
    ) {
      self.name = name
      self.target = target
      self.calculation = calculation
      self.verify = verify
      self.update = update
      self.condition = condition
    }
  }

  /// What is carried over by resubmit, recirculate and clone.
  package struct FieldList: Sendable {
    package var id: Int
    package var name: Text
    package var fields: [FieldReference]
    package init(id: Int, name: Text, fields: [FieldReference]) {
      self.id = id
      self.name = name
      self.fields = fields
    }
  }

  /// What a digest holds.
  package struct LearnList: Sendable {
    package var id: Int
    package var name: Text
    package var elements: [KeyPart]
    package init(id: Int, name: Text, elements: [KeyPart]) {
      self.id = id
      self.name = name
      self.elements = elements
    }
  }

  package struct CounterArray: Sendable {
    package var name: Text
    package var size: Int
    /// The table whose entries it counts.
    package var directTable: Int?
    package init(name: Text, size: Int, directTable: Int? = nil) {
      self.name = name
      self.size = size
      self.directTable = directTable
    }
  }

  package struct MeterArray: Sendable {
    package var name: Text
    package var size: Int
    package var countsBytes: Bool
    package var rateCount = 2
    package var directTable: Int?
    /// Where a direct meter puts the colour.
    package var result: FieldReference?
    package init(name: Text, size: Int, countsBytes: Bool) {
      self.name = name
      self.size = size
      self.countsBytes = countsBytes
    }
  }

  package struct RegisterArray: Sendable {
    package var name: Text
    package var size: Int
    package var width: Int
    package init(name: Text, size: Int, width: Int) {
      self.name = name
      self.size = size
      self.width = width
    }
  }
}

// MARK: Tables and control flow

extension P4Program {
  package enum MatchKind: CaseIterable, Sendable, Equatable {
    case exact, lpm, ternary, range, optional
    /// A header's validity as key (`valid`).
    case valid
  }

  package struct TableKey: Sendable {
    package var name: Text
    package var kind: MatchKind
    package var value: Expression
    package var width: Int
    /// Anded with the value before matching.
    package var mask: WideInteger?
    package init(name: Text, kind: MatchKind, value: Expression, width: Int, mask: WideInteger?) {
      self.name = name
      self.kind = kind
      self.value = value
      self.width = width
      self.mask = mask
    }
  }

  /// Where control goes next.
  package enum Node: Sendable, Equatable {
    /// Index into `tables`.
    case table(Int)
    /// Index into the control's `conditionals`.
    case conditional(Int)
    /// Index into the control's `calls`.
    case call(Int)
    case end
  }

  package struct Conditional: Sendable {
    package var name: Text
    package var condition: Expression
    package var whenTrue: Node
    package var whenFalse: Node
    package init(name: Text, condition: Expression, whenTrue: Node, whenFalse: Node) {
      self.name = name
      self.condition = condition
      self.whenTrue = whenTrue
      self.whenFalse = whenFalse
    }
  }

  /// An action run without a table (`action_calls`).
  package struct ActionCall: Sendable {
    package var name: Text
    package var action: Int
    package var next: Node
    package init(name: Text, action: Int, next: Node) {
      self.name = name
      self.action = action
      self.next = next
    }
  }

  package struct Control: Sendable {
    package var first: Node = .end
    package var conditionals: [Conditional] = []
    package var calls: [ActionCall] = []
    package init() {}
  }

  package enum Storage: Sendable, Equatable {
    case direct
    /// Entries name a member of the profile.
    case profile(Int)
    /// Entries name a member or a group of the profile, which then has a selector.
    case selector(Int)
  }

  package struct ActionEntry: Sendable {
    /// Index into `actions`.
    package var action: Int
    package var arguments: [WideInteger]
    package init(action: Int, arguments: [WideInteger]) {
      self.action = action
      self.arguments = arguments
    }
  }

  /// One key of an entry, by the kind of its key.
  package enum KeyMatch: Sendable, Equatable {
    case exact(WideInteger)
    case lpm(WideInteger, length: Int)
    case ternary(WideInteger, mask: WideInteger)
    case range(WideInteger, WideInteger)
    /// nil: anything.
    case optional(WideInteger?)
    case valid(Bool)
  }

  package struct ConstantEntry: Sendable {
    package var keys: [KeyMatch]
    package var action: ActionEntry
    /// Smallest wins (JSON and Thrift); P4Runtime turns it round.
    package var priority: Int
    package init(keys: [KeyMatch], action: ActionEntry, priority: Int) {
      self.keys = keys
      self.action = action
      self.priority = priority
    }
  }

  package struct Table: Sendable {
    package var name: Text
    package var isIngress = true
    /// Empty: the default action runs for every packet.
    package var keys: [TableKey] = []
    package var kind: MatchKind = .exact
    package var storage: Storage = .direct
    package var capacity = 0
    /// Indices into `actions`.
    package var actions: [Int] = []
    /// For each of `actions`, where control goes after it; used when hit and miss do not decide.
    package var nextByAction: [Node] = []
    package var nextOnHit: Node?
    package var nextOnMiss: Node?
    /// Where control goes when there is no default action (`base_default_next`).
    package var nextByDefault: Node = .end
    package var defaultEntry: ActionEntry?
    /// Neither the action nor its arguments may be changed.
    package var isDefaultConstant = false
    /// The action may not be changed, its arguments may unless `isDefaultConstant`.
    package var isDefaultActionConstant = false
    package var areEntriesConstant = false
    package var entries: [ConstantEntry] = []
    package var supportsTimeout = false
    package var directCounter: Int?
    package var directMeter: Int?
    package init(name: Text) { self.name = name }
  }

  package struct ActionProfile: Sendable {
    package var name: Text
    package var capacity: Int
    /// The hash that picks a member of a group, and its inputs.
    package var selector: Calculation?
    package init(name: Text, capacity: Int, selector: Calculation?) {
      self.name = name
      self.capacity = capacity
      self.selector = selector
    }
  }
}
