import DPUCore
import JSONText

/// Reads a program for the v1model architecture as `p4c-bm2-ss` writes it (BMv2 JSON, version 2)
/// and checks all of it: whatever `load` returns can be compiled without another look at the text.
///
/// The work is split by what is read: headers, expressions, statements, parser, externs, tables.
/// Each part may name only what earlier parts have made known, in the order of `read`.
package struct ProgramLoader {
  var program = P4Program()

  // What names stand for, each an index into an array of `program` unless said otherwise.
  var types: [HeaderType] = []
  /// Index into `types`.
  var typeNames = NameTable()
  var unionTypes: [UnionType] = []
  /// Index into `unionTypes`.
  var unionTypeNames = NameTable()
  var headerNames = NameTable()
  var headerIDs = NameTable()
  /// The type of each header, index into `types`.
  var typeOfHeader: [Int] = []
  var stackNames = NameTable()
  var unionNames = NameTable()
  var unionIDs = NameTable()
  /// The type of each union, index into `unionTypes`.
  var typeOfUnion: [Int] = []
  var unionStackNames = NameTable()
  var aliasNames = NameTable()
  var calculationNames = NameTable()
  var counterNames = NameTable()
  var meterNames = NameTable()
  var registerNames = NameTable()
  var valueSetNames = NameTable()
  var fieldListIDs = NameTable()
  var learnListIDs = NameTable()
  var actionIDs = NameTable()
  /// The first action of that name; `NoAction` may stand for several.
  var actionNames = NameTable()
  var profileNames = NameTable()
  var tableNames = NameTable()
  /// Direct counters and meters and where the text names their table.
  var counterBindings: [(counter: Int, table: ProgramNode)] = []
  var meterBindings: [(meter: Int, table: ProgramNode)] = []

  // What has been used of `ProgramLimits`.
  var fieldCount = 0
  var headersBits = 0
  var statementCount = 0
  var expressionNodeCount = 0
  var tablesBytes = 0

  private init() {}

  /// The program in `text`. What is refused is refused with its place.
  package static func load(_ text: RawSpan) throws(ProgramError) -> P4Program {
    guard text.byteCount <= ProgramLimits.textBytes else {
      throw ProgramError(
        path: "$",
        message:
          "must be at most \(ProgramLimits.textBytes) bytes long, is \(text.byteCount)",
        position: TextPosition(of: 0, in: text))
    }
    if let excess = Self.excess(in: text) {
      throw ProgramError(
        path: "$", message: excess.message, position: TextPosition(of: excess.offset, in: text))
    }
    let root: JSONNode
    do throws(JSONDocument.Failure) {
      root = try JSONDocument.parse(text)
    } catch {
      throw ProgramError(
        path: "$", message: "must be JSON: \(error.reason)",
        position: TextPosition(of: error.offset, in: text))
    }
    var loader = ProgramLoader()
    do throws(ProgramProblem) {
      try loader.read(ProgramNode(json: root, place: ProgramPlace()))
    } catch {
      let path = error.place.path
      var locator = JSONLocator(text)
      let offset = locator.locate(path, key: error.atKey)
      throw ProgramError(
        path: path.text, message: error.message, position: TextPosition(of: offset, in: text))
    }
    return loader.program
  }

  private mutating func read(_ root: ProgramNode) throws(ProgramProblem) {
    let object = try root.object()
    try checkVersion(object)
    try readErrorsAndEnums(object)
    try readHeaderTypes(object)
    try readHeaders(object)
    try readStacksAndUnions(object)
    try readAliases(object)
    try readCalculations(object)
    try readCounters(object)
    try readMeters(object)
    try readRegisters(object)
    try readFieldLists(object)
    try readLearnLists(object)
    try refuseExterns(object)
    try readActions(object)
    try readPipelines(object)
    try bindDirectExterns()
    try readValueSets(object)
    try readParser(object)
    try readDeparser(object)
    try readChecksums(object)
  }

  /// Texts without a version are older than the key.
  private func checkVersion(_ root: ProgramObject) throws(ProgramProblem) {
    guard let meta = root.present("__meta__"),
      let version = try meta.object().present("version")
    else { return }
    let numbers = try version.elements(2...2)
    let major = try numbers[0].integer(0...Int(Int32.max))
    let minor = try numbers[1].integer(0...Int(Int32.max))
    guard major == 2 else {
      throw version.problem("format version must be 2, is \(major).\(minor)")
    }
  }

  private mutating func readErrorsAndEnums(_ root: ProgramObject) throws(ProgramProblem) {
    program.errors = try namedValues(root.list("errors", 0...ProgramLimits.objects))
    var names = NameTable()
    for node in try root.list("enums", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let type = try P4Program.EnumType(
        name: name.name(),
        entries: namedValues(object.required("entries").elements(0...ProgramLimits.objects)))
      try claim(type.name, in: &names, program.enums.count, name, "enum")
      program.enums.append(type)
    }
  }

  private func namedValues(
    _ nodes: [ProgramNode]
  ) throws(ProgramProblem) -> [P4Program.NamedValue] {
    var values: [P4Program.NamedValue] = []
    for node in nodes {
      let pair = try node.elements(2...2)
      values.append(
        P4Program.NamedValue(
          name: try pair[0].name(), value: UInt64(try pair[1].integer(0...Int(Int32.max)))))
    }
    return values
  }

  /// v1model has none, so there is nothing that could run them.
  private func refuseExterns(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.list("extern_instances", 0...ProgramLimits.objects) {
      let type = try node.object().required("type")
      throw type.problem("unknown extern type \(quoted(try type.string()))")
    }
  }

  /// Gives `name` to `index`; a name that is taken is refused at `node`.
  func claim(
    _ name: Text, in table: inout NameTable, _ index: Int, _ node: ProgramNode, _ noun: StaticString
  ) throws(ProgramProblem) {
    guard table.insert(name, index) else {
      throw node.problem("there is another \(noun) \(quoted(name))")
    }
  }

  func claim(
    id node: ProgramNode, in table: inout NameTable, _ index: Int, _ noun: StaticString
  ) throws(ProgramProblem) -> Int {
    let id = try node.integer(0...Int(Int32.max))
    guard table.insert(id: id, index) else {
      throw node.problem("there is another \(noun) with id \(id)")
    }
    return id
  }

  /// What `node` names.
  func find(
    _ node: ProgramNode, in table: borrowing NameTable, _ noun: StaticString
  ) throws(ProgramProblem) -> Int {
    let name = try node.name()
    guard let index = table.find(name) else {
      throw node.problem("unknown \(noun) \(quoted(name))")
    }
    return index
  }

  /// Where the text has more objects or values than it may, found before they are made.
  private static func excess(in text: RawSpan) -> (offset: Int, message: Text)? {
    var containers = 0
    var values = 1
    var inString = false
    var index = 0
    while index < text.byteCount {
      let byte = text.byte(at: index)
      if inString {
        if byte == UInt8(ascii: "\\") { index += 1 }
        if byte == UInt8(ascii: "\"") { inString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): inString = true
        case UInt8(ascii: ","): values += 1
        case UInt8(ascii: "{"), UInt8(ascii: "["):
          containers += 1
          values += 1
        default: break
        }
        if containers > ProgramLimits.containers {
          return (
            index, "must have at most \(ProgramLimits.containers) objects and arrays"
          )
        }
        if values > ProgramLimits.values {
          return (index, "must have at most \(ProgramLimits.values) values")
        }
      }
      index += 1
    }
    return nil
  }
}
