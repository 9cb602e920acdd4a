import DPUCore

extension NativeContext {
  /// The C function through which compiled code calls helpers: `context.helper` of every program
  /// that runs in a `FilterMachine`.
  static func filterHelper() -> UInt64 {
    let function:
      @convention(c) (
        UnsafeMutableRawPointer, UInt32, UInt64, UInt64, UInt64, UInt64, UInt64
      ) -> UInt64 = { context, number, r1, r2, r3, r4, r5 in
        let context = unsafe context.assumingMemoryBound(to: NativeContext.self)
        let helpers = unsafe UnsafeMutablePointer<FilterHelpers>(
          bitPattern: UInt(context.pointee.helpers))!
        // The verifier has proved that these addresses are good for what the helper does there.
        var memory = GuestMemory()
        memory.add(
          MemoryRegion(start: 0, count: .max, host: 0, isWritable: true))
        switch unsafe helpers.pointee.call(number, r1, r2, r3, r4, r5, memory: memory) {
        case .value(let value): return value
        case .end(let value):
          unsafe context.pointee.ended = 1
          return value
        case .unknown:
          unsafe context.pointee.faultKind = UInt64(RuntimeFault.Kind.unknownHelper.rawValue)
          return 0
        }
      }
    return UInt64(UInt(bitPattern: unsafe unsafeBitCast(function, to: Int.self)))
  }
}
