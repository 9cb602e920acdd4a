// The vectors of the repository on the core: the public conformance set, our own filters, hBPF's
// own tests through its page; and what they cost in cycles.
#include <algorithm>
#include <map>

#include "check.hpp"
#include "follow.hpp"
#include "host.hpp"
#include "json.hpp"
#include "random.hpp"

namespace {

std::vector<uint64_t> rowsOf(const std::vector<uint8_t>& bytes) {
  std::vector<uint64_t> rows(bytes.size() / 8);
  memcpy(rows.data(), bytes.data(), rows.size() * 8);
  return rows;
}

std::vector<uint8_t> contents(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (!file) {
    fprintf(stderr, "cannot read %s\n", path.c_str());
    exit(2);
  }
  std::vector<uint8_t> bytes(1 << 20);
  bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
  fclose(file);
  return bytes;
}

// Of instructions, after a reset.
constexpr uint32_t resetLimit = 1048576;

struct Followed {
  Host& host;
  Follower follower;
  explicit Followed(Host& host, FILE* trace) : host(host) {
    follower.trace = trace;
    host.afterClock = [this](Device& device) {
      if (device.retired() & 1) follower.see(device.retired(0));
    };
  }
  // One packet; `after` gets the memory that it leaves.
  Completion run(const uint8_t* memory, uint32_t length, std::vector<uint8_t>& after) {
    memcpy(follower.model.data, memory, 2048);
    follower.start(length);
    Completion completion = host.run(0, length, 0x1234);
    follower.end(completion);
    host.readSlot(0, 0, after.data(), 2048);
    follower.after(after.data());
    return completion;
  }
};

uint64_t r0(Host& host) {
  return uint64_t(host.read32(at::pages + 4)) << 32 | host.read32(at::pages + 8);
}

void conformance(const Options& options, Host& host, FILE* trace, Tally& tally) {
  Json all = Json::file(options.root + "/Tests/Vectors/ebpf/conformance.json");
  Followed core(host, trace);
  Tally here;
  uint64_t cycles = 0, instructions = 0;
  for (const Json& row : all["rows"].items) {
    const char* name = row["name"].string.c_str();
    std::vector<uint64_t> rows = rowsOf(bytesOf(row["prog"].string));
    std::vector<uint8_t> memory = bytesOf(row["mem"].string);
    size_t length = memory.size();
    memory.resize(2048);
    host.writeSlot(0, 0, memory.data(), 2048);
    if (!host.load(rows)) {
      here.check(false, "%s: not loaded", name);
      continue;
    }
    uint64_t before = host.counter(0, 1);
    core.follower.load(rows, std::string("conformance ") + name, resetLimit);
    std::vector<uint8_t> after(2048), expected = memory;
    Completion end = core.run(memory.data(), uint32_t(length), after);
    uint64_t count = host.counter(0, 1) - before;
    bool good;
    if (row["kind"].string == "reject") {
      good = end.fault >= 5 && end.fault <= 8;
      here.check(good, "%s: runs (fault %u)", name, end.fault);
    } else {
      uint64_t value = r0(host);
      if (row["mem_after"].present()) {
        std::vector<uint8_t> start = bytesOf(row["mem_after"].string);
        std::copy(start.begin(), start.end(), expected.begin());
      }
      good = end.fault == 0 && end.cookie == 0x1234 && value == row["r0"].integer()
             && end.verdict == uint32_t(value) && after == expected
             && (!row["insns"].present() || count == row["insns"].integer());
      here.check(good, "%s: r0 %" PRIx64 " (expected %s), fault %u at %u, %" PRIu64 " instructions%s",
                 name, value, row["r0"].string.c_str(), end.fault, end.row, count,
                 after == expected ? "" : ", memory differs");
      cycles += end.cycles;
      instructions += count;
    }
    here.check(!core.follower.differs, "%s: lock-step: %s", name, core.follower.why);
  }
  host.afterClock = nullptr;
  printf("conformance: %zu rows (run and reject), %d passed, %d failed checks (each row: result, lock-step); %.2f cycles/instruction\n",
         all["rows"].items.size(), here.passed, here.failed, double(cycles) / double(instructions));
  tally.passed += here.passed;
  tally.failed += here.failed;
}

void filters(const Options& options, Host& host, FILE* trace, Tally& tally) {
  Json all = Json::file(options.root + "/Tests/Vectors/ebpf/filter-vectors.json");
  for (const char* version : {"v2", "v3"}) {
    Tally here;
    Followed core(host, trace);
    struct Sum { uint64_t packets = 0, cycles = 0, instructions = 0; };
    std::map<std::string, Sum> sums;
    std::string loaded;
    std::vector<uint64_t> rows;
    uint64_t busyBefore = host.counter(0, 2);
    for (const Json& row : all["rows"].items) {
      const std::string& name = row["filter"].string;
      if (name != loaded) {
        rows = rowsOf(contents(options.root + "/ebpf/" + name + "." + version + ".bin"));
        here.check(host.load(rows), "%s: not loaded", name.c_str());
        core.follower.load(rows, name + "." + version, resetLimit);
        loaded = name;
      }
      auto memoryOf = [&](const char* packet, const char* state) {
        std::vector<uint8_t> memory = bytesOf(row[packet].string), rest = bytesOf(row[state].string);
        memory.resize(1536);
        memory.insert(memory.end(), rest.begin(), rest.end());
        memory.resize(2048);
        return memory;
      };
      std::vector<uint8_t> before = memoryOf("packet", "state"), expected = memoryOf("packet_after", "state_after");
      std::vector<uint8_t> after(2048);
      uint32_t length = uint32_t(row["packet"].string.size() / 2);
      uint64_t count = host.counter(0, 1);
      host.writeSlot(0, 0, before.data(), 2048);
      Completion end = core.run(before.data(), length, after);
      bool good = end.fault == 0 && r0(host) == row["r0"].integer() && after == expected;
      here.check(good && !core.follower.differs, "%s.%s %d: r0 %u, expected %d, fault %u; %s%s",
                 name.c_str(), version, int(row["n"].value), end.verdict, int(row["r0"].value), end.fault,
                 after == expected ? "" : "memory differs ", core.follower.differs ? core.follower.why : "");
      Sum& sum = sums[name];
      sum.packets++;
      sum.cycles += end.cycles;
      sum.instructions += host.counter(0, 1) - count;
    }
    Sum total;
    printf("filters %s      instructions/packet  cycles/packet  cycles/instruction\n", version);
    for (auto& [name, sum] : sums) {
      printf("  %-12s %20.1f %14.1f %19.2f\n", name.c_str(), double(sum.instructions) / double(sum.packets),
             double(sum.cycles) / double(sum.packets), double(sum.cycles) / double(sum.instructions));
      total.packets += sum.packets, total.cycles += sum.cycles, total.instructions += sum.instructions;
    }
    double perPacket = double(total.cycles) / double(total.packets);
    double perInstruction = double(total.cycles) / double(total.instructions);
    printf("  %-12s %20.1f %14.1f %19.2f   busy counter: %.1f cycles/packet\n", "all",
           double(total.instructions) / double(total.packets), perPacket, perInstruction,
           double(host.counter(0, 2) - busyBefore) / double(total.packets));
    here.check(perInstruction <= 1.6, "more than 1.6 cycles/instruction");
    here.check(perPacket <= 36, "more than 36 cycles/packet");
    printf("filters %s: %d passed, %d failed\n", version, here.passed, here.failed);
    tally.passed += here.passed;
    tally.failed += here.failed;
    host.afterClock = nullptr;
  }
}

// hBPF's own tests, by 32-bit accesses to its page alone.
void hbpf(const Options& options, Host& host, FILE* trace, Tally& tally) {
  Json all = Json::file(options.root + "/Tests/Vectors/ebpf/hbpf.json");
  Followed core(host, trace);
  Tally here;
  std::string boards;
  host.write(at::coreHBPF, 1);
  host.write(at::control, 1 | 8);  // divisions by zero end a program, as there
  const uint32_t page = at::pages;
  uint64_t cycles = 0, theirs = 0;
  for (const Json& row : all["rows"].items) {
    const char* name = row["name"].string.c_str();
    if (row["calls"].truth && row["name"].string.compare(0, 3, "hw/") == 0) {
      boards += std::string(boards.empty() ? "" : ", ") + name;
      continue;
    }
    std::vector<uint8_t> program = bytesOf(row["prog"].string), memory = bytesOf(row["mem"].string);
    memory.resize(2048);
    host.write32(page + 0x64, 0);
    for (size_t word = 0; word < 2 * 512; word++) {
      if (word % 512 == 0) host.write32(page + 0x68, uint32_t(word / 512));
      uint32_t value = 0;
      for (size_t byte = 4 * word; byte < 4 * word + 4; byte++)
        value = value << 8 | (byte < program.size() ? program[byte] : 0);
      host.write32(page + 0x1000 + 4 * uint32_t(word % 512), value);
    }
    for (size_t byte = 0; byte < 2048; byte++) {
      if (byte % 512 == 0) host.write32(page + 0x6c, uint32_t(byte / 512));
      host.write32(page + 0x1800 + 4 * uint32_t(byte % 512), memory[byte]);
    }
    uint64_t arguments[5];
    for (int index = 1; index <= 5; index++) {
      uint64_t value = arguments[index - 1] = row["args"]["r" + std::to_string(index)].integer();
      host.write32(page + 4 + 8 * uint32_t(index), uint32_t(value >> 32));
      host.write32(page + 8 + 8 * uint32_t(index), uint32_t(value));
    }
    // The page has no length of a program: rows behind it are zero.
    program.resize(512 * 8);
    core.follower.load(rowsOf(program), std::string("hbpf ") + name, resetLimit, true);
    memcpy(core.follower.model.data, memory.data(), 2048);
    core.follower.start(arguments);
    host.write32(page + 0x64, 1);
    uint32_t status = 0;
    uint64_t start = host.cycles;
    while (!((status = host.read32(page)) & 2) && host.cycles - start < 5000000) {}
    uint64_t value = r0(host);
    uint64_t ticks = uint64_t(host.read32(page + 0x5c)) << 32 | host.read32(page + 0x60);
    bool wantsError = row["expect_error"].truth || (row["calls"].truth && row["rtl"]["status"].string == "err");
    // hBPF expects an error of opcode 0x06, which RFC 9669 has as a jump.
    if (row["name"].string == "err-unknown-opcode") wantsError = false;
    bool good = (status & 2) && bool(status & 4) == wantsError
                && (wantsError || !row["r0"].present() || value == row["r0"].integer());
    here.check(good, "hbpf %s: status %x, r0 %" PRIx64 " (expected %s), fault %x", name, status, value,
               row["r0"].string.c_str(), host.read32(page + 0x70));
    uint32_t fault = host.read32(page + 0x70);
    std::vector<uint8_t> after(2048);
    host.readSlot(0, 0, after.data(), 2048);
    core.follower.end(Completion{0, status & 4 ? 0 : uint32_t(value), 0, fault & 0xff, fault >> 16, 0, false});
    core.follower.after(after.data());
    here.check(!core.follower.differs, "hbpf %s: lock-step: %s", name, core.follower.why);
    if (row["rtl"]["status"].string == "ok") {
      cycles += ticks;
      theirs += row["rtl"]["ticks"].integer();
    }
  }
  host.afterClock = nullptr;
  // What was written can be read: program words, bytes of data, registers while in reset.
  host.write32(page + 0x64, 0);
  host.write32(page + 0x68, 1);
  host.write32(page + 0x1000 + 4 * 511, 0x01020304);
  here.check(host.read32(page + 0x1000 + 4 * 511) == 0x01020304 && host.read(at::program + 8 * 511) >> 32 == 0x04030201,
             "hbpf: program words");
  host.write32(page + 0x6c, 3);
  host.write32(page + 0x1800 + 4 * 511, 0xa5);
  uint8_t last = 0;
  std::vector<uint8_t> state(2048);
  host.readSlot(1, 0, state.data(), 2048);
  last = state[2047];
  here.check(host.read32(page + 0x1800 + 4 * 511) == 0xa5 && last == 0xa5, "hbpf: bytes of data");
  host.write32(page + 0x0c, 0x11111111);
  host.write32(page + 0x10, 0x22222222);
  here.check(host.read32(page + 0x0c) == 0x11111111 && host.read32(page + 0x10) == 0x22222222, "hbpf: registers");
  here.check((host.read32(page) & 7) == 0 && host.read32(page + 0x60) == 0, "hbpf: reset clears status and ticks");
  host.write(at::control, 1);
  host.write(at::coreHBPF, 0);
  printf("hBPF's own tests through its page: %d passed, %d failed checks (each: result, lock-step); left out, need its board's call handlers: %s\n",
         here.passed, here.failed, boards.c_str());
  printf("  ticks of the tests that hBPF's RTL ends as stated: %" PRIu64 ", hBPF's %" PRIu64 "\n", cycles, theirs);
  tally.passed += here.passed;
  tally.failed += here.failed;
}

// 32 packets of 64 bytes, handed over and collected as a driver does it.
void busCycles(const Options& options, Host& host, Tally& tally) {
  std::vector<uint64_t> rows = rowsOf(contents(options.root + "/ebpf/count_proto.v3.bin"));
  tally.check(host.load(rows), "count_proto: not loaded");
  std::vector<uint8_t> packet(64, 0x45);
  const int batch = 32;
  uint64_t used = 0, start = host.cycles, polls = 0, empty = 0;
  int slots = host.device.cores * host.device.slotsPerCore, sent = 0, got = 0;
  std::vector<bool> busy(size_t(slots), false);
  while (got < batch) {
    bool any = false;
    uint64_t before = host.requests;
    for (int slot = 0; slot < slots && sent < batch; slot++)
      if (!busy[size_t(slot)]) {
        host.writeSlot(uint32_t(slot), 0, packet.data(), packet.size());
        host.submit(uint32_t(slot), 64, uint32_t(slot));
        busy[size_t(slot)] = any = true;
        sent++;
      }
    if (any) host.ring();
    used += host.requests - before;
    Completion completion;
    before = host.requests;
    polls++;
    if (host.poll(completion)) {
      got++;
      busy[completion.cookie] = false;
      if (got % 8 == 0) host.consumed();
      used += host.requests - before;
    } else empty++;
  }
  double each = double(used) / batch;
  printf("bus, %d packets of 64 bytes, %d core(s), %d slots: %.1f bus cycles/packet to hand over and collect (%.1f more to read the packet back), %.1f clock cycles/packet, %.1f empty polls/packet\n",
         batch, host.device.cores, slots, each, 8.0, double(host.cycles - start) / batch, double(empty) / batch);
  tally.check(each <= 24, "more than 24 bus cycles/packet");
}

}  // namespace

