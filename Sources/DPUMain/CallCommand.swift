import CLinux
import ControlPlane
import DPUCore
import JSONText

/// `dpu call METHOD [JSON]`: the firmware's own client, for a DPU that has no dpuctl.
enum CallCommand {
  private static let socket: Text = "/run/dpu/control.sock"
  private static let patience: UInt32 = 10_000

  /// `arguments` are those behind `call`. Returns the exit code: 0 answered, 1 called wrongly,
  /// 2 refused, 3 not reached.
  static func run(_ arguments: [Text]) -> Int32 {
    var path = socket
    var words = arguments
    if words.count >= 2, words[0] == "--socket" {
      path = words[1]
      words.removeFirst(2)
    }
    guard words.count == 1 || words.count == 2 else {
      return complain("usage: dpu call [--socket PATH] METHOD [JSON]", 1)
    }
    var request = JSONWriter()
    request.beginObject()
    request.member("jsonrpc", string: "2.0")
    request.member("id", 1)
    request.member("method", text: words[0])
    if words.count == 2 {
      let text = words[1]
      do throws(JSONDocument.Failure) {
        let parameters = try JSONDocument.parse(text.span)
        request.key("params")
        request.value(node: parameters)
      } catch {
        let position = TextPosition(of: error.offset, in: text.span)
        return complain(
          "the parameters are not JSON: \(position.line):\(position.column): \(error.reason)", 1)
      }
    }
    request.endObject()
    var line = request.text
    line.append(byte: UInt8(ascii: "\n"))
    return ask(path, line)
  }

  private static func ask(_ path: Text, _ line: Text) -> Int32 {
    // A reply and its line feed.
    var reply = [UInt8](repeating: 0, count: Limits.replyBytes + 1)
    let count = unsafe path.withCString { path in
      unsafe line.bytes.withUnsafeBufferPointer { line in
        unsafe reply.withUnsafeMutableBufferPointer { reply in
          unsafe clinux_service_ask(
            path, line.baseAddress!, line.count, reply.baseAddress!, reply.count, patience)
        }
      }
    }
    guard count >= 0 else { return complain("\(path): \(errorText(Int32(-count)))", 3) }
    reply.removeLast(reply.count - Int(count))
    guard let answer = try? JSONDocument.parse(Text(bytes: reply).span) else {
      return complain("\(path): the answer is no JSON; is this the firmware's socket?", 2)
    }
    for member in answer.members where member.key == "result" {
      member.node.json.printLine(to: 1)
      return 0
    }
    for member in answer.members where member.key == "error" {
      return complain(member.node.json, 2)
    }
    return complain("\(path): the answer has neither a result nor an error", 2)
  }

  private static func complain(_ text: Text, _ code: Int32) -> Int32 {
    ("dpu: \(text)" as Text).printLine(to: 2)
    return code
  }
}
