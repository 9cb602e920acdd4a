// Random programs, each on several packets, instruction by instruction against the model.
#include <algorithm>

#include "check.hpp"
#include "follow.hpp"
#include "host.hpp"
#include "random.hpp"

namespace {

class Generator {
 public:
  explicit Generator(Random& random) : random(random) {}

  std::vector<uint64_t> program() {
    rows.clear();
    size_t count = 20 + random.below(700);
    callShare = random.chance(40) ? random.chance(30) ? 12 : 3 : 0;
    bool wild = random.chance(15);
    // r6 to r8 start as addresses, so that most accesses hit something.
    for (unsigned index = 0; index < 10; index++) {
      if (index == 1 || index == 2) continue;
      if (index >= 6 && index <= 8 && random.chance(90)) emit(0xb7, index, 0, 0, int32_t(random.below(1600)));
      else if (random.chance(50)) wide(index, number());
      else emit(0xb7, index, 0, 0, int32_t(number()));
    }
    if (random.chance(80)) {
      emit(0xbf, 9, 10, 0, 0);
      emit(0x07, 9, 0, 0, -int32_t(random.below(520)));
    }
    while (rows.size() < count) {
      if (wild && random.chance(1)) rows.push_back(random.next());
      else one(count);
    }
    emit(0x95, 0, 0, 0, 0);
    if (random.chance(3)) rows.pop_back();
    return rows;
  }

  // Every row any bits, with opcodes that exist more often than not.
  std::vector<uint64_t> garbage() {
    rows.clear();
    size_t count = 1 + random.below(12);
    while (rows.size() < count) {
      uint64_t row = random.next();
      static const uint8_t likely[] = {0x18, 0xb7, 0xbf, 0x07, 0x0f, 0xd4, 0xdc, 0xd7, 0x87, 0x84, 0x3f, 0x37, 0x9c,
                                       0xdb, 0xc3, 0x79, 0x91, 0x7a, 0x7b, 0x05, 0x06, 0x15, 0x1d, 0x16, 0x85, 0x8d, 0x95};
      if (random.chance(70)) row = (row & ~0xffull) | likely[random.below(sizeof likely)];
      if (random.chance(80)) row &= ~0xffff0000ull | (random.chance(50) ? 0 : 0x00390000);
      if (random.chance(60)) row &= ~0xf000ull;
      if (random.chance(40)) row &= ~0x0f00ull;
      if (random.chance(40)) row &= 0xffffffffull;
      else if (random.chance(30)) row = (row & 0xffffffff) | random.below(256) << 32;
      if (random.chance(30)) row &= ~0x8000ull & ~0x0800ull;
      rows.push_back(row);
    }
    return rows;
  }

 private:
  Random& random;
  std::vector<uint64_t> rows;
  unsigned callShare = 0;

  void emit(uint8_t op, unsigned d, unsigned s, int16_t off, int32_t imm) {
    rows.push_back(uint64_t(op) | uint64_t(d) << 8 | uint64_t(s) << 12 | uint64_t(uint16_t(off)) << 16
                   | uint64_t(uint32_t(imm)) << 32);
  }
  void wide(unsigned d, uint64_t value) {
    emit(0x18, d, 0, 0, int32_t(value));
    emit(0, 0, 0, 0, int32_t(value >> 32));
  }
  // Numbers at which carry, sign and width go wrong if they do.
  uint64_t number() {
    static const uint64_t edges[] = {0, 1, 2, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                                     0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull};
    switch (random.below(4)) {
      case 0: return edges[random.below(sizeof edges / sizeof *edges)];
      case 1: return random.next() >> random.below(64);
      case 2: return 0 - (random.next() >> random.below(64));
      default: return random.next();
    }
  }
  // A register to write: seldom one of those that hold addresses.
  unsigned target() {
    unsigned index = unsigned(random.below(10));
    return index >= 6 && random.below(60) ? unsigned(random.below(6)) : index;
  }
  unsigned any() { return unsigned(random.below(11)); }

  void one(size_t count) {
    if (random.below(100) < callShare) {
      // A call forward, or an exit that returns or ends.
      if (random.chance(85)) emit(0x85, 0, 1, 0, int32_t(random.below(40)));
      else emit(0x95, 0, 0, 0, 0);
      return;
    }
    unsigned what = unsigned(random.below(100));
    if (what < 42) arithmetic();
    else if (what < 68) memory();
    else if (what < 74) atomic();
    else if (what < 92) {
      jump(count);
    } else if (what < 95) wide(target(), number());
    else if (what < 97) call();
    else arithmetic();
  }

