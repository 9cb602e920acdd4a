/// What the port numbers of a pipeline's program stand for.
struct PipelinePorts {
  let pipeline: String
  /// `uplink`, `host`, `stack`, `cpu`.
  private let numbers: [String: Int]

  /// Asks the firmware. `name`: nil for the only pipeline there is.
  init(of name: String?, from firmware: FirmwareConnection) throws {
    let rows = try firmware.call("p4.list")["pipelines"].elements
    let matching = rows.filter { name == nil || $0["name"] == .string(name ?? "") }
    guard let row = matching.first, matching.count == 1 else {
      throw Failure.refused(
        name.map { "there is no pipeline \($0)" }
          ?? "there are \(rows.count) pipelines; --pipeline names one")
    }
    pipeline = row["name"].cell
    var numbers: [String: Int] = [:]
    for member in row["ports"].members { numbers[member.value.cell] = Int(member.key) }
    self.numbers = numbers
  }

  subscript(end: String) -> Int? { numbers[end] }

  /// Ports that frames come from and go to: not the CPU port.
  var data: [Int] { numbers.filter { $0.key != "cpu" }.values.sorted() }

  /// A number that stands for nothing.
  func unused() throws -> Int {
    let taken = Set(numbers.values)
    guard let number = (0...510).last(where: { !taken.contains($0) }) else {
      throw Failure.refused("the pipeline \(pipeline) uses all its ports")
    }
    return number
  }

  /// `uplink`, or a number.
  func number(_ word: String) throws -> Int {
    if let number = Int(word) { return number }
    guard let number = numbers[word] else {
      throw Failure.refused("the pipeline \(pipeline) has no port \(word)")
    }
    return number
  }

  func cpu() throws -> Int {
    guard let number = numbers["cpu"] else {
      throw Failure.refused("the pipeline \(pipeline) has no CPU port")
    }
    return number
  }
}
