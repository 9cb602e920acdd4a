import DPUCore

/// A compiled program as plain memory: the arrays of `PipelineCode`, flattened, so that running it
/// touches no reference. Nothing here changes after it is made.
@safe
struct CodeImage: ~Copyable {
  let instructions: RawArray<Instruction>
  let blocks: RawArray<PipelineCode.Block>
  let headers: RawArray<PipelineCode.HeaderCode>
  let stacks: RawArray<StackImage>
  let selectCases: RawArray<PipelineCode.SelectCase>
  let regions: RawArray<RegionImage>
  let segments: RawArray<PipelineCode.Segment>
  /// First those of `PipelineCode.plans`, then those of learn lists, calculations and tables.
  let plans: RawArray<PlanImage>
  let calculations: RawArray<CalculationImage>
  let tables: RawArray<TableImage>
  let fieldLists: RawArray<FieldListImage>
  let places: RawArray<PlaceImage>
  /// Lists of small numbers: headers of stacks, headers to extract or to emit, lanes to zero, action
  /// blocks.
  let numbers: RawArray<UInt32>
  let wideConstants: RawArray<UInt64>
  let constantBytes: RawArray<UInt8>
  let ranges: RawArray<PipelineCode.ByteRange>
  /// Per log: lanes of its arguments, in `numbers`.
  let logs: RawArray<Slice>

  /// Slices of `numbers` and `ranges`.
  let runHeaders: Slice
  /// Headers that are zeroed where the parser has not found them; see `PipelineCode.staleHeaders`.
  let zeroedHeaders: Slice
  let deparserOrder: Slice
  let zeroedLanes: Slice
  let zeroedBytes: Slice
  let zeroedLanesOfClones: Slice
  let zeroedBytesOfClones: Slice

  /// Index in `plans` of the first learn list.
  let firstLearnPlan: Int
  let learnCount: Int
  /// By `StandardField.rawValue`.
  let standard: InlineArray<16, PlaceImage>
  let errorLane: UInt32
  /// Bytes that keys and hash inputs take at most, the payload not counted.
  let gatherBytes: Int
  let hashesPayload: Bool
  /// By hash function: words of the tail of its input, for `ExternSet.setTails`.
  let tailWords: [Int]
  /// Bytes that the longest field list takes.
  let fieldListBytes: Int