  // Of a helper function, seldom of one that is not there.
  void call() {
    if (random.chance(80)) return emit(0x85, 0, 0, 0, random.chance(97) ? 0 : int32_t(random.below(8)));
    unsigned number = unsigned(random.below(6));
    emit(0xb7, number, 0, 0, random.chance(97) ? 0 : int32_t(random.below(8)));
    emit(0x8d, number, 0, 0, 0);
  }

  void arithmetic() {
    static const uint8_t kinds[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1, 4, 5, 6, 7, 10, 11, 12};
    unsigned kind = kinds[random.below(sizeof kinds)];
    bool is64 = random.chance(50), x = random.chance(60);
    uint8_t op = uint8_t(kind << 4 | (is64 ? 7 : 4));
    unsigned d = target();
    if (kind == 8) return emit(op, d, 0, 0, 0);
    if (kind == 13) {
      static const int32_t widths[] = {16, 32, 64};
      return emit(!is64 && x ? op | 8 : op, d, 0, 0, widths[random.below(3)]);
    }
    int16_t off = 0;
    if ((kind == 3 || kind == 9) && random.chance(50)) off = 1;
    if (kind == 11 && x && random.chance(50)) off = int16_t(8 << random.below(is64 ? 3 : 2));
    if (x) emit(op | 8, d, any(), off, 0);
    else emit(op, d, 0, off, int32_t(number()));
  }

  // A base register and an offset that mostly lie within.
  int16_t offset() {
    return random.below(400) ? int16_t(random.below(440)) : int16_t(number());
  }
  unsigned base() { return random.below(400) ? 6 + unsigned(random.below(3)) : any(); }

  void memory() {
    unsigned size = unsigned(random.below(4));
    bool stack = random.chance(30);
    unsigned from = stack ? 10 : base();
    int16_t off = stack ? int16_t(-int(random.below(random.below(200) ? 512 : 5000)) - 1) : offset();
    if (stack && random.below(200) && off > -8) off = -8;
    uint8_t op = uint8_t(size << 3);
    switch (random.below(5)) {
      case 0: case 1: return emit(op | 0x61, target(), from, off, 0);
      case 2: return emit(size == 3 ? op | 0x61 : op | 0x81, target(), from, off, 0);
      case 3: return emit(op | 0x62, from, 0, off, int32_t(number()));
      default: return emit(op | 0x63, from, any(), off, 0);
    }
  }

  void atomic() {
    static const int32_t operations[] = {0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1};
    bool stack = random.chance(30);
    int16_t off = stack ? int16_t(-8 - int(random.below(500))) : offset();
    emit(random.chance(50) ? 0xdb : 0xc3, stack ? 10 : base(), target(), off, operations[random.below(10)]);
  }

