// Many packets on all cores at once while things go wrong: cores freeze and are reset, programs
// fault, loop and are exchanged, rings fill, descriptors and doorbells are nonsense. Each
// descriptor must come back exactly once, with its own result.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "check.hpp"
#include "host.hpp"
#include "random.hpp"

namespace {

uint64_t insn(uint8_t op, unsigned d, unsigned s, int off, int64_t imm) {
  return uint64_t(op) | uint64_t(d) << 8 | uint64_t(s) << 12 | uint64_t(uint16_t(off)) << 16
         | uint64_t(uint32_t(imm)) << 32;
}

enum Kind : uint8_t { plain = 0, faulty = 1, endless = 2 };

// Packet: cookie, kind, -, loops (16 bits). Answers with the cookie changed by `key`, writes it and
// the length into the packet, counts in the state.
std::vector<uint64_t> programOf(uint32_t key) {
  return {
      insn(0x61, 6, 1, 0, 0),            // r6 = cookie
      insn(0x71, 3, 1, 4, 0),            // r3 = kind
      insn(0x69, 4, 1, 6, 0),            // r4 = loops
      insn(0x15, 3, 0, 11, faulty),
      insn(0x15, 3, 0, 12, endless),
      insn(0x15, 4, 0, 2, 0),
      insn(0x07, 4, 0, 0, -1),
      insn(0x05, 0, 0, -3, 0),
      insn(0xb7, 5, 0, 0, 1),
      insn(0xdb, 1, 5, 1536, 0),         // state += 1
      insn(0xbc, 0, 6, 0, 0),
      insn(0xa4, 0, 0, 0, int32_t(key)),
      insn(0x63, 1, 0, 8, 0),
      insn(0x7b, 1, 2, 16, 0),
      insn(0x95, 0, 0, 0, 0),
      insn(0x79, 0, 1, 4000, 0),         // out of bounds
      insn(0x95, 0, 0, 0, 0),
      insn(0x05, 0, 0, -1, 0),
  };
}

struct Sent {
  uint32_t slot, length, number;
  Kind kind;
  uint32_t refusal;       // expected fault code, 0 if the descriptor is good
  uint32_t generation;    // of the program that was active when it was submitted
  bool coreWasReset = false;
};

}  // namespace