  init(_ code: PipelineCode, _ program: P4Program) {
    var numbers: [UInt32] = []
    var ranges: [PipelineCode.ByteRange] = []
    func slice(_ values: [UInt32]) -> Slice {
      let slice = Slice(first: numbers.count, count: values.count)
      numbers += values
      return slice
    }
    func slice(_ values: [PipelineCode.ByteRange]) -> Slice {
      let slice = Slice(first: ranges.count, count: values.count)
      ranges += values
      return slice
    }

    var standard = InlineArray<16, PlaceImage>(repeating: .nowhere)
    for index in 0..<min(16, code.standard.count) {
      if let place = code.standard[index] { standard[index] = PlaceImage(place, code) }
    }
    let error = standard[StandardField.parserError.rawValue]
    let errorLane = error.kind == .lane ? error.index : Instruction.none

    let runHeaders = slice(code.runHeaders)
    let deparserOrder = slice(code.deparserOrder)
    let zeroedHeaders = slice(code.staleHeaders)
    // `begin` writes some standard lanes itself.
    let given: [StandardField] = [.ingressPort, .instanceType, .packetLength, .ingressTimestamp]
    let givenLanes = given.map { standard[$0.rawValue] }.filter { $0.kind == .lane }.map {
      $0.index
    }
    var zeroed = code.zeroedLanes.filter { !givenLanes.contains($0) && $0 != code.lengthLane }
    if !zeroed.contains(code.cursorLane) { zeroed.append(code.cursorLane) }
    let zeroedLanes = slice(zeroed)
    let zeroedBytes = slice(code.zeroedBytes)
    let zeroedLanesOfClones = slice(code.zeroedLanesOfClones)
    let zeroedBytesOfClones = slice(code.zeroedBytesOfClones)

    let stacks = code.stacks.map { stack in
      StackImage(
        count: stack.count, members: stack.members, headers: slice(stack.headers),
        nextLane: stack.nextLane)
    }
    let regions = code.serialRegions.map {
      RegionImage(
        first: UInt32($0.blocks.lowerBound), end: UInt32($0.blocks.upperBound),
        conflictLane: $0.conflictLane)
    }

    var segments: [PipelineCode.Segment] = []
    var plans: [PlanImage] = []
    func plan(_ plan: PipelineCode.GatherPlan) -> UInt32 {
      plans.append(
        PlanImage(
          segments: Slice(first: segments.count, count: plan.segments.count),
          isFixed: plan.isFixed, bytes: UInt32(plan.bytes)))
      segments += plan.segments
      return UInt32(plans.count - 1)
    }
    for each in code.plans { _ = plan(each) }
    let firstLearnPlan = plans.count
    for list in code.learnLists { _ = plan(list.plan) }
    var hashesPayload = false
    var tails = [Int](repeating: 0, count: program.calculations.count + program.profiles.count)
    func calculation(_ from: PipelineCode.CalculationCode) -> CalculationImage {
      if from.hasPayload { hashesPayload = true }
      var image = CalculationImage(
        function: UInt32(from.function), plan: plan(from.plan), hasPayload: from.hasPayload)
      let words = Self.tailWords(from.plan)
      // Selectors of one profile share a function.
      if words > 0, tails[from.function] == 0 || tails[from.function] == words {
        tails[from.function] = words
        image.tail = from.plan.segments[from.plan.segments.count - 1].source
        image.head = plans[Int(image.plan)]
        image.head.segments.count -= 1
        image.head.bytes -= UInt32(8 * words)
      }
      return image
    }
    var calculations: [CalculationImage] = []
    for each in code.calculations { calculations.append(calculation(each)) }
    var tables: [TableImage] = []
    for number in code.tables.indices {
      let table = code.tables[number]
      var image = TableImage()
      image.counts = program.tables[number].directCounter != nil
      image.meters = program.tables[number].directMeter != nil
      image.plan = plan(table.key)
      image.keyBytes = UInt32(table.keyBytes)
      image.hitMask = table.hitMask
      image.recordLane = table.recordLane
      image.entryLane = table.entryLane
      image.actionIndex = slice(table.actionIndex.map { UInt32($0) })
      image.actionBlocks = slice(table.actionBlocks)
      image.noActionBlock = table.noActionBlock
      if let place = table.meterResult { image.meterResult = PlaceImage(place, code) }
      if let selector = table.selector {
        image.selector = UInt32(calculations.count)
        calculations.append(calculation(selector))
      }
      tables.append(image)
    }
    let gatherBytes = plans.reduce(0) { max($0, Int($1.bytes)) }

    var places: [PlaceImage] = []
    var longest = 0
    let lists = code.fieldLists.map { list in
      let image = FieldListImage(
        places: Slice(first: places.count, count: list.fields.count))
      places += list.fields.map { PlaceImage($0, code) }
      longest = max(longest, list.fields.reduce(0) { $0 + PlaceImage($1, code).savedBytes })
      return image
    }
    let fieldListBytes = longest

    let logs = code.logs.map { slice($0.arguments) }

    instructions = RawArray(code.instructions)
    blocks = RawArray(code.blocks)
    headers = RawArray(code.headers)
    self.stacks = RawArray(stacks)
    selectCases = RawArray(code.selectCases)
    self.regions = RawArray(regions)
    self.segments = RawArray(segments)
    self.plans = RawArray(plans)
    self.calculations = RawArray(calculations)
    self.tables = RawArray(tables)
    fieldLists = RawArray(lists)
    self.places = RawArray(places)
    self.numbers = RawArray(numbers)
    wideConstants = RawArray(code.wideConstants)
    constantBytes = RawArray(
      [UInt8](repeating: 0, count: Self.constantPadding) + code.constantBytes)
    self.ranges = RawArray(ranges)
    self.logs = RawArray(logs)

    self.runHeaders = runHeaders
    self.zeroedHeaders = zeroedHeaders
    self.deparserOrder = deparserOrder
    self.zeroedLanes = zeroedLanes
    self.zeroedBytes = zeroedBytes
    self.zeroedLanesOfClones = zeroedLanesOfClones
    self.zeroedBytesOfClones = zeroedBytesOfClones
    self.firstLearnPlan = firstLearnPlan
    learnCount = code.learnLists.count
    self.standard = standard
    self.errorLane = errorLane
    self.gatherBytes = gatherBytes
    self.hashesPayload = hashesPayload
    tailWords = tails
    self.fieldListBytes = fieldListBytes
  }

