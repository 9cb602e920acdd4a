import DPUCore
import JSONText

// Types of headers and unions, their instances, stacks.

extension ProgramLoader {
  struct HeaderType {
    var name: Text
    var fields: [P4Program.Field] = []
    /// Index into `fields`.
    var fieldNames = NameTable()
    var width = 0
    var variableField: Int?
    /// How long the varbit is, in terms of the fields before it; an older way to say it.
    var length: ProgramNode?
  }

  struct UnionType {
    var name: Text
    /// Names of the members in this union and their types, index into `types`.
    var members: [(name: Text, type: Int)] = []
    var memberNames = NameTable()
  }

  mutating func readHeaderTypes(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.required("header_types").elements(0...ProgramLimits.headers) {
      let type = try headerType(node)
      try claim(
        type.name, in: &typeNames, types.count, node.object().required("name"), "header type")
      types.append(type)
    }
    for node in try root.list("header_union_types", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      var type = UnionType(name: try name.name())
      for member in try object.required("headers").elements(1...ProgramLimits.headers) {
        let pair = try member.elements(2...2)
        let memberName = try pair[0].name()
        try claim(memberName, in: &type.memberNames, type.members.count, pair[0], "member")
        type.members.append((memberName, try find(pair[1], in: typeNames, "header type")))
      }
      try claim(type.name, in: &unionTypeNames, unionTypes.count, name, "union type")
      unionTypes.append(type)
    }
  }

  private func headerType(_ node: ProgramNode) throws(ProgramProblem) -> HeaderType {
    let object = try node.object()
    var type = HeaderType(name: try object.required("name").name())
    type.length = object.present("length_exp")
    for field in try object.required("fields").elements(0...ProgramLimits.fields) {
      let parts = try field.elements(2...3)
      let name = try parts[0].name()
      try claim(name, in: &type.fieldNames, type.fields.count, parts[0], "field")
      var description = P4Program.Field(name: name, width: 0, offset: 0)
      if parts[1].json.kind == .string, try parts[1].string().isWord("*") {
        guard type.variableField == nil else {
          throw parts[1].problem("a header may have one field of variable length only")
        }
        type.variableField = type.fields.count
        description.isVariable = true
      } else {
        description.width = try parts[1].integer(1...ProgramLimits.fieldBits)
      }
      if parts.count > 2 { description.isSigned = try parts[2].flag() }
      type.width += description.width
      type.fields.append(description)
    }
    if let variable = type.variableField {
      let length = try object.required("max_length")
      let maximum = try length.integer(0...ProgramLimits.headerBits / 8)
      guard type.width % 8 == 0 else {
        throw node.problem(
          "the fields of fixed width have \(type.width) bits, which is no multiple of 8")
      }
      guard maximum * 8 >= type.width else {
        throw length.problem(
          """
          must be at least \(type.width / 8) bytes, which the fields of fixed width take, \
          is \(maximum)
          """)
      }
      type.fields[variable].width = maximum * 8 - type.width
      type.width = maximum * 8
    }
    var offset = 0
    for index in type.fields.indices {
      type.fields[index].offset = offset
      offset += type.fields[index].width
    }
    if let variable = type.variableField, type.fields[variable].offset % 8 != 0 {
      throw node.problem(
        "the field of variable length must start at a byte, starts at bit \(type.fields[variable].offset)"
      )
    }
    return type
  }

  mutating func readHeaders(_ root: ProgramObject) throws(ProgramProblem) {
    let list = try root.required("headers")
    for node in try list.elements(0...ProgramLimits.headers) {
      let object = try node.object()
      let name = try object.required("name")
      let typeNode = try object.required("header_type")
      let isMetadata = try object.required("metadata").boolean()
      let id = try object.required("id")
      if let union = unionTypeNames.find(try typeNode.name()),
        typeNames.find(try typeNode.name()) == nil
      {
        // p4c writes unions that are local variables as if they were headers, and then names
        // their members.
        _ = try claim(id: id, in: &headerIDs, -1, "header")
        try addUnion(name: name, type: union)
        continue
      }
      let type = try find(typeNode, in: typeNames, "header type")
      if !isMetadata { try checkWhole(type, node) }
      let number = try claim(id: id, in: &headerIDs, program.headers.count, "header")
      try addHeader(name.name(), type: type, isMetadata: isMetadata, id: number, name)
    }
    guard let standard = headerNames.find("standard_metadata"),
      program.headers[standard].isMetadata
    else {
      throw list.problem("must have an instance of metadata named \"standard_metadata\"")
    }
    program.standardMetadata = standard
    try checkStandardFields(list)
  }

