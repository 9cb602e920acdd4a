package import DPUCore

/// The programs and maps of an object file as `clang -target bpf` writes it, or one program given
/// as bare bytecode.
///
/// Each program is one piece: the entry first, the functions that it calls behind it. Wide loads
/// that mean a map name it by its place in `maps` (`WideLoadKind.mapByIndex`, `mapValueByIndex`).
package struct ProgramObject: Equatable, Sendable {
  package struct Program: Equatable, Sendable {
    package var name: Text
    package var section: Text
    package var instructions: [Instruction]
    /// Where its functions begin, the entry at 0.
    package var functions: [Function] = []

    package init(
      name: Text, section: Text, instructions: [Instruction], functions: [Function] = []
    ) {
      self.name = name
      self.section = section
      self.instructions = instructions
      self.functions = functions
    }

    /// The function that begins at `slot`.
    package func function(at slot: Int) -> Text? {
      for function in functions where function.slot == slot { return function.name }
      return nil
    }
  }

  package struct Function: Equatable, Sendable {
    package var name: Text
    package var slot: Int
  }

  package var programs: [Program]
  package var maps: [MapDeclaration] = []

  /// A program without a file around it.
  package init(name: Text, _ instructions: [Instruction]) {
    programs = [Program(name: name, section: name, instructions: instructions)]
  }

  /// Reads an object file, or bytecode when `bytes` is no ELF file.
  package init(_ bytes: RawSpan, name: Text) throws(ObjectFault) {
    guard bytes.byteCount <= HBPFLimits.objectBytes else {
      throw ObjectFault(name, "has more than \(HBPFLimits.objectBytes) bytes")
    }
    if ELFFile.isELF(bytes) {
      let reader = try ObjectReader(bytes)
      programs = try reader.programs()
      maps = reader.maps
    } else {
      guard bytes.byteCount > 0, bytes.byteCount % Instruction.byteCount == 0 else {
        throw ObjectFault(
          name,
          "no ELF file, and \(bytes.byteCount) bytes are no whole number of instructions of 8")
      }
      programs = [
        Program(name: name, section: name, instructions: Self.instructions(bytes))
      ]
    }
  }

  /// The program with this name or of this section; without one the only program there is.
  package func program(_ name: Text?) throws(ObjectFault) -> Program {
    if let name {
      for program in programs where program.name == name || program.section == name {
        return program
      }
    } else if programs.count == 1 {
      return programs[0]
    }
    var names = Text()
    for program in programs {
      names.append(names.isEmpty ? program.name : ", \(program.name)")
    }
    if let name { throw ObjectFault("programs", "there is no \(name); there are: \(names)") }
    throw ObjectFault("programs", "there are several, one must be named: \(names)")
  }

  /// `bytes` must hold whole instructions.
  static func instructions(_ bytes: RawSpan) -> [Instruction] {
    var result: [Instruction] = []
    result.reserveCapacity(bytes.byteCount / Instruction.byteCount)
    for at in stride(from: 0, to: bytes.byteCount, by: Instruction.byteCount) {
      result.append(Instruction(bytes, at: at))
    }
    return result
  }
}
