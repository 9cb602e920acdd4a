// swift-tools-version: 6.2
// One manifest, two ways to compile the same sources:
//
//   swift build / swift test      ordinary Swift: engines, tests, dpuctl, benchmarks
//   DPU_EMBEDDED=1 swift build    Embedded Swift: the firmware `dpu` and the broker shim
//
// `./dev build` sets the environment and the linker flags; see docs/building.md.
import Foundation
import PackageDescription

let embedded = Context.environment["DPU_EMBEDDED"] == "1"
/// Root of an arm64 Debian tree when cross-compiling, nil for the machine we are on.
let sysroot = Context.environment["DPU_SYSROOT"]
/// `-march`/`-mcpu` value of the C code; the DPDK headers need at least SSE4.2 on x86-64.
let cpu = Context.environment["DPU_CPU"] ?? (sysroot == nil ? "corei7" : "cortex-a72")

let swiftSettings: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableExperimentalFeature("Lifetimes"),
    .enableExperimentalFeature("Extern"),
  ] + (embedded ? [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"])] : [])

/// Tests and host tools. No strict memory safety: the testing macros expand to unsafe code.
let hostSwiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
]

func cFlags(_ extra: [String] = []) -> [CSetting] {
  var flags = ["-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-O2"] + extra
  if let sysroot {
    flags += ["--target=aarch64-linux-gnu", "--sysroot=\(sysroot)", "-mcpu=\(cpu)"]
  } else {
    flags += ["-march=\(cpu)"]
  }
  return [.unsafeFlags(flags)]
}

let triplet = sysroot == nil ? "x86_64-linux-gnu" : "aarch64-linux-gnu"
let includeRoot = (sysroot ?? "") + "/usr/include"
let dpdkFlags = [
  "-include", "rte_config.h", "-isystem", "\(includeRoot)/dpdk",
  "-isystem", "\(includeRoot)/\(triplet)/dpdk",
]

/// A firmware module: compiled as Embedded Swift for the DPU and as ordinary Swift for the tests.
func engine(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
    swiftSettings: hostSwiftSettings)
}

/// A libFuzzer program for one parser; built by Fuzz/run only.
func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  let folder = Context.packageDirectory + "/Fuzz/" + name
  let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return .executableTarget(
    name: "fuzz-\(name)", dependencies: dependencies + ["DPUCore"], path: "Fuzz/\(name)",
    exclude: files.filter { !$0.hasSuffix(".swift") }, swiftSettings: hostSwiftSettings)
}

var targets: [Target] = [
  .target(name: "CLinux", cSettings: cFlags()),
  .target(
    name: "CJansson", cSettings: cFlags(["-isystem", includeRoot]),
    linkerSettings: embedded ? [] : [.linkedLibrary("jansson")]),
  engine("DPUCore"),
  engine("Frames", ["DPUCore"]),
  engine("PacketWire", ["DPUCore"]),
  engine("TCPLite", ["PacketWire", "DPUCore"]),
  engine("MQTTWire", ["DPUCore"]),
  engine("TopicTrie", ["DPUCore"]),
  engine("HostLink", ["DPUCore"]),
  engine("MQTTOffload", ["TCPLite", "MQTTWire", "TopicTrie", "HostLink", "PacketWire", "DPUCore"]),
  engine("PollLoop", ["Frames", "DPUCore"]),
  engine("JSONText", ["CJansson", "DPUCore"]),
  engine("HBPFBridge", ["DPUCore"]),
  engine("HostPages", ["CLinux", "HBPFBridge"]),
  engine("P4Pipelines", ["PacketWire", "JSONText", "DPUCore"]),
  engine("ControlPlane", ["CLinux", "JSONText", "DPUCore"]),
  engine(
    "FilterHost",
    [
      "HBPFBridge", "HostPages", "ControlPlane", "PollLoop", "Frames", "JSONText", "DPUCore",
      "CLinux",
    ]),
  engine(
    "PipelineHost", ["P4Pipelines", "ControlPlane", "PollLoop", "Frames", "JSONText", "DPUCore"]),
]

