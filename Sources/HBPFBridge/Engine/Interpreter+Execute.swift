import DPUCore

/// The interpreter's loop: one case for each operation, so that nothing is asked twice.
extension Interpreter {
  mutating func execute<
    Memory: InterpreterMemory, Helpers: HelperTable & ~Copyable, Observer: RunObserver & ~Copyable
  >(
    _ program: borrowing SoftwareProgram, _ r: inout RegisterFile, _ memory: Memory,
    _ helpers: inout Helpers, _ observer: inout Observer, jumpsMax: Int
  ) -> Outcome {
    var depth = 1
    var path = Path<Memory>(jumpsLeft: jumpsMax)
    let code = program.code
    while true {
      let i = unsafe code[unchecked: path.next]
      path.next &+= 1
      if Observer.looks, !observer.next(Int(i.slot), r, stored: memory.takeStore()) {
        return i.fault(.stopped)
      }
      let d = i.destination
      let s = i.source
      switch i.operation {
      case .add64I:
        r[d] = r[d] &+ i.immediate
      case .sub64I:
        r[d] = r[d] &- i.immediate
      case .mul64I:
        r[d] = r[d] &* i.immediate
      case .or64I:
        r[d] = r[d] | i.immediate
      case .and64I:
        r[d] = r[d] & i.immediate
      case .xor64I:
        r[d] = r[d] ^ i.immediate
      case .div64I:
        r[d] = divide(r[d], i.immediate)
      case .mod64I:
        r[d] = modulo(r[d], i.immediate)
      case .sdiv64I:
        r[d] = divideSigned(r[d], i.immediate)
      case .smod64I:
        r[d] = moduloSigned(r[d], i.immediate)
      case .lsh64I:
        r[d] = r[d] &<< i.immediate
      case .rsh64I:
        r[d] = r[d] &>> i.immediate
      case .arsh64I:
        r[d] = UInt64(bitPattern: Int64(bitPattern: r[d]) &>> Int64(bitPattern: i.immediate))
      case .mov64I:
        r[d] = i.immediate
      case .add64R:
        r[d] = r[d] &+ r[s]
      case .sub64R:
        r[d] = r[d] &- r[s]
      case .mul64R:
        r[d] = r[d] &* r[s]
      case .or64R:
        r[d] = r[d] | r[s]
      case .and64R:
        r[d] = r[d] & r[s]
      case .xor64R:
        r[d] = r[d] ^ r[s]
      case .div64R:
        r[d] = divide(r[d], r[s])
      case .mod64R:
        r[d] = modulo(r[d], r[s])
      case .sdiv64R:
        r[d] = divideSigned(r[d], r[s])
      case .smod64R:
        r[d] = moduloSigned(r[d], r[s])
      case .lsh64R:
        r[d] = r[d] &<< r[s]
      case .rsh64R:
        r[d] = r[d] &>> r[s]
      case .arsh64R:
        r[d] = UInt64(bitPattern: Int64(bitPattern: r[d]) &>> Int64(bitPattern: r[s]))
      case .mov64R:
        r[d] = r[s]
      case .add32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &+ UInt32(truncatingIfNeeded: i.immediate))
      case .sub32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &- UInt32(truncatingIfNeeded: i.immediate))
      case .mul32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &* UInt32(truncatingIfNeeded: i.immediate))
      case .or32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) | UInt32(truncatingIfNeeded: i.immediate))
      case .and32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) & UInt32(truncatingIfNeeded: i.immediate))
      case .xor32I:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) ^ UInt32(truncatingIfNeeded: i.immediate))
      case .div32I:
        r[d] = UInt64(divide(r.low(d), UInt32(truncatingIfNeeded: i.immediate)))
      case .mod32I:
        r[d] = UInt64(modulo(r.low(d), UInt32(truncatingIfNeeded: i.immediate)))
      case .sdiv32I:
        r[d] = UInt64(divideSigned(r.low(d), UInt32(truncatingIfNeeded: i.immediate)))
      case .smod32I:
        r[d] = UInt64(moduloSigned(r.low(d), UInt32(truncatingIfNeeded: i.immediate)))
      case .lsh32I:
        r[d] = UInt64(r.low(d) &<< UInt32(truncatingIfNeeded: i.immediate))
      case .rsh32I:
        r[d] = UInt64(r.low(d) &>> UInt32(truncatingIfNeeded: i.immediate))
      case .arsh32I:
        r[d] = UInt64(
          UInt32(
            bitPattern: Int32(bitPattern: r.low(d))
              &>> Int32(bitPattern: UInt32(truncatingIfNeeded: i.immediate))))
      case .mov32I:
        r[d] = UInt64(UInt32(truncatingIfNeeded: i.immediate))
      case .add32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &+ r.low(s))
      case .sub32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &- r.low(s))
      case .mul32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) &* r.low(s))
      case .or32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) | r.low(s))
      case .and32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) & r.low(s))
      case .xor32R:
        r[d] = UInt64(truncatingIfNeeded: r.low(d) ^ r.low(s))
      case .div32R:
        r[d] = UInt64(divide(r.low(d), r.low(s)))
      case .mod32R:
        r[d] = UInt64(modulo(r.low(d), r.low(s)))
      case .sdiv32R:
        r[d] = UInt64(divideSigned(r.low(d), r.low(s)))
      case .smod32R:
        r[d] = UInt64(moduloSigned(r.low(d), r.low(s)))
      case .lsh32R:
        r[d] = UInt64(r.low(d) &<< r.low(s))
      case .rsh32R:
        r[d] = UInt64(r.low(d) &>> r.low(s))
      case .arsh32R:
        r[d] = UInt64(
          UInt32(bitPattern: Int32(bitPattern: r.low(d)) &>> Int32(bitPattern: r.low(s))))
      case .mov32R:
        r[d] = UInt64(r.low(s))
      case .neg64:
        r[d] = 0 &- r[d]
      case .neg32:
        r[d] = UInt64(0 &- r.low(d))
      case .movsx8To64:
        r[d] = UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: r[s])))
      case .movsx16To64:
        r[d] = UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: r[s])))
      case .movsx32To64:
        r[d] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: r[s])))
      case .movsx8To32:
        r[d] = UInt64(UInt32(bitPattern: Int32(Int8(truncatingIfNeeded: r[s]))))
      case .movsx16To32:
        r[d] = UInt64(UInt32(bitPattern: Int32(Int16(truncatingIfNeeded: r[s]))))
      case .le16:
        r[d] = r[d] & 0xffff
      case .le32:
        r[d] = r[d] & 0xffff_ffff
      case .be16, .swap16:
        r[d] = UInt64(UInt16(truncatingIfNeeded: r[d]).byteSwapped)
      case .be32, .swap32:
        r[d] = UInt64(r.low(d).byteSwapped)
      case .be64, .swap64:
        r[d] = r[d].byteSwapped
      case .nothing:
        break
      case .load8:
        guard let value = memory.load(i.address(from: r[s]), as: UInt8.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
      case .load16:
        guard let value = memory.load(i.address(from: r[s]), as: UInt16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
      case .load32:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
      case .load64:
        guard let value = memory.load(i.address(from: r[s]), as: UInt64.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
      case .load8S:
        guard let value = memory.load(i.address(from: r[s]), as: Int8.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(bitPattern: Int64(value))
      case .load16S:
        guard let value = memory.load(i.address(from: r[s]), as: Int16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(bitPattern: Int64(value))
      case .load32S:
        guard let value = memory.load(i.address(from: r[s]), as: Int32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(bitPattern: Int64(value))
      case .store8I:
        guard memory.store(UInt8(truncatingIfNeeded: i.immediate), at: i.address(from: r[d])) else {
          return i.fault(.outOfBounds)
        }
      case .store16I:
        guard memory.store(UInt16(truncatingIfNeeded: i.immediate), at: i.address(from: r[d]))
        else {
          return i.fault(.outOfBounds)
        }
      case .store32I:
        guard memory.store(UInt32(truncatingIfNeeded: i.immediate), at: i.address(from: r[d]))
        else {
          return i.fault(.outOfBounds)
        }
      case .store64I:
        guard memory.store(UInt64(truncatingIfNeeded: i.immediate), at: i.address(from: r[d]))
        else {
          return i.fault(.outOfBounds)
        }
      case .store8R:
        guard memory.store(UInt8(truncatingIfNeeded: r[s]), at: i.address(from: r[d])) else {
          return i.fault(.outOfBounds)
        }
      case .store16R:
        guard memory.store(UInt16(truncatingIfNeeded: r[s]), at: i.address(from: r[d])) else {
          return i.fault(.outOfBounds)
        }
      case .store32R:
        guard memory.store(UInt32(truncatingIfNeeded: r[s]), at: i.address(from: r[d])) else {
          return i.fault(.outOfBounds)
        }
      case .store64R:
        guard memory.store(UInt64(truncatingIfNeeded: r[s]), at: i.address(from: r[d])) else {
          return i.fault(.outOfBounds)
        }
      case .atomicAdd32:
        guard memory.update(i.address(from: r[d]), as: UInt32.self, { $0 &+ r.low(s) }) != nil
        else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchAdd32:
        guard let old = memory.update(i.address(from: r[d]), as: UInt32.self, { $0 &+ r.low(s) })
        else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicOr32:
        guard memory.update(i.address(from: r[d]), as: UInt32.self, { $0 | r.low(s) }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchOr32:
        guard let old = memory.update(i.address(from: r[d]), as: UInt32.self, { $0 | r.low(s) })
        else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicAnd32:
        guard memory.update(i.address(from: r[d]), as: UInt32.self, { $0 & r.low(s) }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchAnd32:
        guard let old = memory.update(i.address(from: r[d]), as: UInt32.self, { $0 & r.low(s) })
        else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicXor32:
        guard memory.update(i.address(from: r[d]), as: UInt32.self, { $0 ^ r.low(s) }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchXor32:
        guard let old = memory.update(i.address(from: r[d]), as: UInt32.self, { $0 ^ r.low(s) })
        else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .exchange32:
        let new = r.low(s)
        guard let old = memory.update(i.address(from: r[d]), as: UInt32.self, { _ in new }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .compareExchange32:
        guard
          let old = memory.update(
            i.address(from: r[d]), as: UInt32.self, { $0 == r.low(0) ? r.low(s) : $0 })
        else { return i.fault(.outOfBounds) }
        r[0] = UInt64(old)
      case .atomicAdd64:
        guard memory.update(i.address(from: r[d]), as: UInt64.self, { $0 &+ r[s] }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchAdd64:
        guard let old = memory.update(i.address(from: r[d]), as: UInt64.self, { $0 &+ r[s] }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicOr64:
        guard memory.update(i.address(from: r[d]), as: UInt64.self, { $0 | r[s] }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchOr64:
        guard let old = memory.update(i.address(from: r[d]), as: UInt64.self, { $0 | r[s] }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicAnd64:
        guard memory.update(i.address(from: r[d]), as: UInt64.self, { $0 & r[s] }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchAnd64:
        guard let old = memory.update(i.address(from: r[d]), as: UInt64.self, { $0 & r[s] }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .atomicXor64:
        guard memory.update(i.address(from: r[d]), as: UInt64.self, { $0 ^ r[s] }) != nil else {
          return i.fault(.outOfBounds)
        }
      case .atomicFetchXor64:
        guard let old = memory.update(i.address(from: r[d]), as: UInt64.self, { $0 ^ r[s] }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .exchange64:
        let new = r[s]
        guard let old = memory.update(i.address(from: r[d]), as: UInt64.self, { _ in new }) else {
          return i.fault(.outOfBounds)
        }
        r[s] = UInt64(old)
      case .compareExchange64:
        guard
          let old = memory.update(
            i.address(from: r[d]), as: UInt64.self, { $0 == r[0] ? r[s] : $0 })
        else { return i.fault(.outOfBounds) }
        r[0] = UInt64(old)
      case .jump:
        if !path.jump(i) { return i.fault(.tooLong) }
      case .jeq64I:
        if r[d] == i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jne64I:
        if r[d] != i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jgt64I:
        if r[d] > i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jge64I:
        if r[d] >= i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jlt64I:
        if r[d] < i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jle64I:
        if r[d] <= i.immediate, !path.jump(i) { return i.fault(.tooLong) }
      case .jset64I:
        if r[d] & i.immediate != 0, !path.jump(i) { return i.fault(.tooLong) }
      case .jsgt64I:
        if Int64(bitPattern: r[d]) > Int64(bitPattern: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsge64I:
        if Int64(bitPattern: r[d]) >= Int64(bitPattern: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jslt64I:
        if Int64(bitPattern: r[d]) < Int64(bitPattern: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsle64I:
        if Int64(bitPattern: r[d]) <= Int64(bitPattern: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jeq64R:
        if r[d] == r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jne64R:
        if r[d] != r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jgt64R:
        if r[d] > r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jge64R:
        if r[d] >= r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jlt64R:
        if r[d] < r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jle64R:
        if r[d] <= r[s], !path.jump(i) { return i.fault(.tooLong) }
      case .jset64R:
        if r[d] & r[s] != 0, !path.jump(i) { return i.fault(.tooLong) }
      case .jsgt64R:
        if Int64(bitPattern: r[d]) > Int64(bitPattern: r[s]), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsge64R:
        if Int64(bitPattern: r[d]) >= Int64(bitPattern: r[s]), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jslt64R:
        if Int64(bitPattern: r[d]) < Int64(bitPattern: r[s]), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsle64R:
        if Int64(bitPattern: r[d]) <= Int64(bitPattern: r[s]), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jeq32I:
        if r.low(d) == UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jne32I:
        if r.low(d) != UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jgt32I:
        if r.low(d) > UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jge32I:
        if r.low(d) >= UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jlt32I:
        if r.low(d) < UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jle32I:
        if r.low(d) <= UInt32(truncatingIfNeeded: i.immediate), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jset32I:
        if r.low(d) & UInt32(truncatingIfNeeded: i.immediate) != 0, !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsgt32I:
        if Int32(bitPattern: r.low(d)) > Int32(bitPattern: UInt32(truncatingIfNeeded: i.immediate)),
          !path.jump(i)
        {
          return i.fault(.tooLong)
        }
      case .jsge32I:
        if Int32(bitPattern: r.low(d))
          >= Int32(bitPattern: UInt32(truncatingIfNeeded: i.immediate)), !path.jump(i)
        {
          return i.fault(.tooLong)
        }
      case .jslt32I:
        if Int32(bitPattern: r.low(d)) < Int32(bitPattern: UInt32(truncatingIfNeeded: i.immediate)),
          !path.jump(i)
        {
          return i.fault(.tooLong)
        }
      case .jsle32I:
        if Int32(bitPattern: r.low(d))
          <= Int32(bitPattern: UInt32(truncatingIfNeeded: i.immediate)), !path.jump(i)
        {
          return i.fault(.tooLong)
        }
      case .jeq32R:
        if r.low(d) == r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jne32R:
        if r.low(d) != r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jgt32R:
        if r.low(d) > r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jge32R:
        if r.low(d) >= r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jlt32R:
        if r.low(d) < r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jle32R:
        if r.low(d) <= r.low(s), !path.jump(i) { return i.fault(.tooLong) }
      case .jset32R:
        if r.low(d) & r.low(s) != 0, !path.jump(i) { return i.fault(.tooLong) }
      case .jsgt32R:
        if Int32(bitPattern: r.low(d)) > Int32(bitPattern: r.low(s)), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsge32R:
        if Int32(bitPattern: r.low(d)) >= Int32(bitPattern: r.low(s)), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jslt32R:
        if Int32(bitPattern: r.low(d)) < Int32(bitPattern: r.low(s)), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .jsle32R:
        if Int32(bitPattern: r.low(d)) <= Int32(bitPattern: r.low(s)), !path.jump(i) {
          return i.fault(.tooLong)
        }
      case .callHelper, .callHelperRegister:
        let helper =
          i.operation == .callHelper ? UInt32(truncatingIfNeeded: i.immediate) : r.low(d)
        switch helpers.call(helper, r[1], r[2], r[3], r[4], r[5], memory: memory.guest) {
        case .value(let value): r[0] = value
        case .end(let value): return .exit(value)
        case .unknown: return i.fault(.unknownHelper)
        }
      case .callLocal:
        guard depth < HBPFLimits.callDepth else { return i.fault(.callTooDeep) }
        frames[depth] = Frame(
          returnTo: path.next, r6: r[6], r7: r[7], r8: r[8], r9: r[9], r10: r[10])
        if !path.jump(i) { return i.fault(.tooLong) }
        depth += 1
        r[10] &-= UInt64(HBPFLimits.stackBytes)
      case .load8AndJne:
        guard let value = memory.load(i.address(from: r[s]), as: UInt8.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) != i.immediate { path.next = Int(i.slot) }
      case .load16AndJne:
        guard let value = memory.load(i.address(from: r[s]), as: UInt16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) != i.immediate { path.next = Int(i.slot) }
      case .load32AndJne:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) != i.immediate { path.next = Int(i.slot) }
      case .load8AndJeq:
        guard let value = memory.load(i.address(from: r[s]), as: UInt8.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) == i.immediate { path.next = Int(i.slot) }
      case .load16AndJeq:
        guard let value = memory.load(i.address(from: r[s]), as: UInt16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) == i.immediate { path.next = Int(i.slot) }
      case .load32AndJeq:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) == i.immediate { path.next = Int(i.slot) }
      case .load32AndJlt:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) < i.immediate { path.next = Int(i.slot) }
      case .load16AndJeqR:
        guard let value = memory.load(i.address(from: r[s]), as: UInt16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) == r[UInt8(truncatingIfNeeded: i.immediate)] {
          path.next = Int(i.slot)
        }
      case .load16AndJneR:
        guard let value = memory.load(i.address(from: r[s]), as: UInt16.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) != r[UInt8(truncatingIfNeeded: i.immediate)] {
          path.next = Int(i.slot)
        }
      case .load32AndJeqR:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) == r[UInt8(truncatingIfNeeded: i.immediate)] {
          path.next = Int(i.slot)
        }
      case .load32AndJneR:
        guard let value = memory.load(i.address(from: r[s]), as: UInt32.self) else {
          return i.fault(.outOfBounds)
        }
        r[d] = UInt64(value)
        if UInt64(value) != r[UInt8(truncatingIfNeeded: i.immediate)] {
          path.next = Int(i.slot)
        }
      case .movAndJne:
        r[d] = UInt64(bitPattern: Int64(i.offset))
        if r[s] != i.immediate { path.next = Int(i.slot) }
      case .movAndJeq:
        r[d] = UInt64(bitPattern: Int64(i.offset))
        if r[s] == i.immediate { path.next = Int(i.slot) }
      case .movAndJlt:
        r[d] = UInt64(bitPattern: Int64(i.offset))
        if r[s] < i.immediate { path.next = Int(i.slot) }
      case .andAndJne:
        let value = r[d] & i.immediate
        r[d] = value
        if value != UInt64(bitPattern: Int64(i.offset)) { path.next = Int(i.slot) }
      case .andAndJeq:
        let value = r[d] & i.immediate
        r[d] = value
        if value == UInt64(bitPattern: Int64(i.offset)) { path.next = Int(i.slot) }
      case .movAndAddI:
        r[d] = r[s] &+ i.immediate
      case .movAndAddR:
        r[d] = r[s] &+ r[UInt8(truncatingIfNeeded: i.immediate)]
      case .movAndAndI:
        r[d] = r[s] & i.immediate
      case .exit:
        depth -= 1
        if depth == 0 { return .exit(r[0]) }
        let frame = frames[depth]
        path.next = frame.returnTo
        r[6] = frame.r6
        r[7] = frame.r7
        r[8] = frame.r8
        r[9] = frame.r9
        r[10] = frame.r10
      }
    }
  }
}
