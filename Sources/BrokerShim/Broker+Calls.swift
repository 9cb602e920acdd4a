import CLinux
import DPUCore
import HostLink

// What the broker's calls mean while its listeners are doubled.

extension Broker {
  // MARK: Listening

  /// After the real listen succeeded.
  func didListen(_ descriptor: Int32) {
    guard descriptors.use(descriptor) == .none else { return }
    if double(descriptor) {
      startHelper()
      return
    }
    // Whoever connects there is outside of the offload.
    descriptors.set(descriptor, .otherListener)
    locked {
      $0.otherListeners += 1
      $0.publishCertificate()
    }
    startHelper()
    awaitDisbelief()
  }

  private func double(_ descriptor: Int32) -> Bool {
    guard descriptors.canHold(descriptor), let address = SocketName.local(of: descriptor),
      SocketName.option(descriptor, System.levelSocket, System.optionType) == System.streamSocket,
      let domain = SocketName.option(descriptor, System.levelSocket, System.optionDomain)
    else { return false }
    let fileFlags = Real.fcntl(descriptor, System.getFileFlags, 0)
    let closeOnExec = Real.fcntl(descriptor, System.getDescriptorFlags, 0) & 1 == 1

    var listener = Listener(state: .open, references: 1)
    listener.family = UInt16(truncatingIfNeeded: domain)
    listener.address = address
    listener.isDual =
      listener.family == System.familyIPv6
      && SocketName.option(descriptor, System.levelIPv6, System.optionIPv6Only) == 0
    let both = clinux_link_epoll_create()
    listener.kernel = Real.fcntl(descriptor, System.duplicateCloseOnExec, 0)
    listener.bell = clinux_link_eventfd(1)
    let readable = Readiness.readable
    let isWhole =
      both >= 0 && descriptors.canHold(listener.kernel) && descriptors.canHold(listener.bell)
      && clinux_link_epoll_add(both, listener.kernel, readable, 0) == 0
      && clinux_link_epoll_add(both, listener.bell, readable, 1) == 0
    let slot = locked { (state: inout BrokerState) -> UInt32? in
      guard isWhole else { return nil }
      for index in 0..<state.listeners.count where state.listeners[index].state == .free {
        state.listeners[index] = listener
        return UInt32(index)
      }
      return nil
    }
    guard let slot else {
      clinux_link_close(both)
      clinux_link_close(listener.kernel)
      clinux_link_close(listener.bell)
      log("listener left to the kernel: no descriptor or no slot")
      return false
    }
    descriptors.set(listener.kernel, .hidden)
    descriptors.set(listener.bell, .hidden)
    // Whether accept blocks is now the epoll descriptor's flag, which the broker's fcntl reaches.
    _ = Real.fcntl(both, System.setFileFlags, Int(fileFlags & System.fileNonBlocking))
    _ = Real.fcntl(
      listener.kernel, System.setFileFlags, Int(fileFlags | System.fileNonBlocking))
    descriptors.set(descriptor, .listener, DescriptorEntry(owner: slot))
    _ = Real.dup3(both, descriptor, closeOnExec ? System.acceptCloseOnExec : 0)
    clinux_link_close(both)
    locked { $0.wakeHelper() }
    return true
  }

  /// The kernel's listener behind a doubled one.
  func kernelListener(_ descriptor: Int32) -> Int32 {
    let owner = descriptors.entry(descriptor).owner
    return locked { $0.listeners[owner].kernel }
  }

  // MARK: Accepting

  /// accept4 on a doubled listener: the firmware's connections first, then the kernel's.
  func accept(_ descriptor: Int32, _ name: Bytes, _ length: Length, flags: Int32) -> Int32 {
    guard flags & ~(System.acceptCloseOnExec | System.acceptNonBlocking) == 0 else {
      return refuse(System.errorInvalid)
    }
    guard unsafe name == nil || length != nil else { return refuse(System.errorFault) }
    startHelper()
    let owner = descriptors.entry(descriptor).owner
    while true {
      let (connection, listener) = locked { ($0.dequeue(owner), $0.listeners[owner]) }
      if let connection {
        return unsafe hand(connection, family: listener.family, name, length, flags: flags)
      }
      let accepted = unsafe Real.accept4(listener.kernel, name, length, flags)
      if accepted >= 0 {
        noteConnection(accepted, .kernelConnection)
        return accepted
      }
      guard clinux_link_errno() == System.errorAgain,
        Real.fcntl(descriptor, System.getFileFlags, 0) & System.fileNonBlocking == 0
      else { return -1 }
      let ready = clinux_link_wait_readable(descriptor, -1)
      if ready < 0 { return refuse(-ready) }
    }
  }

