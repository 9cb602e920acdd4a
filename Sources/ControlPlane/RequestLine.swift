import DPUCore
import JSONText

/// One line of a client, parsed, and how many bytes of records belong to it.
///
/// Those follow directly behind the line feed and belong to the request whatever becomes of it: so
/// the connection stays in step when it is refused.
package struct RequestLine {
  enum Content {
    case json(JSONField)
    case failure(RPCError)
  }

  /// What follows behind the line feed.
  package enum Body: Equatable {
    /// 0 for a request without a body.
    case bytes(Int)
    /// A body is to come but nobody can say how long it is. What follows cannot be told apart, so
    /// the connection ends with the refusal.
    case unknown
  }

  let content: Content
  package let body: Body

  package init(_ line: RawSpan) {
    do throws(JSONDocument.Failure) {
      let root = JSONField(node: try JSONDocument.parse(line), path: JSONPath())
      content = .json(root)
      body = Self.body(announcedBy: root.node)
    } catch {
      let position = TextPosition(of: error.offset, in: line)
      content = .failure(RPCError(.parse, error.reason, position: position))
      body = .bytes(0)
    }
  }

  /// In an array of requests none may have a body; when some do, the client has sent them all.
  private static func body(announcedBy root: JSONNode) -> Body {
    if root.kind == .object { return body(of: root) }
    var sum = 0
    for element in root.elements where element.kind == .object {
      guard case .bytes(let count) = body(of: element) else { return .unknown }
      sum = sum > Int.max - count ? Int.max : sum + count
    }
    return .bytes(sum)
  }

  private static func body(of request: JSONNode) -> Body {
    var hasBody = false
    var announced: Body = .unknown
    for member in request.members {
      if member.key == "method", let text = member.node.text {
        hasBody = PipelineMethod.hasBody(named: text)
      } else if member.key == "params" {
        for parameter in member.node.members where parameter.key == "bytes" {
          if let count = parameter.node.integer, count >= 0 { announced = .bytes(Int(count)) }
        }
      }
    }
    return hasBody ? announced : .bytes(0)
  }
}
