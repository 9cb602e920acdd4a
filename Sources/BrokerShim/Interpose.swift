import CLinux
import HostLink

// The calls of the broker that we answer or watch. Everything else, read and write above all,
// goes straight to the kernel. Where a descriptor is not ours, so does everything here.

private let broker = Broker.shared

@c(listen)
public func interposedListen(_ descriptor: Int32, _ backlog: Int32) -> Int32 {
  guard broker.isEnabled else { return Real.listen(descriptor, backlog) }
  if broker.descriptors.use(descriptor) == .listener {
    return Real.listen(broker.kernelListener(descriptor), backlog)
  }
  let result = Real.listen(descriptor, backlog)
  if result == 0 { broker.didListen(descriptor) }
  return result
}

@c(accept)
public func interposedAccept(
  _ descriptor: Int32, _ name: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
  guard broker.isEnabled else { return unsafe Real.accept(descriptor, name, length) }
  if broker.descriptors.use(descriptor) == .listener {
    return unsafe broker.accept(descriptor, name, length, flags: 0)
  }
  let result = unsafe Real.accept(descriptor, name, length)
  if result >= 0 { broker.noteConnection(result, .kernelConnection) }
  return result
}

@c(accept4)
public func interposedAccept4(
  _ descriptor: Int32, _ name: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<UInt32>?,
  _ flags: Int32
) -> Int32 {
  guard broker.isEnabled else { return unsafe Real.accept4(descriptor, name, length, flags) }
  if broker.descriptors.use(descriptor) == .listener {
    return unsafe broker.accept(descriptor, name, length, flags: flags)
  }
  let result = unsafe Real.accept4(descriptor, name, length, flags)
  if result >= 0 { broker.noteConnection(result, .kernelConnection) }
  return result
}

@c(connect)
public func interposedConnect(
  _ descriptor: Int32, _ name: UnsafeRawPointer?, _ length: UInt32
) -> Int32 {
  if broker.isEnabled, let name = unsafe name {
    unsafe broker.willConnect(descriptor, name, length)
  }
  return unsafe Real.connect(descriptor, name, length)
}

@c(getpeername)
public func interposedPeerName(
  _ descriptor: Int32, _ name: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
  switch broker.isEnabled ? broker.descriptors.use(descriptor) : .none {
  case .listener:
    return unsafe Real.getpeername(broker.kernelListener(descriptor), name, length)
  case .offloaded:
    // As TCP: once both directions are closed there is no peer.
    if clinux_link_is_hung_up(descriptor) == 1 { return broker.refuse(System.errorNotConnected) }
    let entry = broker.descriptors.entry(descriptor)
    let written = unsafe SocketName.write(entry.peer, family: entry.family, to: name, length)
    return written ? 0 : broker.refuse(System.errorFault)
  default: return unsafe Real.getpeername(descriptor, name, length)
  }
}

@c(getsockname)
public func interposedSocketName(
  _ descriptor: Int32, _ name: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
  switch broker.isEnabled ? broker.descriptors.use(descriptor) : .none {
  case .listener:
    return unsafe Real.getsockname(broker.kernelListener(descriptor), name, length)
  case .offloaded:
    let entry = broker.descriptors.entry(descriptor)
    let written = unsafe SocketName.write(entry.local, family: entry.family, to: name, length)
    return written ? 0 : broker.refuse(System.errorFault)
  default: return unsafe Real.getsockname(descriptor, name, length)
  }
}

@c(setsockopt)
public func interposedSetOption(
  _ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: UnsafeRawPointer?,
  _ length: UInt32
) -> Int32 {
  switch broker.isEnabled ? broker.descriptors.use(descriptor) : .none {
  case .listener:
    return unsafe Real.setsockopt(
      broker.kernelListener(descriptor), level, option, value, length)
  case .offloaded where level != System.levelSocket:
    // Options of TCP and IP: the firmware's TCP sends at once and keeps connections alive by
    // itself, so they are accepted and mean nothing, but TCP_NODELAY reads back.
    guard let value = unsafe value else { return broker.refuse(System.errorFault) }
    guard length >= 4 else { return broker.refuse(System.errorInvalid) }
    if level == System.levelTCP, option == System.optionNoDelay {
      var entry = broker.descriptors.entry(descriptor)
      entry.noDelay = unsafe value.loadUnaligned(as: Int32.self) != 0
      broker.descriptors.set(descriptor, .offloaded, entry)
    }
    return 0
  default: return unsafe Real.setsockopt(descriptor, level, option, value, length)
  }
}

