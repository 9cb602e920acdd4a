import DPUCore
import P4Pipelines

extension PipelineCode {
  /// What a `log_msg` has said: its format with the values in the places of `{}`.
  func text(of record: LogRecord) -> Text {
    guard logs.indices.contains(record.log) else { return Text() }
    let format = logs[record.log].format.bytes
    let count = min(logs[record.log].arguments.count, record.arguments.count)
    var text = Text()
    var argument = 0
    var index = 0
    while index < format.count {
      let isPlace =
        format[index] == UInt8(ascii: "{") && index + 1 < format.count
        && format[index + 1] == UInt8(ascii: "}")
      if isPlace, argument < count {
        text.append(record.arguments[argument])
        argument += 1
        index += 2
      } else {
        text.append(byte: format[index])
        index += 1
      }
    }
    return text
  }
}