  void jump(size_t count) {
    // Mostly a few rows on; backward now and then, which the instruction limit ends.
    int distance = int(random.below(8));
    if (random.chance(2)) distance = -int(random.below(20)) - 1;
    if (random.below(2000) == 0) distance = int(int16_t(number()));
    if (rows.size() + 12 > count && distance > 0) distance = 0;
    if (random.chance(12)) {
      if (random.chance(50)) emit(0x05, 0, 0, int16_t(distance), 0);
      else emit(0x06, 0, 0, 0, distance);
      return;
    }
    static const uint8_t kinds[] = {1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13};
    uint8_t op = uint8_t(kinds[random.below(sizeof kinds)] << 4 | (random.chance(50) ? 5 : 6));
    if (random.chance(50)) emit(op | 8, any(), any(), int16_t(distance), 0);
    else emit(op, any(), 0, int16_t(distance), int32_t(number()));
  }
};

uint64_t insn(uint8_t op, unsigned d, unsigned s, int off, int64_t imm) {
  return uint64_t(op) | uint64_t(d) << 8 | uint64_t(s) << 12 | uint64_t(uint16_t(off)) << 16
         | uint64_t(uint32_t(imm)) << 32;
}

// Where things begin and end, each with the fault that must come of it.
void directed(Host& host, Follower& follower, Tally& tally) {
  const uint64_t exit = insn(0x95, 0, 0, 0, 0);
  struct Case { const char* name; std::vector<uint64_t> rows; uint32_t fault, row; };
  std::vector<Case> cases = {
      {"recursion", {insn(0x85, 0, 1, 0, -1), exit}, 4, 0},
      {"eight functions", {insn(0x07, 6, 0, 0, 1), insn(0x15, 6, 0, 2, 8), insn(0x85, 0, 1, 0, -3), exit, exit}, 0, 0},
      {"nine functions", {insn(0x07, 6, 0, 0, 1), insn(0x15, 6, 0, 2, 9), insn(0x85, 0, 1, 0, -3), exit, exit}, 4, 2},
      {"endless", {insn(0x05, 0, 0, -1, 0), exit}, 2, 0},
      {"off the end", {insn(0xb7, 0, 0, 0, 1)}, 8, 1},
      {"half a wide load", {insn(0x18, 0, 0, 0, 1)}, 8, 1},
      {"jump before the front", {insn(0x05, 0, 0, -2, 0), exit}, 8, 0},
      {"jump behind the end", {insn(0x05, 0, 0, 1, 0), exit}, 8, 2},
      {"jump behind the memory", {insn(0x05, 0, 0, 4094, 0), exit}, 8, 4095},
      {"jump past the memory", {insn(0x05, 0, 0, 4095, 0), exit}, 8, 0},
      {"long jump far away", {insn(0x06, 0, 0, 0, 0x7fffffff), exit}, 8, 0},
      {"long jump far back", {insn(0x06, 0, 0, 0, -0x7fffffffll - 1), exit}, 8, 0},
      {"call far away", {insn(0x85, 0, 1, 0, 0x40000000), exit}, 8, 0},
      {"branch far away, not taken", {insn(0x15, 0, 0, 0x7fff, 1), exit}, 0, 0},
      {"branch far away", {insn(0x15, 0, 0, 0x7fff, 0), exit}, 8, 0},
      {"middle of a wide load", {insn(0x05, 0, 0, 1, 0), insn(0x18, 0, 0, 0, 1), insn(0, 0, 0, 0, 1), exit}, 5, 2},
      {"write to r10", {insn(0xb7, 10, 0, 0, 1), exit}, 6, 0},
      {"r11", {insn(0xbf, 0, 11, 0, 0), exit}, 6, 0},
      {"helper", {insn(0x85, 0, 0, 0, 7), exit}, 3, 0},
      {"load overwritten, second operand", {insn(0x79, 3, 1, 0, 0), insn(0xb7, 3, 0, 0, 5), insn(0x4f, 0, 3, 0, 0), exit}, 0, 0},
      {"load overwritten, first operand", {insn(0x79, 3, 1, 0, 0), insn(0xb7, 3, 0, 0, 5), insn(0x15, 3, 0, 1, 5), insn(0xb7, 0, 0, 0, 9), exit}, 0, 0},
      {"unwind", {insn(0x85, 0, 0, 0, 5), insn(0xb7, 0, 0, 0, 3), exit}, 0, 0},
  };
  for (uint8_t size = 0; size < 4; size++) {
    int bytes = size == 0 ? 4 : size == 1 ? 2 : size == 2 ? 1 : 8;
    uint8_t load = uint8_t(0x61 | size << 3), store = uint8_t(0x63 | size << 3);
    uint64_t low = insn(0x18, 3, 0, 0, 0), high = insn(0, 0, 0, 0, 0x7fff);  // bottom of the stack
    for (int past = 0; past <= 1; past++) {
      uint32_t fault = past ? 1 : 0;
      cases.push_back({"last of data", {insn(load, 0, 1, 2048 - bytes + past, 0), exit}, fault, 0});
      cases.push_back({"store last of data", {insn(store, 1, 2, 2048 - bytes + past, 0), exit}, fault, 0});
      cases.push_back({"front of data", {insn(load, 0, 1, -past, 0), exit}, fault, 0});
      cases.push_back({"top of the stack", {insn(store, 10, 2, -bytes + past, 0), insn(load, 0, 10, -bytes, 0), exit}, fault, 0});
      cases.push_back({"bottom of the stack", {low, high, insn(store, 3, 2, -past, 0), insn(load, 0, 3, 0, 0), exit}, fault, fault ? 2u : 0});
    }
    for (int at = 1528; at <= 1540; at++)
      cases.push_back({"packet and state", {insn(store, 1, 2, at, 0), insn(load, 0, 1, at, 0), exit}, 0, 0});
    for (int at = 0; at < 16; at++)
      cases.push_back({"stack is zero", {insn(load, 0, 10, -64 + at, 0), insn(store, 10, 2, -64 + at, 0), exit}, 0, 0});
  }
  Tally here;
  std::vector<uint8_t> memory(2048);
  for (size_t at = 0; at < 2048; at++) memory[at] = uint8_t(at * 7 + 3);
  host.write(at::control, 1);
  host.write(at::limit, 1000);
  for (const Case& one : cases) {
    follower.load(one.rows, one.name, 1000);
    here.check(host.load(one.rows), "%s: refused", one.name);
    host.writeSlot(1, 0, memory.data(), 2048);
    memcpy(follower.model.data, memory.data(), 2048);
    follower.start(0x55);
    Completion end = host.run(1, 0x55);
    follower.end(end);
    std::vector<uint8_t> after(2048);
    host.readSlot(1, 0, after.data(), 2048);
    follower.after(after.data());
    here.check(!follower.differs && end.fault == one.fault && end.row == one.row, "%s: fault %u at %u, expected %u at %u; %s",
               one.name, end.fault, end.row, one.fault, one.row, follower.differs ? follower.why : "");
  }
  // Two packets of one core, the second right behind the first: it sees no register of it.
  FILE* trace = follower.trace;
  follower.trace = nullptr;
  follower.differs = true;  // looks away: two packets are on their way at once
  here.check(host.load({insn(0xbf, 0, 7, 0, 0), insn(0xb7, 7, 0, 0, 1), exit}), "two packets: refused");
  for (uint32_t slot = 0; slot < 2; slot++) host.submit(slot, 0x55, slot);
  host.ring();
  for (int packet = 0; packet < 2; packet++) {
    Completion end;
    while (!host.poll(end)) {}
    host.consumed();
    here.check(end.fault == 0 && end.verdict == 0, "two packets: fault %u, verdict %x", end.fault, end.verdict);
  }
  follower.trace = trace;
  printf("ends and faults: %d passed, %d failed\n", here.passed, here.failed);
  tally.passed += here.passed;
  tally.failed += here.failed;
}

}  // namespace