  private func hand(
    _ connection: WaitingConnection, family: UInt16, _ name: Bytes, _ length: Length, flags: Int32
  ) -> Int32 {
    let entry = DescriptorEntry(
      family: family, local: connection.local, peer: connection.peer)
    descriptors.set(connection.descriptor, .offloaded, entry)
    if flags & System.acceptCloseOnExec == 0 {
      _ = Real.fcntl(connection.descriptor, System.setDescriptorFlags, 0)
    }
    if flags & System.acceptNonBlocking != 0 {
      let now = Real.fcntl(connection.descriptor, System.getFileFlags, 0)
      _ = Real.fcntl(
        connection.descriptor, System.setFileFlags, Int(now | System.fileNonBlocking))
    }
    if unsafe name != nil {
      _ = unsafe SocketName.write(connection.peer, family: family, to: name, length)
    }
    return connection.descriptor
  }

  // MARK: Connections past the offload

  /// Revokes the certificate before the broker can do anything with the connection.
  func noteConnection(_ descriptor: Int32, _ use: DescriptorUse) {
    // An entry that is still there belongs to a descriptor closed behind our back.
    let owner = descriptors.entry(descriptor).owner
    release(descriptors.take(descriptor), owner: owner)
    descriptors.set(descriptor, use)
    locked {
      if use == .outgoing { $0.outgoingConnections += 1 } else { $0.kernelConnections += 1 }
      $0.publishCertificate()
    }
    awaitDisbelief()
  }

  func willConnect(_ descriptor: Int32, _ name: UnsafeRawPointer, _ length: UInt32) {
    guard let family = unsafe SocketName.family(name, length),
      family == System.familyIPv4 || family == System.familyIPv6,
      descriptors.use(descriptor) == .none, descriptors.canHold(descriptor),
      SocketName.option(descriptor, System.levelSocket, System.optionType) == System.streamSocket
    else { return }
    noteConnection(descriptor, .outgoing)
  }

  // MARK: Closing and duplicating

  /// After a descriptor with this use was closed.
  func release(_ use: DescriptorUse, owner: UInt32) {
    switch use {
    case .none, .offloaded, .hidden: break
    case .kernelConnection, .outgoing, .otherListener:
      locked {
        switch use {
        case .outgoing: $0.outgoingConnections -= 1
        case .otherListener: $0.otherListeners -= 1
        default: $0.kernelConnections -= 1
        }
        $0.publishCertificate()
      }
    case .listener: releaseListener(owner)
    }
  }

  private func releaseListener(_ index: UInt32) {
    let closed = locked { (state: inout BrokerState) -> Listener? in
      state.listeners[index].references -= 1
      guard state.listeners[index].references == 0 else { return nil }
      // Connections that nobody accepted: the helper sees their other ends close.
      while let connection = state.dequeue(index) {
        descriptors.closeHidden(connection.descriptor)
      }
      let listener = state.listeners[index]
      // The slot is free once the firmware was told.
      state.listeners[index].state = listener.announcedTo != 0 ? .closing : .free
      state.wakeHelper()
      return listener
    }
    guard let closed else { return }
    descriptors.closeHidden(closed.kernel)
    descriptors.closeHidden(closed.bell)
  }

  /// `copy` now names what `descriptor` names.
  func didDuplicate(_ descriptor: Int32, _ copy: Int32) {
    let use = descriptors.use(descriptor)
    let entry = descriptors.entry(descriptor)
    guard use != .none, use != .hidden else { return }
    // There is one of its kind already, so this takes back nothing.
    locked {
      switch use {
      case .kernelConnection: $0.kernelConnections += 1
      case .outgoing: $0.outgoingConnections += 1
      case .otherListener: $0.otherListeners += 1
      case .listener: $0.listeners[entry.owner].references += 1
      case .none, .offloaded, .hidden: break
      }
    }
    descriptors.set(copy, use, entry)
  }

  /// Sets errno; the result of a failed call.
  func refuse(_ error: Int32) -> Int32 {
    clinux_link_set_errno(error)
    return -1
  }
}
