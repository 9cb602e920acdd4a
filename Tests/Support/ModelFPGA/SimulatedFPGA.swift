import DPUCore
import Glibc

/// The model behind a file, as docs/ebpf-registers.md describes it for the simulated FPGA: a thread
/// that obeys the access area, carries doorbells and packets, and writes completions.
package final class SimulatedFPGA: @unchecked Sendable {
  package let path: String
  package let device: ModelDevice
  /// Registers do not answer meanwhile.
  package nonisolated(unsafe) var isSilent = false
  private let base: UnsafeMutableRawPointer
  private let bytes = 0x42000
  private var thread = pthread_t()
  private var stops = false
  private var request: UInt64 = 0
  private var tail: UInt64 = 0
  private var completions = 0

  package init(cores: Int = 1) {
    path = "/tmp/model-fpga-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    device = ModelDevice(cores: cores)
    let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
    precondition(descriptor >= 0 && ftruncate(descriptor, bytes) == 0)
    base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)!
    close(descriptor)
    store(0x314d_4953_4655_5044, at: 0x40000)
    let reference = Unmanaged.passUnretained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<SimulatedFPGA>.fromOpaque(argument!).takeUnretainedValue().serve()
        return nil
      }, reference)
  }

  /// Ends the thread and removes the file. Nothing may use the file afterwards.
  package func stop() {
    stops = true
    pthread_join(thread, nil)
    munmap(base, bytes)
    unlink(path)
  }

  private func load(_ offset: Int) -> UInt64 {
    base.load(fromByteOffset: offset, as: UInt64.self)
  }

  private func store(_ value: UInt64, at offset: Int) {
    base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
  }

  @inline(never)
  private func serve() {
    while !stops {
      if !isSilent, load(0x40020) != request { obey() }
      if load(0x50) != tail { carry() }
      sched_yield()
    }
  }

  private func obey() {
    request = load(0x40020)
    let operation = load(0x40008)
    let width = Int(operation >> 8 & 0xff)
    let offset = Int(load(0x40010))
    for index in 0..<Int(load(0x40018)) {
      let place = offset + index * width
      if operation & 1 == 1 {
        if place == 0x18, load(0x41000) & 2 != 0 { tail = 0; completions = 0 }
        device.write(place, load(0x41000 + 8 * index), width: width)
      } else {
        store(device.read(place, width: width), at: 0x41000 + 8 * index)
      }
    }
    store(0, at: 0x40030)
    store(request, at: 0x40028)
  }

  /// Descriptors with their packets over the bus, the doorbell, and everything back.
  private func carry() {
    let new = load(0x50)
    if device.isDead || new == 0 { tail = new; return }
    var slots: [(slot: Int, count: Int)] = []
    var number = tail
    while number != new {
      let place = 0x1000 + Int(number & 255) * 16
      let second = load(place + 8)
      device.set(place, load(place))
      device.set(place + 8, second)
      let slot = Int(second & 0xffff)
      let count = (Int(second >> 16 & 0xffff) + 7) / 8 * 8
      for at in stride(from: 0, to: count, by: 8) {
        device.set(0x10000 + slot * 0x800 + at, load(0x10000 + slot * 0x800 + at))
      }
      slots.append((slot, count))
      number = number + 1 & 0xffff
    }
    tail = new
    device.write(0x50, new, width: 8)
    for entry in slots where completions < Int(device.completionTail) {
      for at in stride(from: 0, to: entry.count, by: 8) {
        let place = 0x10000 + entry.slot * 0x800 + at
        store(device.get(place), at: place)
      }
      let place = 0x2000 + (completions & 255) * 16
      store(device.get(place), at: place)
      store(device.get(place + 8), at: place + 8)
      completions += 1
    }
  }
}
