import DPUCore

@testable import P4Pipelines

/// Parts of a program as short text, so that a test can say what it expects.
struct Description {
  let program: P4Program

  func text(_ reference: P4Program.FieldReference) -> String {
    let header = program.headers[reference.header]
    return "\(header.name.string).\(header.fields[reference.field].name.string)"
  }

  func text(_ reference: P4Program.HeaderReference) -> String {
    switch reference {
    case .header(let header): program.headers[header].name.string
    case .stackNext(let stack): "\(program.stacks[stack].name.string).next"
    case .stackLast(let stack): "\(program.stacks[stack].name.string).last"
    case .stackElement(let stack, let index): "\(program.stacks[stack].name.string)[\(text(index))]"
    case .unionStackNext(let stack, let member):
      "\(program.unionStacks[stack].name.string).next.\(member)"
    case .unionStackLast(let stack, let member):
      "\(program.unionStacks[stack].name.string).last.\(member)"
    case .unionStackElement(let stack, let index, let member):
      "\(program.unionStacks[stack].name.string)[\(text(index))].\(member)"
    }
  }

  func field(_ index: Int, of reference: P4Program.HeaderReference) -> String {
    let sample: Int
    switch reference {
    case .header(let header): sample = header
    case .stackNext(let stack), .stackLast(let stack), .stackElement(let stack, _):
      sample = program.stacks[stack].elements[0]
    case .unionStackNext(let stack, let member), .unionStackLast(let stack, let member),
      .unionStackElement(let stack, _, let member):
      sample = program.unions[program.unionStacks[stack].elements[0]].members[member]
    }
    return "\(text(reference)).\(program.headers[sample].fields[index].name.string)"
  }

  func text(_ destination: P4Program.Destination) -> String {
    switch destination {
    case .field(let reference): text(reference)
    case .indirect(let header, let index): field(index, of: header)
    }
  }

  func text(_ expression: P4Program.Expression) -> String {
    switch expression {
    case .constant(let value): value.hexadecimal.string
    case .boolean(let value): "\(value)"
    case .field(let reference): text(reference)
    case .indirectField(let header, let index): field(index, of: header)
    case .parameter(let index): "$\(index)"
    case .isValid(let header): "\(text(header)).isValid"
    case .isUnionValid(let union): "\(program.unions[union].name.string).isValid"
    case .isUnionElementValid(let stack, let index):
      "\(program.unionStacks[stack].name.string)[\(text(index))].isValid"
    case .lastStackIndex(let stack): "\(program.stacks[stack].name.string).lastIndex"
    case .stackSize(let stack): "\(program.stacks[stack].name.string).size"
    case .lastUnionStackIndex(let stack): "\(program.unionStacks[stack].name.string).lastIndex"
    case .unionStackSize(let stack): "\(program.unionStacks[stack].name.string).size"
    case .unary(let name, let value): "\(name)(\(text(value)))"
    case .binary(let name, let left, let right): "\(name)(\(text(left)), \(text(right)))"
    case .conditional(let condition, let then, let otherwise):
      "(\(text(condition)) ? \(text(then)) : \(text(otherwise)))"
    case .lookahead(let offset, let width): "lookahead(\(offset), \(width))"
    case .register(let register, let index):
      "\(program.registers[register].name.string)[\(text(index))]"
    case .headersEqual(let a, let b): "\(text(a)) == \(text(b))"
    case .stacksEqual(let a, let b):
      "\(program.stacks[a].name.string) == \(program.stacks[b].name.string)"
    case .unionsEqual(let a, let b):
      "\(program.unions[a].name.string) == \(program.unions[b].name.string)"
    }
  }

  func text(_ statement: P4Program.Primitive) -> String {
    switch statement {
    case .assign(let target, let value): "\(text(target)) = \(text(value))"
    case .assignVariable(let target, let source): "\(text(target)) =* \(text(source))"
    case .assignHeader(let to, let from): "\(text(to)) = \(text(from))"
    case .assignStack(let to, let from): "stack \(to) = \(from)"
    case .assignUnion(let to, let from): "union \(to) = \(from)"
    case .assignUnionStack(let to, let from): "unions \(to) = \(from)"
    case .setValid(let header): "\(text(header)).setValid"
    case .setInvalid(let header): "\(text(header)).setInvalid"
    case .pushFront(let stack, let count): "push \(stack) \(count)"
    case .popFront(let stack, let count): "pop \(stack) \(count)"
    case .pushFrontUnions(let stack, let count): "push unions \(stack) \(count)"
    case .popFrontUnions(let stack, let count): "pop unions \(stack) \(count)"
    case .hash(let target, let base, let calculation, let max):
      "\(text(target)) = hash \(calculation) \(text(base)) \(text(max))"
    case .count(let counter, let index): "count \(counter) \(text(index))"
    case .executeMeter(let meter, let index, let target):
      "\(text(target)) = meter \(meter) \(text(index))"
    case .registerRead(let target, let register, let index):
      "\(text(target)) = register \(register) \(text(index))"
    case .registerWrite(let register, let index, let value):
      "register \(register) \(text(index)) = \(text(value))"
    case .random(let target, let low, let high):
      "\(text(target)) = random \(text(low)) \(text(high))"
    case .digest(let receiver, let list): "digest \(text(receiver)) \(list)"
    case .markToDrop: "drop"
    case .cloneIngress(let session, let list): "clone ingress \(text(session)) \(optional(list))"
    case .cloneEgress(let session, let list): "clone egress \(text(session)) \(optional(list))"
    case .resubmit(let list): "resubmit \(optional(list))"
    case .recirculate(let list): "recirculate \(optional(list))"
    case .truncate(let length): "truncate \(text(length))"
    case .exit: "exit"
    case .jump(let target): "jump \(target)"
    case .jumpIfZero(let condition, let target): "unless \(text(condition)) jump \(target)"
    case .log(let format, let arguments):
      "log \(format.string) \(arguments.map { text($0) }.joined(separator: ", "))"
    case .assert(let condition): "assert \(text(condition))"
    case .assume(let condition): "assume \(text(condition))"
    case .nothing: "nothing"
    }
  }

  func text(_ operation: P4Program.ParserOperation) -> String {
    switch operation {
    case .extract(let header): "extract \(text(header))"
    case .extractVariable(let header, let bits): "extract \(text(header)) \(text(bits))"
    case .set(let target, let value): "\(text(target)) = \(text(value))"
    case .verify(let condition, let error): "verify \(text(condition)) \(text(error))"
    case .advance(let bits): "advance \(text(bits))"
    case .shift(let bytes): "shift \(bytes)"
    case .primitive(let statement): text(statement)
    }
  }

  private func optional(_ list: Int?) -> String { list.map { "\($0)" } ?? "none" }
}
