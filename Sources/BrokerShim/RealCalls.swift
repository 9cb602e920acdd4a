import CLinux

// The functions that the broker would have called without us: the next ones in the order of the
// dynamic linker.

@_extern(c, "dlsym")
private func systemSymbol(
  _ handle: UnsafeMutableRawPointer?, _ name: UnsafePointer<UInt8>
) -> UnsafeMutableRawPointer?

@unsafe
private func next(_ name: StaticString) -> UnsafeMutableRawPointer {
  // RTLD_NEXT is ((void *) -1).
  unsafe systemSymbol(UnsafeMutableRawPointer(bitPattern: -1), name.utf8Start)!
}

typealias Bytes = UnsafeMutableRawPointer?
typealias Length = UnsafeMutablePointer<UInt32>?

typealias TwoNumbers = @convention(c) (Int32, Int32) -> Int32
typealias ThreeNumbers = @convention(c) (Int32, Int32, Int32) -> Int32
typealias OneNumber = @convention(c) (Int32) -> Int32
typealias NameCall = @convention(c) (Int32, Bytes, Length) -> Int32
typealias AcceptFlagsCall = @convention(c) (Int32, Bytes, Length, Int32) -> Int32
typealias ConnectCall = @convention(c) (Int32, UnsafeRawPointer?, UInt32) -> Int32
typealias SetOptionCall =
  @convention(c) (Int32, Int32, Int32, UnsafeRawPointer?, UInt32) -> Int32
typealias GetOptionCall = @convention(c) (Int32, Int32, Int32, Bytes, Length) -> Int32
typealias ControlCall = @convention(c) (Int32, Int32, Int) -> Int32

enum Real {
  static let listen = unsafe unsafeBitCast(next("listen"), to: TwoNumbers.self)
  static let accept = unsafe unsafeBitCast(next("accept"), to: NameCall.self)
  static let accept4 = unsafe unsafeBitCast(next("accept4"), to: AcceptFlagsCall.self)
  static let getpeername = unsafe unsafeBitCast(next("getpeername"), to: NameCall.self)
  static let getsockname = unsafe unsafeBitCast(next("getsockname"), to: NameCall.self)
  static let setsockopt = unsafe unsafeBitCast(next("setsockopt"), to: SetOptionCall.self)
  static let getsockopt = unsafe unsafeBitCast(next("getsockopt"), to: GetOptionCall.self)
  static let connect = unsafe unsafeBitCast(next("connect"), to: ConnectCall.self)
  static let close = unsafe unsafeBitCast(next("close"), to: OneNumber.self)
  static let dup = unsafe unsafeBitCast(next("dup"), to: OneNumber.self)
  static let dup2 = unsafe unsafeBitCast(next("dup2"), to: TwoNumbers.self)
  static let dup3 = unsafe unsafeBitCast(next("dup3"), to: ThreeNumbers.self)
  static let fcntl = unsafe unsafeBitCast(next("fcntl"), to: ControlCall.self)
}

/// What epoll reports and is asked for.
enum Readiness {
  static let readable = UInt32(CLINUX_LINK_READABLE)
  static let writable = UInt32(CLINUX_LINK_WRITABLE)
  static let peerShut = UInt32(CLINUX_LINK_PEER_SHUT)
  static let hungUp = UInt32(CLINUX_LINK_HUNG_UP)
  static let edge = UInt32(CLINUX_LINK_EDGE)
}

/// Linux numbers that are the same on x86-64 and arm64.
enum System {
  static let familyUnix: UInt16 = 1
  static let familyIPv4: UInt16 = 2
  static let familyIPv6: UInt16 = 10
  static let streamSocket: Int32 = 1
  static let acceptCloseOnExec: Int32 = 0o2000000
  static let acceptNonBlocking: Int32 = 0o4000
  static let fileNonBlocking: Int32 = 0o4000

  static let duplicate: Int32 = 0
  static let getDescriptorFlags: Int32 = 1
  static let setDescriptorFlags: Int32 = 2
  static let getFileFlags: Int32 = 3
  static let setFileFlags: Int32 = 4
  static let duplicateCloseOnExec: Int32 = 1030
  static let closeOnExec = 1

  static let levelSocket: Int32 = 1
  static let optionType: Int32 = 3
  static let optionProtocol: Int32 = 38
  static let optionDomain: Int32 = 39
  static let levelTCP: Int32 = 6
  static let optionNoDelay: Int32 = 1
  static let levelIPv6: Int32 = 41
  static let optionIPv6Only: Int32 = 26

  static let errorAgain: Int32 = 11
  static let errorBadDescriptor: Int32 = 9
  static let errorFault: Int32 = 14
  static let errorInvalid: Int32 = 22
  static let errorNoOption: Int32 = 92
  static let errorNotConnected: Int32 = 107
}
