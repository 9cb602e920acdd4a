import DPUCore

/// Turns a checked program into code for the machine. Everything happens at load time, with plain
/// arrays and one object that the stages pass on:
///
/// 1. layout: where each field lives (`Compilation+Layout`);
/// 2. lowering: parser, actions, controls and checksums become blocks of instructions over
///    registers of which there are as many as wanted (`Lower…`);
/// 3. passes: what is known at load time is taken out, neighbours are fused, what nobody reads goes
///    (`Pass…`);
/// 4. order: blocks in topological order, serial regions (`Order`);
/// 5. registers: the few lanes, masks and wide slots that are needed at once (`Allocation`).
package enum Compiler {
  package static func compile(_ program: P4Program) throws(CompileError) -> PipelineCode {
    let compilation = Compilation(program)
    try compilation.layOut()
    try compilation.lowerCalculations()
    try compilation.lowerParser()
    try compilation.lowerChecksums()
    try compilation.lowerControl(isIngress: true)
    try compilation.lowerControl(isIngress: false)
    try compilation.lowerUpdates()
    compilation.optimise()
    try compilation.orderBlocks()
    try compilation.allocateRegisters()
    return try compilation.finish()
  }
}

/// A program on its way to code. Registers are virtual until `allocateRegisters`: a lane, mask or
/// wide number stands for one value and never for two.
final class Compilation {
  let program: P4Program
  var code = PipelineCode()

  // The graph. Control instructions name blocks by their index here; block 0 does not exist for
  // anybody, so that a forgotten target is seen.
  var blocks: [GraphBlock] = [GraphBlock(.parser)]
  /// Cases of `select` instructions, which name their run by `b` and `c`.
  var selectCases: [PipelineCode.SelectCase] = []
  var entries = [Int](repeating: 0, count: SectionKind.allCases.count)

  // Registers
  var laneCount = 0
  var maskCount = 0
  var wideCount = 0
  var laneNames: [Text] = []
  var maskNames: [Text] = []
  /// Lanes from here on are temporaries of the lowering.
  var stateLanes = 0
  var stateMasks = 0
  /// Bits that the widest computation needs.
  var wideBits = 0
  /// Wide constants before the number of limbs is known; `wideConstant` names them by index.
  var wideConstants: [WideInteger] = []

  // Layout
  /// Metadata of more than 64 bits: their bits of the header bytes, for liveness.
  var wideFields: [Range<Int>] = []
  /// Headers of which a field may be read while they are invalid: new packets find zeros there, and
  /// not what the last packet has left. Those with which the parser does so stand in both.
  var staleHeaders = BitSet(count: 0)
  var parserStaleHeaders = BitSet(count: 0)
  /// By header and field.
  var places: [[PipelineCode.FieldPlace]] = []
  var cursorLane = 0
  var lengthLane = 0
  var parserErrorLane: Int?
  /// Header or stack of unions, see `stackCode(union:)`.
  var nextLanes: [Int] = []

  /// Instructions so far, those included that passes will remove.
  var emitted = 0

  // Where lowering stands
  var current = 0
  var mark = PipelineCode.Mark()
  var parser = ParserContext()
  var parameters = ParameterSource.none
  var section = SectionKind.parser

  /// The final order: position of each block, and serial regions in it.
  var order: [Int] = []
  var regions: [PipelineCode.SerialRegion] = []

  init(_ program: P4Program) { self.program = program }
}

enum SectionKind: Int, CaseIterable {
  case parser, verify, ingress, egress, update
}

/// Instructions without a jump inside; the last is the control instruction, once complete.
struct GraphBlock {
  var section: SectionKind
  var instructions: [Instruction] = []
  var marks: [PipelineCode.Mark] = []
  init(_ section: SectionKind) { self.section = section }
}

/// What is known about the packet's position while a parser state is lowered.
struct ParserContext: Equatable {
  /// Bytes from the start of the packet; nil: the cursor lane says.
  var cursor: Int? = 0
  /// To be added to the cursor lane when `cursor` is nil.
  var ahead = 0
  /// `next` of each stack where it is known.
  var next: [Int?] = []
}

/// Where the parameters of the action that is being lowered come from.
enum ParameterSource {
  case none
  /// Record lane, table, and word of each parameter after the action number.
  case record(lane: Int, table: Int, words: [Int], widths: [Int])
  case constants([WideInteger])
}

// MARK: Building

extension Compilation {
  func newBlock() -> Int {
    blocks.append(GraphBlock(section))
    return blocks.count - 1
  }

  func newLane() -> Int {
    laneCount += 1
    return laneCount - 1
  }

  func newMask() -> Int {
    maskCount += 1
    return maskCount - 1
  }

  func newWide() -> Int {
    wideCount += 1
    return wideCount - 1
  }

  func emit(_ instruction: Instruction) {
    emitted += 1
    blocks[current].instructions.append(instruction)
    blocks[current].marks.append(mark)
  }

  /// Ends the current block.
  func jump(to block: Int) { emit(Instruction(.jump, d: block)) }

  func finishBlock() { emit(Instruction(.finish)) }

  func branch(_ condition: Condition, then: Int, otherwise: Int) {
    switch condition {
    case .constant(let value): jump(to: value ? then : otherwise)
    case .mask(let mask):
      if then == otherwise {
        jump(to: then)
      } else {
        emit(Instruction(.branch, a: mask, b: then, c: otherwise))
      }
    }
  }

  /// Called for every statement: elements of stacks that are found at run time multiply it.
  func checkSize() throws(CompileError) {
    guard blocks.count <= CodeLimits.blocks else {
      throw failure("more than \(CodeLimits.blocks) blocks")
    }
    guard emitted <= CodeLimits.instructions else {
      throw failure("more than \(CodeLimits.instructions) instructions")
    }
  }

  func failure(_ message: Text) -> CompileError { CompileError(markName, message) }

  /// Of what is being lowered, for errors.
  var markName: Text {
    let index = Int(mark.index)
    switch mark.place {
    case .state: return program.states[index].name
    case .action: return program.actions[index].name
    case .table: return program.tables[index].name
    case .checksum: return program.checksums[index].name
    case .conditional:
      let control = mark.isIngress ? program.ingress : program.egress
      return control.conditionals[index].name
    case .deparser: return "deparser"
    case .none: return ""
    }
  }
}

/// The value of a boolean expression: known, or a mask register.
enum Condition: Equatable {
  case constant(Bool)
  case mask(Int)
}

/// The value of an expression modulo 2^64: known, or a lane.
enum Number: Equatable {
  case constant(UInt64)
  case lane(Int)
}