  /// Words of header bytes that an input ends with, if they are enough to be hashed apart; else 0.
  private static func tailWords(_ plan: PipelineCode.GatherPlan) -> Int {
    guard plan.isFixed, let last = plan.segments.last, last.kind == .bytes,
      last.guardMask == Instruction.none, last.at % 8 == 0, last.bits % 64 == 0
    else { return 0 }
    let words = Int(last.bits / 64)
    return words >= HashTails.wordsMin && words <= HashTails.wordsMax ? words : 0
  }

  /// Reading bits looks at up to nine bytes that end with them.
  static let constantPadding = 16
}

// MARK: Elements

/// A part of one of the image's arrays.
struct Slice: BitwiseCopyable {
  var first: UInt32 = 0
  var count: UInt32 = 0
  init(first: Int = 0, count: Int = 0) {
    self.first = UInt32(first)
    self.count = UInt32(count)
  }
}

struct StackImage: BitwiseCopyable {
  var count: UInt32 = 0
  var members: UInt32 = 1
  var headers = Slice()
  var nextLane: UInt32 = 0
}

struct RegionImage: BitwiseCopyable {
  var first: UInt32 = 0
  var end: UInt32 = 0
  var conflictLane: UInt32 = Instruction.none
}

struct PlanImage: BitwiseCopyable {
  var segments = Slice()
  var isFixed = true
  var bytes: UInt32 = 0
}

struct CalculationImage: BitwiseCopyable {
  /// Number of the hash function in `ExternSet`.
  var function: UInt32 = 0
  var plan: UInt32 = 0
  var hasPayload = false
  /// Where the tail of the input lies in the header bytes; `none`: there is none.
  var tail: UInt32 = Instruction.none
  /// The plan without the tail.
  var head = PlanImage()
}

struct TableImage: BitwiseCopyable {
  var plan: UInt32 = 0
  var keyBytes: UInt32 = 0
  var hitMask: UInt32 = Instruction.none
  var recordLane: UInt32 = 0
  var entryLane: UInt32 = Instruction.none
  var actionIndex = Slice()
  var actionBlocks = Slice()
  var noActionBlock: UInt32 = 0
  /// Has a direct counter, a direct meter.
  var counts = false
  var meters = false
  var meterResult = PlaceImage.nowhere
  /// Index in `calculations`; `none`: no groups.
  var selector: UInt32 = Instruction.none
}

struct FieldListImage: BitwiseCopyable {
  var places = Slice()
}

/// Where a field's value lives: `PipelineCode.FieldPlace` as plain memory.
struct PlaceImage: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable { case lane, mask, bytes, variable, nowhere }
  var kind: Kind
  /// Lane, mask, bit, or header.
  var index: UInt32
  var width: UInt32

  static let nowhere = PlaceImage(kind: .nowhere, index: 0, width: 0)

  /// Whole bytes when saved with a field list; a varbit with its length before it.
  var savedBytes: Int { Int(width + 7) / 8 + (kind == .variable ? 4 : 0) }

  init(kind: Kind, index: UInt32, width: UInt32) {
    self.kind = kind
    self.index = index
    self.width = width
  }

  init(_ place: PipelineCode.FieldPlace, _ code: PipelineCode) {
    switch place {
    case .lane(let lane, let width):
      self.init(kind: .lane, index: lane, width: UInt32(width))
    case .mask(let mask):
      self.init(kind: .mask, index: mask, width: 1)
    case .bytes(let bit, let width):
      self.init(kind: .bytes, index: UInt32(bit), width: UInt32(width))
    case .variable(let header):
      self.init(
        kind: .variable, index: header, width: code.headers[Int(header)].variableBits)
    case .nowhere(let width):
      self.init(kind: .nowhere, index: 0, width: UInt32(width))
    }
  }
}