if embedded {
  targets += [
    .target(name: "CDPDK", cSettings: cFlags(dpdkFlags)),
    engine("DPDKPort", ["CDPDK", "Frames", "DPUCore"]),
    .executableTarget(
      name: "DPUMain",
      dependencies: [
        "DPDKPort", "PollLoop", "ControlPlane", "PipelineHost", "FilterHost", "P4Pipelines",
        "JSONText", "MQTTOffload", "TCPLite", "HostLink", "PacketWire", "Frames", "DPUCore",
        "CLinux",
      ], swiftSettings: swiftSettings),
    .executableTarget(
      name: "p4bench", dependencies: ["P4Pipelines", "JSONText", "DPUCore", "CLinux"],
      path: "Benchmarks/p4/p4bench", swiftSettings: swiftSettings,
      linkerSettings: [
        .unsafeFlags(
          ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"].flatMap {
            ["-Xlinker", "--wrap=\($0)"]
          })
      ]),
    .executableTarget(
      name: "ebpfcheck", dependencies: ["HBPFBridge", "HostPages", "DPUCore", "CLinux"],
      path: "cross/ebpfcheck", swiftSettings: swiftSettings),
    .executableTarget(
      name: "ebpflockstep", dependencies: ["HBPFBridge", "HostPages", "DPUCore", "CLinux"],
      path: "gateware/lockstep", swiftSettings: swiftSettings),
    .executableTarget(
      name: "ebpfbench", dependencies: ["HBPFBridge", "HostPages", "DPUCore", "CLinux"],
      path: "Benchmarks/ebpf/ebpfbench", swiftSettings: swiftSettings),
    .target(
      name: "BrokerShim", dependencies: ["HostLink", "DPUCore", "CLinux"],
      exclude: ["exports.map"], swiftSettings: swiftSettings,
      linkerSettings: [
        .unsafeFlags([
          "-Xlinker",
          "--version-script=\(Context.packageDirectory)/Sources/BrokerShim/exports.map",
        ])
      ]),
  ]
} else {
  targets += [
    .executableTarget(
      name: "dpuctl",
      dependencies: [
        .product(name: "ArgumentParser", package: "swift-argument-parser"), "P4Pipelines",
        "HBPFBridge", "HostPages", "JSONText", "DPUCore", "CLinux",
      ],
      swiftSettings: hostSwiftSettings),
    .systemLibrary(name: "CEpoll", path: "Benchmarks/CEpoll"),
    .executableTarget(
      name: "mqttbench", dependencies: ["CEpoll"], path: "Benchmarks/mqttbench",
      swiftSettings: hostSwiftSettings),
    .executableTarget(
      name: "linkrelay", dependencies: ["HostLink", "DPUCore", "CLinux"],
      path: "Tests/EndToEnd/link/linkrelay", swiftSettings: hostSwiftSettings),
    tests("DPUCore", []),
    tests("Frames", ["DPUCore"]),
    tests("PacketWire", ["DPUCore"]),
    tests("TCPLite", ["PacketWire", "DPUCore"]),
    tests("MQTTWire", ["DPUCore"]),
    tests("TopicTrie", ["DPUCore"]),
    tests("HostLink", ["DPUCore"]),
    tests(
      "MQTTOffload", ["TCPLite", "MQTTWire", "TopicTrie", "HostLink", "PacketWire", "DPUCore"]),
    tests("PollLoop", ["Frames", "DPUCore"]),
    tests("JSONText", ["DPUCore"]),
    .target(
      name: "ModelFPGA", dependencies: ["HBPFBridge", "DPUCore"], path: "Tests/Support/ModelFPGA",
      swiftSettings: hostSwiftSettings),
    .target(
      name: "BareSource", dependencies: ["ControlPlane", "JSONText", "DPUCore"],
      path: "Tests/Support/BareSource", swiftSettings: hostSwiftSettings),
    tests("HBPFBridge", ["HostPages", "DPUCore", "dpuctl", "ModelFPGA"]),
    tests("P4Pipelines", ["JSONText", "DPUCore"]),
    tests("ControlPlane", ["JSONText", "DPUCore", "dpuctl"]),
    tests(
      "FilterHost",
      [
        "ModelFPGA", "BareSource", "HBPFBridge", "ControlPlane", "PollLoop", "Frames", "JSONText",
        "DPUCore",
      ]),
    tests(
      "PipelineHost",
      ["BareSource", "P4Pipelines", "ControlPlane", "PollLoop", "Frames", "JSONText", "DPUCore"]),
  ]
}

if Context.environment["DPU_FUZZ"] == "1" {
  targets += [
    fuzzer("configuration", ["ControlPlane", "JSONText"]),
    fuzzer("ebpf", ["HBPFBridge"]),
    fuzzer("hostlink", ["HostLink"]),
    fuzzer("hostlinkstream", ["HostLink"]),
    fuzzer("mqtt", ["MQTTWire"]),
    fuzzer("offload", ["MQTTOffload", "HostLink", "MQTTWire", "TCPLite", "PacketWire"]),
    fuzzer("requests", ["ControlPlane", "JSONText"]),
    fuzzer("p4program", ["P4Pipelines", "JSONText"]),
    fuzzer("tcp", ["TCPLite", "PacketWire"]),
    fuzzer("topics", ["TopicTrie", "MQTTWire"]),
    fuzzer("updates", ["P4Pipelines", "JSONText"]),
  ]
}

let package = Package(
  name: "dpu",
  products: embedded
    ? [.library(name: "dpushim", type: .dynamic, targets: ["BrokerShim"])] : [],
  dependencies: embedded
    ? [] : [.package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")],
  targets: targets
)
