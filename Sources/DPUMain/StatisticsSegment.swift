import CLinux
import ControlPlane
import DPUCore
import FilterHost
import HostLink
import MQTTOffload
import PipelineHost
import PollLoop
import TCPLite

/// The shared memory that counters stand in, with a directory of what stands where. Another program
/// maps it and reads without asking anybody (docs/operating.md has the layout).
@safe
struct StatisticsSegment {
  private static let layout = 1
  private static let headerBytes = 64
  private static let entryBytes = 128
  private static let nameBytes = entryBytes - 16
  /// Of each worker, both more than twice of what it makes at start; programs loaded later count here
  /// too, until it is full.
  private static let cellBytesPerCore = 256 << 10
  private static let directoryBytesPerCore = 256 << 10

  let memory: StatisticsMemory
  private let base: UInt
  private let directoryOffset: Int

  /// Takes the memory, and lets all counters made from now on stand in it. Nil when there is none:
  /// then they stand in memory of the process, and nothing else is different.
  init?(cores: Int) {
    directoryOffset = Self.headerBytes + cores * Self.cellBytesPerCore
    let byteCount = directoryOffset + cores * Self.directoryBytesPerCore
    var address: UInt = 0
    let descriptor = unsafe clinux_service_shared_memory(UInt64(byteCount), &address)
    guard descriptor >= 0 else { return nil }
    base = address
    memory = StatisticsMemory(
      descriptor: descriptor, byteCount: byteCount, layout: Self.layout)
    CounterArena.use(
      address: address, start: Self.headerBytes, byteCount: cores * Self.cellBytesPerCore)
  }

  // MARK: The directory

  /// Writes what stands where. Once, with all workers made.
  func publish(_ cores: [CoreHandle], ports: [Configuration.Port], links: CounterReader) {
    // Odd: being written (a reader waits). There is one directory for the life of the process.
    store(UInt64(1), at: 24)
    store(UInt64(UInt32(Self.layout)), at: 8)
    store(UInt64(memory.byteCount), at: 16)
    store(UInt64(directoryOffset), at: 32)
    store(clinux_monotonic_nanoseconds(), at: 48)
    var count = 0
    for core in cores {
      add("loop", LoopCounter.self, core.loop, core.core, &count)
      add("stage", StageCounter.self, core.stage, core.core, &count)
      add("handOver", HandOverCounter.self, core.handOver, core.core, &count)
      add("tcp", TCPCounter.self, core.tcp, core.core, &count)
      add("mqtt", MQTTCounter.self, core.mqtt, core.core, &count)
      add("link", LinkCounter.self, core.link, core.core, &count)
      for (index, port) in ports.enumerated() where index < core.ports.count {
        add("port.\(port.name)", PortCounter.self, core.ports[index], core.core, &count)
        add(
          "filter.\(port.name)", FilterCounter.self, core.filterCounters[index], core.core, &count)
      }
      for (slot, reader) in core.pipelineCounters.enumerated() {
        add("pipeline.\(slot)", PipelineCounter.self, reader, core.core, &count)
      }
    }
    add("linkThread", HostLinkCounter.self, links, cores[0].core, &count)
    store(UInt64(count), at: 40)
    // "DPUSTATS", and then even: whole.
    store(0x5354_4154_5355_5044, at: 0)
    store(UInt64(2), at: 24)
  }

  private func add<Key: CounterKey>(
    _ group: Text, _ key: Key.Type, _ reader: CounterReader, _ core: Int, _ count: inout Int
  ) {
    guard let offset = reader.sharedOffset else { return }
    for counter in Key.allCases {
      let place = directoryOffset + count * Self.entryBytes
      guard place + Self.entryBytes <= memory.byteCount else { return }
      let name: Text = "\(group).\(counter.name)"
      store(UInt64(offset + 8 * counter.rawValue), at: place)
      let length = min(name.bytes.count, Self.nameBytes)
      store(UInt64(UInt32(core)) | UInt64(length) << 32, at: place + 8)
      for index in 0..<length {
        unsafe UnsafeMutablePointer<UInt8>(bitPattern: base + UInt(place + 16 + index))?.pointee =
          name.bytes[index]
      }
      count += 1
    }
  }

  private func store(_ value: UInt64, at offset: Int) {
    clinux_service_publish(base + UInt(offset), value)
  }
}