  private func checkWhole(_ type: Int, _ node: ProgramNode) throws(ProgramProblem) {
    guard types[type].width % 8 == 0 else {
      throw node.problem(
        """
        header type \(quoted(types[type].name)) has \(types[type].width) bits, \
        which is no multiple of 8
        """)
    }
    guard types[type].width <= ProgramLimits.headerBits else {
      throw node.problem(
        """
        header type \(quoted(types[type].name)) has \(types[type].width) bits; \
        at most \(ProgramLimits.headerBits) are supported
        """)
    }
  }

  private mutating func addHeader(
    _ name: Text, type: Int, isMetadata: Bool, id: Int, _ node: ProgramNode
  ) throws(ProgramProblem) {
    fieldCount += types[type].fields.count
    headersBits += types[type].width
    guard program.headers.count < ProgramLimits.headers, fieldCount <= ProgramLimits.fields,
      headersBits <= ProgramLimits.headersBits
    else {
      throw node.problem(
        """
        all headers together may have \(ProgramLimits.headers) instances, \
        \(ProgramLimits.fields) fields and \(ProgramLimits.headersBits) bits
        """)
    }
    try claim(name, in: &headerNames, program.headers.count, node, "header")
    var header = P4Program.Header(
      name: name, typeName: types[type].name, fields: types[type].fields, width: types[type].width)
    header.isMetadata = isMetadata
    header.variableField = types[type].variableField
    header.id = id
    program.headers.append(header)
    typeOfHeader.append(type)
  }

  /// A union and its members, which the text does not list.
  private mutating func addUnion(name node: ProgramNode, type: Int) throws(ProgramProblem) {
    let name = try node.name()
    var members: [Int] = []
    for (index, member) in unionTypes[type].members.enumerated() {
      try checkWhole(member.type, node)
      try addHeader(
        "\(name).\(member.name)", type: member.type, isMetadata: false, id: -1, node)
      let header = program.headers.count - 1
      program.headers[header].union = program.unions.count
      program.headers[header].unionIndex = index
      members.append(header)
    }
    try claim(name, in: &unionNames, program.unions.count, node, "union")
    program.unions.append(P4Program.HeaderUnion(name: name, members: members))
    typeOfUnion.append(type)
  }

  mutating func readStacksAndUnions(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("header_stacks", 0...ProgramLimits.objects) {
      try readStack(node.object())
    }
    for node in try root.list("header_unions", 0...ProgramLimits.objects) {
      try readUnion(node.object())
    }
    for node in try root.list("header_union_stacks", 0...ProgramLimits.objects) {
      try readUnionStack(node.object())
    }
  }

  private mutating func readStack(_ object: ProgramObject) throws(ProgramProblem) {
    let name = try object.required("name")
    let type = try find(object.required("header_type"), in: typeNames, "header type")
    var elements: [Int] = []
    for id in try object.required("header_ids").elements(1...ProgramLimits.headers) {
      let header = try freeHeader(id)
      guard typeOfHeader[header] == type else {
        throw id.problem(
          """
          must be a header of type \(quoted(types[type].name)), is one of type \
          \(quoted(program.headers[header].typeName))
          """)
      }
      program.headers[header].stack = program.stacks.count
      program.headers[header].stackIndex = elements.count
      elements.append(header)
    }
    try checkSize(object, elements.count)
    try claim(name.name(), in: &stackNames, program.stacks.count, name, "header stack")
    program.stacks.append(P4Program.HeaderStack(name: try name.name(), elements: elements))
  }