// Programs that the verifier has accepted, as lines of hexadecimal digits: no packet may make one
// fault.
void checkPrograms(const Options& options, Tally& tally) {
  FILE* file = fopen(options.programs.c_str(), "r");
  if (!file) {
    fprintf(stderr, "cannot read %s\n", options.programs.c_str());
    exit(2);
  }
  auto device = Device::make(options.cores);
  Host host(*device);
  FILE* trace = options.trace.empty() ? nullptr : fopen(options.trace.c_str(), "w");
  Followed core(host, trace);
  Random random(options.seed);
  uint64_t programs = 0, packets = 0;
  std::string line;
  host.write(at::control, 1);
  for (int letter; (letter = fgetc(file)) != EOF;) {
    if (letter != '\n') {
      line += char(letter);
      continue;
    }
    std::vector<uint64_t> rows = rowsOf(bytesOf(line));
    line.clear();
    programs++;
    if (!host.load(rows)) {
      tally.check(false, "program %" PRIu64 ": not loaded", programs);
      continue;
    }
    core.follower.load(rows, "accepted " + std::to_string(programs), resetLimit);
    std::string wrong;
    for (int packet = 0; packet < 8 && wrong.empty(); packet++, packets++) {
      std::vector<uint8_t> memory(2048), after(2048);
      for (uint8_t& byte : memory) byte = uint8_t(random.next());
      // IPv4 every other time, so that filters look further.
      if (packet & 1) memory[12] = 8, memory[13] = 0, memory[14] = 0x45;
      host.writeSlot(0, 0, memory.data(), 2048);
      Completion end = core.run(memory.data(), uint32_t(random.below(1537)), after);
      if (end.fault) wrong = "fault " + std::to_string(end.fault) + " at row " + std::to_string(end.row);
      else if (core.follower.differs) wrong = core.follower.why;
    }
    tally.check(wrong.empty(), "program %" PRIu64 ": %s", programs, wrong.c_str());
  }
  printf("accepted programs: %" PRIu64 " on %" PRIu64 " packets, %" PRIu64 " instructions\n", programs, packets,
         core.follower.followed);
  tally.check(programs > 0, "no programs");
  fclose(file);
  if (trace) fclose(trace);
}

void checkVectors(const Options& options, Tally& tally) {
  auto device = Device::make(options.cores);
  Host host(*device);
  FILE* trace = options.trace.empty() ? nullptr : fopen(options.trace.c_str(), "w");
  char magic[9] = {};
  uint64_t word = host.read(0);
  memcpy(magic, &word, 8);
  tally.check(std::string(magic) == "DPUEBPF1", "magic %s", magic);
  tally.check((host.read(0x10) & 0xffff) == uint64_t(options.cores | 2 << 8), "capabilities");
  host.write(at::control, 1);
  conformance(options, host, trace, tally);
  filters(options, host, trace, tally);
  hbpf(options, host, trace, tally);
  busCycles(options, host, tally);
  if (trace) fclose(trace);
}