void checkStress(const Options& options, Tally& tally) {
  auto device = Device::make(options.cores);
  Host host(*device);
  Random random(options.seed), freezing(options.seed + 1);
  const int slots = device->cores * device->slotsPerCore;
  uint64_t held = 0;
  unsigned freeze = 0;
  host.stalls = [&] {
    uint32_t mask = freeze == 0 ? 0 : freeze == 1 ? uint32_t(freezing.next() & freezing.next()) : uint32_t(freezing.next());
    return mask;
  };

  auto key = [](uint32_t generation) { return generation * 0x9e3779b1u; };
  tally.check(host.load(programOf(key(1))), "program 1 is refused");
  host.write(at::control, 1);
  host.write(at::limit, 400);

  std::map<uint32_t, Sent> out;  // by cookie
  std::vector<bool> busy(size_t(slots), false);
  std::vector<uint64_t> counted(size_t(device->cores), 0), resets(size_t(device->cores), 0);
  uint64_t ok = 0, faults = 0, limits = 0, lost = 0, refusals = 0, exchanged = 0, fulls = 0, doorbells = 0;
  uint32_t nextCookie = 1;
  bool inOrder = false, consumes = true;
  uint32_t nextNumber = 0;  // of the descriptor that must end next, in order
  uint64_t done = 0, lastProgress = 0;
  bool exchanging = false;
  auto active = [&] { return exchanging ? host.generation - 1 : host.generation; };
  int errors = 0;
  auto bad = [&](const std::string& why) {
    errors++;
    tally.check(false, "seed %llu, packet %llu: %s", (unsigned long long)options.seed, (unsigned long long)done, why.c_str());
  };

  auto collect = [&](const Completion& end) {
    done++;
    lastProgress = host.cycles;
    auto found = out.find(end.cookie);
    if (found == out.end()) return bad("completion of a cookie that is not out: " + std::to_string(end.cookie));
    Sent sent = found->second;
    out.erase(found);
    if (inOrder && sent.number != nextNumber) bad("out of order");
    nextNumber++;
    if (end.length != sent.length) bad("another length");
    if (sent.refusal) {
      refusals++;
      // A slot may have been given back before the descriptor that wanted it was looked at, which
      // the driver cannot know; the tests submit it while nothing can end.
      if (end.fault != sent.refusal) bad("refused with " + std::to_string(end.fault) + ", expected " + std::to_string(sent.refusal));
      return;
    }
    size_t core = sent.slot / uint32_t(device->slotsPerCore);
    busy[sent.slot] = false;
    if (end.fault == 16) {
      lost++;
      resets[core]++;
      if (!sent.coreWasReset) bad("reset without a reset");
      return;
    }
    uint32_t expected = sent.kind == faulty ? 1 : sent.kind == endless ? 2 : 0;
    if (end.fault != expected) return bad("fault " + std::to_string(end.fault) + ", expected " + std::to_string(expected));
    if (expected) {
      if (expected == 1 && end.row != 15) bad("fault at another row");
      (expected == 1 ? faults : limits)++;
      return;
    }
    ok++;
    counted[core]++;
    uint32_t cookie = end.cookie;
    bool good = false;
    for (uint32_t generation = sent.generation; generation <= host.generation; generation++)
      good = good || end.verdict == (cookie ^ key(generation));
    if (!good) bad("another packet's verdict");
    if (random.below(4) == 0) {
      uint8_t packet[24];
      host.readSlot(sent.slot, 0, packet, 24);
      uint32_t own, answer;
      uint64_t length;
      memcpy(&own, packet, 4), memcpy(&answer, packet + 8, 4), memcpy(&length, packet + 16, 8);
      if (own != cookie || answer != end.verdict || length != sent.length) bad("another packet's memory");
    }
  };

  auto drain = [&] {
    uint64_t start = host.cycles;
    Completion end;
    while (!out.empty() && host.cycles - start < 3000000) {
      if (host.poll(end)) collect(end);
      else host.clock();
      host.consumed();
    }
    if (!out.empty()) {
      bad(std::to_string(out.size()) + " descriptors never came back");
      for (auto& [cookie, sent] : out)
        printf("  cookie %u, slot %u, kind %d, reset %d\n", cookie, sent.slot, sent.kind, sent.coreWasReset);
      printf("  status %llx, busy slots %llx, head %llu of %llu\n", (unsigned long long)host.read(at::status),
             (unsigned long long)host.read(at::slotsBusy), (unsigned long long)host.read(at::submitHead),
             (unsigned long long)host.read(at::submitTail));
    }
  };

  // A packet for each free slot, or for most of them.
  auto handOver = [&](bool all) {
    bool any = false;
    for (int slot = 0; slot < slots; slot++) {
      if (busy[size_t(slot)] || (!all && random.chance(20))) continue;
      uint32_t cookie = nextCookie++;
      uint32_t length = 24 + uint32_t(random.below(1513));
      Kind kind = random.chance(96) ? plain : random.chance(70) ? faulty : endless;
      uint64_t words[3] = {cookie | uint64_t(kind) << 32 | (random.chance(90) ? random.below(4) : random.below(60)) << 48, random.next(), 0};
      host.writeSlot(uint32_t(slot), 0, reinterpret_cast<uint8_t*>(words), 24);
      out[cookie] = {uint32_t(slot), length, host.tail, kind, 0, active(), bool(held >> (slot / device->slotsPerCore) & 1)};
      host.submit(uint32_t(slot), length, cookie);
      busy[size_t(slot)] = true;
      any = true;
      if (random.below(200) == 0) {  // a descriptor that must be refused
        uint32_t wrong = nextCookie++;
        bool slotWrong = random.chance(50);
        uint32_t wrongSlot = slotWrong ? uint32_t(slots) + uint32_t(random.below(1000)) : uint32_t(slot);
        uint32_t wrongLength = slotWrong ? 64 : 1537 + uint32_t(random.below(1000));
        out[wrong] = {wrongSlot, wrongLength, host.tail, plain, 17, active()};
        host.submit(wrongSlot, wrongLength, wrong);
      }
    }
    if (any) host.ring();
  };

  while (done < options.packets && errors < 10) {
    handOver(false);

    // Collect.
    Completion end;
    for (int polls = 0; polls < 8 && host.poll(end); polls++) collect(end);
    if (consumes) host.consumed();
    for (uint64_t wait = random.below(30); wait > 0; wait--) host.clock();
    if (exchanging && ((host.read(at::status) >> 2 & 3) != 1)) {
      exchanging = false;
      exchanged++;
      if (host.read(at::activeGeneration) != host.generation) bad("the program was not exchanged");
    }

    // Disturb.
    switch (random.below(400)) {
      case 0: freeze = unsigned(random.below(3)); break;
      case 1: {  // reset a core for a while
        int core = int(random.below(uint64_t(device->cores)));
        held |= 1ull << core;
        for (auto& [cookie, sent] : out)
          if (int(sent.slot) / device->slotsPerCore == core) sent.coreWasReset = true;
        host.write(at::coreReset, held);
        break;
      }
      case 2: case 3: case 4:
        if (held) {  // descriptors arrive in just the cycles in which the reset ends
          handOver(true);
          for (uint64_t wait = random.below(12); wait > 0; wait--) host.clock();
        }
        held = 0;
        host.write(at::coreReset, 0);
        break;
      case 5:  // a program in the other half, while packets run
        if (!exchanging) {
          std::vector<uint64_t> rows = programOf(key(host.generation + 1));
          bool upper = host.generation & 1;
          for (size_t row = 0; row < rows.size(); row++)
            host.write(at::program + 8 * uint32_t(row + (upper ? 2048 : 0)), rows[row]);
          host.write(at::programLength, rows.size() | (upper ? 1 << 16 : 0));
          host.write(at::programChecksum, checksum(rows));
          host.write(at::programGeneration, ++host.generation);
          exchanging = true;
        }
        break;
      case 6: {  // a checksum that is wrong changes nothing
        if (exchanging) break;
        uint64_t before = host.read(at::activeGeneration);
        host.write(at::programChecksum, random.next() & 0xffffffff);
        host.write(at::programGeneration, host.generation + 1);
        while ((host.read(at::status) >> 2 & 3) == 1) {}
        if ((host.read(at::status) >> 2 & 3) != 3 || host.read(at::activeGeneration) != before) bad("a wrong checksum was taken");
        host.write(at::programGeneration, host.generation);
        while ((host.read(at::status) >> 2 & 3) == 1) {}
        break;
      }
      case 7:  // doorbells far off
        host.write(at::submitTail, (host.tail + 1000) & 0xffff);
        host.write(at::completionHead, (host.head + 300) & 0xffff);
        doorbells += 2;
        break;
      case 8: {  // order may change when nothing is out
        freeze = 0;
        held = 0;
        host.write(at::coreReset, 0);
        drain();
        inOrder = !inOrder;
        nextNumber = host.tail;
        host.write(at::control, inOrder ? 5 : 1);
        break;
      }
      case 9: {  // the same slot twice, while its core may not start it
        freeze = 0;
        held = 0;
        host.write(at::coreReset, 0);
        drain();
        host.write(at::coreEnable, 0);
        uint32_t slot = uint32_t(random.below(uint64_t(slots)));
        uint64_t words[3] = {nextCookie, 0, 0};
        host.writeSlot(slot, 0, reinterpret_cast<uint8_t*>(words), 24);
        out[nextCookie] = {slot, 24, host.tail, plain, 0, active()};
        busy[slot] = true;
        host.submit(slot, 24, nextCookie++);
        out[nextCookie] = {slot, 24, host.tail, plain, 18, active()};
        host.submit(slot, 24, nextCookie++);
        host.ring();
        for (int wait = 0; wait < 30; wait++) host.clock();
        host.write(at::coreEnable, 0xff);
        break;
      }
      case 10: consumes = false; break;   // the completion ring fills
      default: break;
    }
    if (!consumes && host.read(at::completionTail) == ((host.head & ~0xffffu) | ((host.read(at::completionHead) + 256) & 0xffff))) {
      // However much ends now, none of it may be written.
      fulls++;
      handOver(true);
      for (int wait = 0; wait < 2000; wait++) host.clock();
      if (host.read(at::completionTail) != ((host.read(at::completionHead) + 256) & 0xffff)) bad("the full ring was written");
      while (host.poll(end)) collect(end);
      uint64_t tail = host.read(at::completionTail);
      if (((tail - host.read(at::completionHead)) & 0xffff) != 256) bad("the full ring moved on");
      consumes = true;
      host.consumed();
    }
    if (host.cycles - lastProgress > 2000000) {
      bad("nothing comes back any more");
      break;
    }
  }
  freeze = 0;
  host.write(at::coreReset, 0);
  consumes = true;
  host.consumed();
  drain();
  for (int core = 0; core < device->cores; core++) {
    uint64_t state;
    host.readSlot(uint32_t(core * device->slotsPerCore), 1536, reinterpret_cast<uint8_t*>(&state), 8);
    if (state < counted[size_t(core)] || state > counted[size_t(core)] + resets[size_t(core)])
      bad("core " + std::to_string(core) + " counted " + std::to_string(state));
  }
  uint64_t last = host.read(at::refused);
  if ((last & 0xffffffff) != refusals) bad("refused: " + std::to_string(last & 0xffffffff));
  printf("stress, %d core(s), seed %llu: %llu descriptors, %llu ended well, %llu out of bounds, %llu endless, %llu reset, %llu refused; programs exchanged %llu, full rings %llu, wrong doorbells %llu; %llu cycles; %d errors\n",
         device->cores, (unsigned long long)options.seed, (unsigned long long)done, (unsigned long long)ok,
         (unsigned long long)faults, (unsigned long long)limits, (unsigned long long)lost,
         (unsigned long long)refusals, (unsigned long long)exchanged, (unsigned long long)fulls,
         (unsigned long long)doorbells, (unsigned long long)host.cycles, errors);
  tally.check(errors == 0, "stress");

  // One core that never ends holds up nobody else.
  if (device->cores > 1) {
    host.write(at::control, 1);
    host.write(at::limit, 0xffffffff);
    uint64_t words[3] = {7 | uint64_t(endless) << 32, 0, 0};
    host.writeSlot(0, 0, reinterpret_cast<uint8_t*>(words), 24);
    host.submit(0, 24, 7);
    int others = 0, came = 0;
    for (int round = 0; round < 100; round++) {
      for (int slot = device->slotsPerCore; slot < slots; slot++, others++) {
        uint64_t plainWords[3] = {1000u + uint32_t(slot), 0, 0};
        host.writeSlot(uint32_t(slot), 0, reinterpret_cast<uint8_t*>(plainWords), 24);
        host.submit(uint32_t(slot), 24, 1000 + uint32_t(slot));
      }
      host.ring();
      Completion end;
      uint64_t start = host.cycles;
      for (int got = 0; got < slots - device->slotsPerCore && host.cycles - start < 20000;)
        if (host.poll(end)) got++, came += end.fault == 0 && end.cookie >= 1000;
      host.consumed();
    }
    tally.check(came == others, "beside an endless program %d of %d packets came back", came, others);
    host.write(at::coreReset, 1);
    Completion end = {};
    for (int wait = 0; wait < 100 && !host.poll(end); wait++) {}
    tally.check(end.cookie == 7 && end.fault == 16, "the endless program was not reset");
    host.write(at::coreReset, 0);
    printf("beside an endless program: %d of %d packets of the other cores came back\n", came, others);
  }
}