  private mutating func readUnion(_ object: ProgramObject) throws(ProgramProblem) {
    let name = try object.required("name")
    let type = try find(object.required("union_type"), in: unionTypeNames, "union type")
    let list = try object.required("header_ids")
    var members: [Int] = []
    let count = unionTypes[type].members.count
    for id in try list.elements(count...count) {
      let header = try freeHeader(id)
      let wanted = unionTypes[type].members[members.count].type
      guard typeOfHeader[header] == wanted else {
        throw id.problem(
          """
          must be a header of type \(quoted(types[wanted].name)), is one of type \
          \(quoted(program.headers[header].typeName))
          """)
      }
      program.headers[header].union = program.unions.count
      program.headers[header].unionIndex = members.count
      members.append(header)
    }
    let id = try object.required("id")
    _ = try claim(id: id, in: &unionIDs, program.unions.count, "union")
    try claim(name.name(), in: &unionNames, program.unions.count, name, "union")
    program.unions.append(P4Program.HeaderUnion(name: try name.name(), members: members))
    typeOfUnion.append(type)
  }

  private mutating func readUnionStack(_ object: ProgramObject) throws(ProgramProblem) {
    let name = try object.required("name")
    let type = try find(object.required("union_type"), in: unionTypeNames, "union type")
    var elements: [Int] = []
    for node in try object.required("header_union_ids").elements(1...ProgramLimits.objects) {
      let id = try node.integer(0...Int(Int32.max))
      guard let union = unionIDs.find(id: id) else {
        throw node.problem("there is no union with id \(id)")
      }
      guard program.unions[union].stack == nil else {
        throw node.problem("union \(id) is part of another stack")
      }
      guard typeOfUnion[union] == type else {
        throw node.problem("must be a union of type \(quoted(unionTypes[type].name))")
      }
      program.unions[union].stack = program.unionStacks.count
      program.unions[union].stackIndex = elements.count
      elements.append(union)
    }
    try checkSize(object, elements.count)
    try claim(
      name.name(), in: &unionStackNames, program.unionStacks.count, name, "stack of unions")
    program.unionStacks.append(P4Program.UnionStack(name: try name.name(), elements: elements))
  }

  /// The header with that id, which no stack or union has claimed.
  private func freeHeader(_ node: ProgramNode) throws(ProgramProblem) -> Int {
    let id = try node.integer(0...Int(Int32.max))
    guard let header = headerIDs.find(id: id), header >= 0 else {
      throw node.problem("there is no header with id \(id)")
    }
    guard program.headers[header].stack == nil, program.headers[header].union == nil else {
      throw node.problem("header \(id) is part of another stack or union")
    }
    guard !program.headers[header].isMetadata else {
      throw node.problem("header \(id) is metadata")
    }
    return header
  }

  private func checkSize(_ object: ProgramObject, _ count: Int) throws(ProgramProblem) {
    guard let size = object.present("size") else { return }
    guard try size.integer(0...Int(Int32.max)) == count else {
      throw size.problem("must be \(count), the number of elements")
    }
  }

  mutating func readAliases(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("field_aliases", 0...ProgramLimits.fields) {
      let pair = try node.elements(2...2)
      let name = try pair[0].name()
      guard case .field(let field) = try fieldPlace(pair[1]) else {
        throw pair[1].problem("must be a field of its own, not the validity of a header")
      }
      // p4c repeats the list for each instance of the standard metadata.
      if let known = aliasNames.find(name) {
        program.aliases[known].field = field
      } else {
        _ = aliasNames.insert(name, program.aliases.count)
        program.aliases.append((name, field))
      }
    }
  }

  /// The switch reads and writes these itself, and counts on their widths.
  private func checkStandardFields(_ node: ProgramNode) throws(ProgramProblem) {
    for field in program.headers[program.standardMetadata].fields {
      for known in StandardField.allCases where field.name == Text(stringLiteral: known.name) {
        guard field.width == known.width, !field.isSigned, !field.isVariable else {
          throw node.problem(
            "standard_metadata.\(field.name) must be a bit<\(known.width)>")
        }
      }
    }
  }
}

extension StandardField {
  /// Bits, as v1model.p4 has them.
  fileprivate var width: Int {
    switch self {
    case .ingressPort, .egressSpec, .egressPort: 9
    case .instanceType, .packetLength, .enqueueTimestamp, .dequeueDelta, .parserError: 32
    case .enqueueDepth, .dequeueDepth: 19
    case .ingressTimestamp, .egressTimestamp: 48
    case .multicastGroup, .egressReplica: 16
    case .checksumError: 1
    case .priority: 3
    }
  }
}
