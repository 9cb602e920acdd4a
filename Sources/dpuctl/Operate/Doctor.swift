import ArgumentParser
import Glibc

/// What this machine lacks to run the firmware, and what to do.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Looks for what keeps a firmware from running well, and says what to do.",
    discussion: """
      Looks at the machine it runs on, so run it on the DPU; with --host only the firmware there is \
      asked. Exit code 2 when something is wrong.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  /// For tests: another machine's files.
  @Option(name: .customLong("machine"), help: .hidden)
  var machine = "/"

  mutating func run() throws {
    let place = options.place(root)
    var findings = place.host == nil ? MachineCheck(root: machine).findings() : []
    findings += Self.firmware(place)
    if options.json || root.options.json {
      print(
        JSONValue.array(
          findings.map {
            .object([
              .init("check", $0.check), .init("state", $0.state.rawValue),
              .init("seen", $0.seen), .init("advice", $0.advice),
            ])
          }
        ).text)
    } else {
      var table = Table([.left("CHECK"), .left("STATE"), .left("SEEN"), .left("ADVICE")])
      for finding in findings {
        table.add([finding.check, finding.state.rawValue, finding.seen, finding.advice])
      }
      print(table.text)
    }
    if findings.contains(where: { $0.state == .bad }) {
      throw Failure.refused("something is wrong; the table says what")
    }
  }

  private static func firmware(_ place: FirmwarePlace) -> [Finding] {
    let firmware: FirmwareConnection
    do { firmware = try FirmwareConnection(place) } catch {
      return [
        Finding(
          "firmware", .bad, (error as? Failure)?.message ?? "not reached",
          "start it: systemctl start dpu")
      ]
    }
    var findings: [Finding] = []
    if let answer = try? firmware.call("version.get") {
      let note = FirmwareConnection.versionNote(answer)
      findings.append(
        Finding(
          "version", note == nil ? .good : .doubtful, answer["version"].cell,
          note == nil ? "" : "use the dpuctl of the firmware's release"))
    }
    if let answer = try? firmware.call("system.health") {
      for check in answer["checks"].elements {
        findings.append(
          Finding(
            check["name"].cell, check["ok"].isTrue ? .good : .doubtful, check["detail"].cell, ""))
      }
    }
    if let answer = try? firmware.call("system.rights") {
      let mask = answer["capabilities"].cell
      let isFree = mask.dropFirst(2).allSatisfy { $0 == "0" }
      findings.append(
        Finding(
          "rights", isFree && answer["confined"].isTrue ? .good : .doubtful,
          "\(isFree ? "no capabilities" : "capabilities \(mask)"), "
            + (answer["confined"].isTrue ? "calls confined" : "all system calls"),
          isFree ? "" : "af_xdp and mlx5 need some; else see security in the configuration"))
    }
    return findings
  }
}

/// One thing that was looked at.
struct Finding: Equatable {
  enum State: String { case good = "ok", doubtful = "doubtful", bad = "bad" }
  var check: String
  var state: State
  var seen: String
  /// Empty when there is nothing to do.
  var advice: String

  init(_ check: String, _ state: State, _ seen: String, _ advice: String) {
    self.check = check
    self.state = state
    self.seen = seen
    self.advice = advice
  }
}

/// Looks at a machine's /proc and /sys.
struct MachineCheck {
  /// Where they are; another place for tests.
  var root: String

  func findings() -> [Finding] {
    [hugePages(), iommu(), vfio(), devices(), lockedMemory(), shim()]
  }

  private func text(_ path: String) -> String? {
    let descriptor = open(root + "/" + path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return ByteStream.rest(of: descriptor).map { String(decoding: $0, as: UTF8.self) }
  }

  private func names(_ path: String) -> [String] {
    guard let folder = opendir(root + "/" + path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private func hugePages() -> Finding {
    var values: [String: Int] = [:]
    for line in (text("proc/meminfo") ?? "").split(separator: "\n") {
      let parts = line.split(whereSeparator: { " :".contains($0) })
      if parts.count >= 2 { values[String(parts[0])] = Int(parts[1]) }
    }
    let total = values["HugePages_Total"] ?? 0
    let size = (values["Hugepagesize"] ?? 0) / 1_024
    return total > 0
      ? Finding(
        "huge pages", .good, "\(total) of \(size) MiB, \(values["HugePages_Free"] ?? 0) free", "")
      : Finding(
        "huge pages", .doubtful, "none",
        "echo 512 >/proc/sys/vm/nr_hugepages, or --no-huge in eal for kernel-backed devices")
  }

  private func iommu() -> Finding {
    let groups = names("sys/kernel/iommu_groups").count
    return groups > 0
      ? Finding("IOMMU", .good, "\(groups) groups", "")
      : Finding(
        "IOMMU", .doubtful, "off",
        "vfio-pci needs it: switch it on in the machine's setup, or use uio_pci_generic")
  }

  private func vfio() -> Finding {
    let drivers = names("sys/bus/pci/drivers").filter {
      ["vfio-pci", "uio_pci_generic", "igb_uio"].contains($0)
    }
    return drivers.isEmpty
      ? Finding("user drivers", .doubtful, "none loaded", "modprobe vfio-pci")
      : Finding("user drivers", .good, drivers.joined(separator: ", "), "")
  }

  /// Network devices of the PCI bus and the drivers that have them.
  private func devices() -> Finding {
    var seen: [String] = []
    for device in names("sys/bus/pci/devices") {
      guard text("sys/bus/pci/devices/\(device)/class")?.hasPrefix("0x02") == true else { continue }
      var target = [CChar](repeating: 0, count: 4_096)
      let length = readlink(
        root + "/sys/bus/pci/devices/\(device)/driver", &target, target.count - 1)
      let path = String(
        decoding: target.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      seen.append("\(device) \(path.split(separator: "/").last ?? "no driver")")
    }
    return seen.isEmpty
      ? Finding("network devices", .doubtful, "none on the PCI bus", "virtual devices still work")
      : Finding("network devices", .good, seen.joined(separator: ", "), "")
  }

  private func lockedMemory() -> Finding {
    for line in (text("proc/self/limits") ?? "").split(separator: "\n")
    where line.hasPrefix("Max locked memory") {
      let soft = line.split(separator: " ").dropFirst(3).first.map(String.init) ?? ""
      if soft == "unlimited" || (Int(soft) ?? 0) >= 1 << 30 {
        return Finding("locked memory", .good, soft, "")
      }
      return Finding(
        "locked memory", .doubtful, "\(soft) bytes",
        "vfio locks all huge pages: LimitMEMLOCK=infinity in the unit, ulimit -l by hand")
    }
    return Finding("locked memory", .doubtful, "unknown", "")
  }

  private func shim() -> Finding {
    for path in ["usr/lib/dpu/libdpushim.so", "usr/local/lib/dpu/libdpushim.so"]
    where access(root + "/" + path, R_OK) == 0 {
      return Finding("broker shim", .good, "/" + path, "")
    }
    return Finding(
      "broker shim", .good, "not on this machine", "it belongs where the broker runs")
  }
}