@c(getsockopt)
public func interposedGetOption(
  _ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: UnsafeMutableRawPointer?,
  _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
  let use = broker.isEnabled ? broker.descriptors.use(descriptor) : .none
  if use == .listener {
    return unsafe Real.getsockopt(
      broker.kernelListener(descriptor), level, option, value, length)
  }
  guard use == .offloaded else {
    return unsafe Real.getsockopt(descriptor, level, option, value, length)
  }
  let entry = broker.descriptors.entry(descriptor)
  let answer: Int32
  switch (level, option) {
  case (System.levelSocket, System.optionDomain): answer = Int32(entry.family)
  case (System.levelSocket, System.optionProtocol): answer = System.levelTCP
  case (System.levelSocket, _):
    return unsafe Real.getsockopt(descriptor, level, option, value, length)
  case (System.levelTCP, System.optionNoDelay): answer = entry.noDelay ? 1 : 0
  default: return broker.refuse(System.errorNoOption)
  }
  guard let value = unsafe value, let length = unsafe length else {
    return broker.refuse(System.errorFault)
  }
  guard unsafe Int32(bitPattern: length.pointee) >= 0 else {
    return broker.refuse(System.errorInvalid)
  }
  let room = unsafe min(4, length.pointee)
  for i in 0..<Int(room) {
    let byte = UInt8(truncatingIfNeeded: answer >> Int32(i * 8))
    unsafe value.storeBytes(of: byte, toByteOffset: i, as: UInt8.self)
  }
  unsafe length.pointee = room
  return 0
}

@c(close)
public func interposedClose(_ descriptor: Int32) -> Int32 {
  guard broker.isEnabled else { return Real.close(descriptor) }
  if broker.descriptors.use(descriptor) == .hidden {
    return broker.refuse(System.errorBadDescriptor)
  }
  // Forgotten before it is closed: the number may be in use again right after.
  let owner = broker.descriptors.entry(descriptor).owner
  let use = broker.descriptors.take(descriptor)
  let result = Real.close(descriptor)
  if use != .none {
    let error = clinux_link_errno()
    broker.release(use, owner: owner)
    clinux_link_set_errno(error)
  }
  return result
}

@c(dup)
public func interposedDup(_ descriptor: Int32) -> Int32 {
  let result = Real.dup(descriptor)
  if result >= 0, broker.isEnabled { broker.didDuplicate(descriptor, result) }
  return result
}

@c(dup2)
public func interposedDup2(_ descriptor: Int32, _ copy: Int32) -> Int32 {
  replace(descriptor, copy) { Real.dup2(descriptor, copy) }
}

@c(dup3)
public func interposedDup3(_ descriptor: Int32, _ copy: Int32, _ flags: Int32) -> Int32 {
  replace(descriptor, copy) { Real.dup3(descriptor, copy, flags) }
}

private func replace(_ descriptor: Int32, _ copy: Int32, _ call: () -> Int32) -> Int32 {
  guard broker.isEnabled, descriptor != copy else { return call() }
  if broker.descriptors.use(copy) == .hidden { return broker.refuse(System.errorBadDescriptor) }
  let old = broker.descriptors.entry(copy)
  let use = broker.descriptors.take(copy)
  let result = call()
  if result < 0 {
    broker.descriptors.set(copy, use, old)
    return result
  }
  broker.release(use, owner: old.owner)
  broker.didDuplicate(descriptor, copy)
  return result
}

// Declared with three parameters although C's fcntl is variadic: on x86-64 and arm64 Linux both
// are called alike.
@c(fcntl)
public func interposedControl(_ descriptor: Int32, _ command: Int32, _ argument: Int) -> Int32 {
  let result = Real.fcntl(descriptor, command, argument)
  guard command == System.duplicate || command == System.duplicateCloseOnExec else {
    return result
  }
  if result >= 0, broker.isEnabled { broker.didDuplicate(descriptor, result) }
  return result
}

@c(fcntl64)
public func interposedControl64(_ descriptor: Int32, _ command: Int32, _ argument: Int) -> Int32 {
  interposedControl(descriptor, command, argument)
}
