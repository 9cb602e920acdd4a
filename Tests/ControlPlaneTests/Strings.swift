import DPUCore

@testable import ControlPlane

extension Text {
  init(_ string: String) { self.init(bytes: Array(string.utf8)) }
  var string: String { String(decoding: bytes, as: UTF8.self) }
}

func parse(_ string: String) throws(ConfigurationError) -> Configuration {
  let bytes = Array(string.utf8)
  return try Configuration.parse(bytes.span.bytes)
}

/// What `--check-config` would print for `string`, nil when it is accepted.
func complaint(about string: String) -> String? {
  do {
    _ = try parse(string)
    return nil
  } catch {
    return error.text(file: "f").string
  }
}
