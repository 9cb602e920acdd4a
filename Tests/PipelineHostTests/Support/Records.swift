import ControlPlane
import DPUCore
import P4Pipelines

@testable import PipelineHost

extension Bench {
  /// The program in the first pipeline.
  var program: P4Program { service.board.pipelines[0].loaded!.program }

  func table(_ name: String) -> Int {
    program.tables.firstIndex { String(decoding: $0.name.bytes, as: UTF8.self) == name }!
  }

  func action(_ name: String, of table: Int) -> Int {
    program.tables[table].actions.first {
      String(decoding: program.actions[$0].name.bytes, as: UTF8.self) == name
    }!
  }

  func record(_ update: TableUpdate) -> [UInt8] {
    var bytes: [UInt8] = []
    var widths: [Int] = []
    if case .action(let action, _) = update.action {
      widths = program.actions[action].parameters.map { $0.width }
    }
    update.append(
      to: &bytes, keyWidths: program.tables[update.table].keys.map { $0.width },
      argumentWidths: widths)
    return bytes
  }

  /// `p4.write` with `bytes` behind it; `params` are those beside their number.
  @discardableResult
  func write(_ bytes: [UInt8], _ params: String = "") -> String {
    call("p4.write", #"{"bytes":\#(bytes.count)\#(params)}"#, body: bytes)
  }
}

/// Bytes as people write them.
func hex(_ text: String) -> [UInt8] {
  let digits = text.compactMap { $0.hexDigitValue }
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