void checkLockstep(const Options& options, Tally& tally) {
  auto device = Device::make(options.cores);
  Host host(*device);
  Random random(options.seed), stalls(options.seed + 77);
  Generator generator(random);
  Follower follower;
  int core = 0;
  FILE* trace = options.trace.empty() ? nullptr : fopen(options.trace.c_str(), "w");
  follower.trace = trace;
  host.afterClock = [&](Device& device) {
    if (device.retired() >> core & 1) follower.see(device.retired(core));
  };
  bool stalling = false;
  host.stalls = [&] { return stalling ? uint32_t(stalls.next()) : 0u; };
  directed(host, follower, tally);
  uint64_t programs = 0, packets = 0, faults[20] = {};
  int failures = 0;
  while (follower.followed < options.instructions && failures < 5) {
    bool garbage = random.chance(60);
    std::vector<uint64_t> rows = garbage ? generator.garbage() : generator.program();
    bool upper = random.chance(50);
    stalling = random.chance(20);
    bool divides = random.chance(10);
    host.write(at::control, divides ? 9 : 1);
    if (!host.load(rows, upper)) {
      tally.check(false, "program %llu is refused", (unsigned long long)programs);
      failures++;
      continue;
    }
    programs++;
    uint32_t limit = random.chance(90) ? 3000 : uint32_t(random.below(60));
    host.write(at::limit, limit);
    follower.load(rows, "random " + std::to_string(programs), limit, divides);
    for (int packet = garbage ? 1 : 12; packet > 0; packet--) {
      core = int(random.below(uint64_t(options.cores)));
      uint32_t slot = uint32_t(core) * 2 + uint32_t(random.below(2));
      uint32_t length = uint32_t(random.below(1537));
      uint8_t memory[2048];
      for (size_t at = 0; at < 2048; at += 8) {
        uint64_t word = random.next();
        memcpy(memory + at, &word, 8);
      }
      if (!garbage) host.writeSlot(slot, 0, memory, 2048);
      else host.readSlot(slot, 0, memory, 2048);
      memcpy(follower.model.data, memory, 2048);
      follower.start(length);
      Completion end = host.run(slot, length, uint32_t(packets));
      follower.end(end);
      packets++;
      faults[end.fault % 20]++;
      if (!follower.differs && !(garbage && packets % 16)) {
        uint8_t after[2048];
        host.readSlot(slot, 0, after, 2048);
        follower.after(after);
      }
      if (follower.differs) {
        tally.check(false, "seed %llu program %llu packet %llu: %s", (unsigned long long)options.seed,
                    (unsigned long long)programs, (unsigned long long)packets, follower.why);
        failures++;
        // The model's memory is wrong now; start from what the core has.
        break;
      }
    }
  }
  printf("lock-step, seed %llu: %llu instructions of %llu random programs on %llu packets; ended by exit %llu, bounds %llu, limit %llu, helper %llu, depth %llu, opcode %llu, register %llu, field %llu, row %llu, division %llu\n",
         (unsigned long long)options.seed, (unsigned long long)follower.followed, (unsigned long long)programs,
         (unsigned long long)packets, (unsigned long long)faults[0], (unsigned long long)faults[1],
         (unsigned long long)faults[2], (unsigned long long)faults[3], (unsigned long long)faults[4],
         (unsigned long long)faults[5], (unsigned long long)faults[6], (unsigned long long)faults[7],
         (unsigned long long)faults[8], (unsigned long long)faults[9]);
  tally.check(failures == 0 && follower.followed >= options.instructions, "lock-step");
  if (trace) fclose(trace);
}