// Packets in their slots, descriptors only; completions from their own port, as a bridge to the
// host's memory would take them: what the cores can do.
static double rate(int cores, const std::vector<uint64_t>& rows, bool whole, Tally& tally) {
  auto device = Device::make(cores);
  if (!device) return 0;
  Host host(*device);
  tally.check(host.load(rows), "not loaded");
  std::vector<uint32_t> freed;
  uint64_t ended = 0;
  host.afterClock = [&](Device& device) {
    if (device.completes) freed.push_back(uint32_t(device.completion[0])), ended++;
  };
  std::vector<uint8_t> packet(64, 0);
  static const uint8_t tcp[] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6, 0, 0,
                                10, 0, 0, 1, 10, 0, 0, 2, 4, 1, 7, 91, 0, 0};
  memcpy(packet.data(), tcp, sizeof tcp);
  host.write(at::control, 1);
  for (int slot = 0; slot < cores * device->slotsPerCore; slot++) {
    host.writeSlot(uint32_t(slot), 0, packet.data(), packet.size());
    freed.push_back(uint32_t(slot));
  }
  uint64_t start = 0, first = 0;
  while (ended < 4000) {
    if (ended >= 200 && !start) start = host.cycles, first = ended;
    if (freed.empty()) {
      host.clock();
      continue;
    }
    std::vector<uint32_t> now;
    now.swap(freed);
    for (uint32_t slot : now) {
      if (whole) host.writeSlot(slot, 0, packet.data(), packet.size());
      host.submit(slot, 64, slot);
    }
    host.ring();
    host.write(at::completionHead, ended & 0xffff);
  }
  return double(host.cycles - start) / double(ended - first);
}

void measureScaling(const Options& options, Tally& tally) {
  for (const char* name : {"drop_dport", "mqtt_allow", "tuple_drop", "count_proto"}) {
    FILE* file = fopen((options.root + "/ebpf/" + name + ".v3.bin").c_str(), "rb");
    tally.check(file != nullptr, "%s is missing", name);
    if (!file) continue;
    std::vector<uint64_t> rows(4096);
    rows.resize(fread(rows.data(), 8, rows.size(), file));
    fclose(file);
    double one = rate(1, rows, false, tally), oneWhole = rate(1, rows, true, tally);
    for (int cores : {1, 2, 4, 8}) {
      double each = rate(cores, rows, false, tally), whole = rate(cores, rows, true, tally);
      if (each == 0) continue;
      printf("%-12s %d core(s): %5.1f clock cycles/packet, %.2f times one core; with 64 bytes written by the bus each time %5.1f, %.2f times\n",
             name, cores, each, one / each, whole, oneWhole / whole);
      if (cores == 4) tally.check(one / each >= 3.6, "%s: four cores are only %.2f times one", name, one / each);
    }
  }
}
