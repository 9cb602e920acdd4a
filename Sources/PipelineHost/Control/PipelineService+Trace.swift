import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  func trace(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    throw RPCError(.unavailable, "tracing is not there yet")
  }
}
