import CLinux
import DPUCore
import HostLink
import Synchronization

/// What we know of a descriptor.
enum DescriptorUse: UInt32 {
  /// Nothing to do with us.
  case none = 0
  /// A listener that we replaced; `owner` names it.
  case listener = 1
  /// The broker's end of an offloaded connection.
  case offloaded = 2
  /// A connection that came in past the offload.
  case kernelConnection = 3
  /// A TCP connection that the broker made itself.
  case outgoing = 4
  /// A listener that the firmware cannot serve.
  case otherListener = 5
  /// Ours: to the broker it does not exist.
  case hidden = 6
}

/// One descriptor; 64 bytes, so that none shares a cache line.
struct DescriptorEntry: BitwiseCopyable {
  /// The family of the listener that an offloaded connection came through.
  var family: UInt16 = 0
  var noDelay = false
  /// Index of a listener.
  var owner: UInt32 = 0
  var local = LinkAddress(high: 0, low: 0, port: 0)
  var peer = LinkAddress(high: 0, low: 0, port: 0)
}

/// The uses of all descriptors, by number.
///
/// The use is read without a lock at each call that the broker makes; the other fields are
/// written before it and read only by callers that hold the descriptor.
@safe
struct DescriptorTable: BitwiseCopyable, @unchecked Sendable {
  private static let stride = 64
  private static let entryOffset: UInt = 8
  /// The highest number ever set stands in front of the entries.
  private let header: UInt
  private let base: UInt

  init() {
    let size = (ShimLimits.descriptorsMax + 1) * Self.stride
    header = clinux_link_reserve(UInt64(size))
    base = header == 0 ? 0 : header + UInt(Self.stride)
    invariant(MemoryLayout<DescriptorEntry>.size <= Self.stride - 8, "descriptor entry too large")
  }

  /// Without memory nothing is ever tracked, so the shim stays out of the way.
  var isUsable: Bool { base != 0 }

  private func address(_ descriptor: Int32) -> UInt? {
    guard descriptor >= 0, descriptor < ShimLimits.descriptorsMax, base != 0 else { return nil }
    return base + UInt(Int(descriptor) * Self.stride)
  }

  var highest: Int32 {
    let word = unsafe UnsafeMutablePointer<Atomic<Int32>>(bitPattern: header)!
    return unsafe word.pointee.load(ordering: .relaxed)
  }

  func canHold(_ descriptor: Int32) -> Bool { address(descriptor) != nil }

  func use(_ descriptor: Int32) -> DescriptorUse {
    guard let address = address(descriptor) else { return .none }
    let word = unsafe UnsafeMutablePointer<Atomic<UInt32>>(bitPattern: address)!
    return unsafe DescriptorUse(rawValue: word.pointee.load(ordering: .acquiring)) ?? .none
  }

  func entry(_ descriptor: Int32) -> DescriptorEntry {
    guard let address = address(descriptor) else { return DescriptorEntry() }
    return unsafe UnsafePointer(bitPattern: address + Self.entryOffset)!.pointee
  }

  func set(
    _ descriptor: Int32, _ use: DescriptorUse, _ entry: DescriptorEntry = DescriptorEntry()
  ) {
    guard let address = address(descriptor) else { return }
    unsafe UnsafeMutablePointer(bitPattern: address + Self.entryOffset)!.pointee = entry
    let word = unsafe UnsafeMutablePointer<Atomic<UInt32>>(bitPattern: address)!
    unsafe word.pointee.store(use.rawValue, ordering: .releasing)
    let highest = unsafe UnsafeMutablePointer<Atomic<Int32>>(bitPattern: header)!
    unsafe highest.pointee.max(descriptor, ordering: .relaxed)
  }

  /// The use there was; the descriptor is tracked no longer.
  func take(_ descriptor: Int32) -> DescriptorUse {
    guard let address = address(descriptor) else { return .none }
    let word = unsafe UnsafeMutablePointer<Atomic<UInt32>>(bitPattern: address)!
    let old = unsafe word.pointee.exchange(
      DescriptorUse.none.rawValue, ordering: .acquiringAndReleasing)
    return DescriptorUse(rawValue: old) ?? .none
  }

  /// Closes a descriptor of ours.
  func closeHidden(_ descriptor: Int32) {
    guard descriptor >= 0 else { return }
    set(descriptor, .none)
    clinux_link_close(descriptor)
  }

  /// Closes a TCP connection of ours; nothing is sent on it any more.
  func resetHidden(_ descriptor: Int32) {
    guard descriptor >= 0 else { return }
    set(descriptor, .none)
    clinux_link_reset(descriptor)
  }
}
