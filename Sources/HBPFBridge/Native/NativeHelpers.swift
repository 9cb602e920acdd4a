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
        return unsafe context.pointee.take(
          helpers.pointee.call(number, r1, r2, r3, r4, r5, memory: memory))
      }
    return UInt64(UInt(bitPattern: unsafe unsafeBitCast(function, to: Int.self)))
  }

  /// The same for the helpers of the conformance tests. Addresses of the program are those of the
  /// process, and only those of its memory and stack are good.
  package static func conformanceHelper() -> UInt64 {
    let function:
      @convention(c) (
        UnsafeMutableRawPointer, UInt32, UInt64, UInt64, UInt64, UInt64, UInt64
      ) -> UInt64 = { context, number, r1, r2, r3, r4, r5 in
        let context = unsafe context.assumingMemoryBound(to: NativeContext.self)
        let own = unsafe context.pointee
        var memory = GuestMemory()
        memory.add(
          MemoryRegion(
            start: own.dataStart, count: Int(own.dataBytes), host: UInt(own.dataStart),
            isWritable: true))
        memory.add(
          MemoryRegion(
            start: own.stackStart, count: Int(own.stackBytes), host: UInt(own.stackStart),
            isWritable: true))
        var helpers = ConformanceHelpers()
        let result = helpers.call(number, r1, r2, r3, r4, r5, memory: memory)
        return unsafe context.pointee.take(result)
      }
    return UInt64(UInt(bitPattern: unsafe unsafeBitCast(function, to: Int.self)))
  }

  /// Notes what a helper did, for the code that called it. Returns r0.
  private mutating func take(_ result: HelperResult) -> UInt64 {
    switch result {
    case .value(let value): return value
    case .end(let value):
      ended = 1
      return value
    case .unknown:
      faultKind = UInt64(RuntimeFault.Kind.unknownHelper.rawValue)
      return 0
    }
  }
}
