// dpu-fpga-sim: the FPGA as a process. Its BAR is a file that a driver maps; everything the driver
// does there becomes transactions of the simulated bus. The rules stand in docs/ebpf-registers.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

#include "host.hpp"
#include "random.hpp"

namespace {

constexpr size_t barBytes = 0x40000, fileBytes = 0x42000;
constexpr size_t area = barBytes;  // of accesses
enum : size_t {
  areaMagic = area, areaOperation = area + 0x08, areaOffset = area + 0x10, areaCount = area + 0x18,
  areaRequest = area + 0x20, areaDone = area + 0x28, areaResult = area + 0x30,
  areaCycles = area + 0x38, areaValues = area + 0x1000
};

volatile sig_atomic_t stopped = 0;
void stop(int) { stopped = 1; }

class Process {
 public:
  Process(Device& device, uint8_t* file, uint64_t stallSeed, FILE* trace)
      : host(device), file(file), random(stallSeed) {
    host.afterClock = [this, trace](Device& device) {
      if (device.completes) fresh.push_back({device.completion[0], device.completion[1], device.completionIndex});
      if (trace)
        for (uint32_t who = device.retired(); who; who &= who - 1) {
          int core = __builtin_ctz(who);
          print(trace, core, device.retired(core));
        }
    };
    if (stallSeed)
      host.stalls = [this] { return uint32_t(random.next() & random.next()); };
    for (size_t offset = 0; offset < 0x30; offset += 8)
      if (offset != at::control && offset != at::status) set(offset, host.read(uint32_t(offset)));
    set(areaMagic, 0x314d495346555044);  // "DPUFSIM1"
  }

  // Does what there is to do; false when there was nothing.
  bool turn() {
    bool worked = access();
    if (worked) grace = 400000;  // a program of any length is checked by then
    worked |= doorbell();
    uint64_t head = get(at::completionHead) & 0xffff;
    if (head != seenHead) {
      host.write(at::completionHead, head);
      seenHead = head;
      worked = true;
    }
    if (outstanding > 0 || anyHBPF || grace > 0) {
      for (int cycle = 0; cycle < 32; cycle++) host.clock();
      grace -= grace > 32 ? 32 : grace;
      worked = worked || outstanding > 0 || anyHBPF || grace > 0;
    }
    publish();
    set(areaCycles, host.requests);
    return worked;
  }

 private:
  Host host;
  uint8_t* file;
  Random random;
  struct Fresh { uint64_t low, high; uint32_t index; };
  std::deque<Fresh> fresh;
  struct Sent { uint32_t cookie; uint32_t slot, length; };
  std::vector<Sent> sent = std::vector<Sent>(65536);  // by number of the descriptor
  uint64_t seenTail = 0, seenHead = 0, lastRequest = 0;
  uint64_t outstanding = 0, grace = 0;
  bool anyHBPF = false;

  uint64_t get(size_t offset) const {
    return __atomic_load_n(reinterpret_cast<uint64_t*>(file + offset), __ATOMIC_ACQUIRE);
  }
  void set(size_t offset, uint64_t value) {
    __atomic_store_n(reinterpret_cast<uint64_t*>(file + offset), value, __ATOMIC_RELEASE);
  }

  static void print(FILE* trace, int core, const Retired& did) {
    fprintf(trace, "c%d %u", core, did.row);
    if (did.writes) fprintf(trace, " r%u=%" PRIx64, did.index, did.value);
    if (did.stores) {
      int bytes = did.size == 3 ? 8 : did.size == 0 ? 4 : did.size == 1 ? 2 : 1;
      uint64_t value = bytes == 8 ? did.stored : did.stored & ((1ull << 8 * bytes) - 1);
      fprintf(trace, " m%" PRIx64 "/%d=%" PRIx64, did.address, bytes, value);
    }
    fputc('\n', trace);
  }

  // Registers, program, state, hBPF's pages.
  bool access() {
    uint64_t request = get(areaRequest);
    if (request == lastRequest) return false;
    lastRequest = request;
    uint64_t operation = get(areaOperation), offset = get(areaOffset), count = get(areaCount);
    uint64_t bytes = operation >> 8 & 0xff;
    bool writes = operation & 1;
    bool good = (operation & 0xff) <= 1 && (bytes == 4 || bytes == 8) && count >= 1 && count <= 512
                && offset % bytes == 0 && offset < barBytes && count * bytes <= barBytes - offset;
    for (uint64_t index = 0; good && index < count; index++) {
      uint32_t address = uint32_t(offset + index * bytes);
      size_t value = areaValues + 8 * index;
      if (writes) {
        if (bytes == 4) host.write32(address, uint32_t(get(value)));
        else host.write(address, get(value));
        wrote(address, get(value));
      } else if (bytes == 4) set(value, host.read32(address));
    }
    if (good && !writes && bytes == 8) {
      std::vector<uint64_t> values(count);
      host.read(uint32_t(offset), count, values.data());
      for (uint64_t index = 0; index < count; index++) set(areaValues + 8 * index, values[index]);
    }
    publish();  // what the access made happen is there before it is answered
    set(areaCycles, host.requests);
    set(areaResult, good ? 0 : 1);
    set(areaDone, request);
    return true;
  }

  void wrote(uint32_t address, uint64_t value) {
    if (address == at::coreHBPF) anyHBPF = value & 0xff;
    if (address == at::control && value & 2) {  // reset: rings start anew
      for (size_t offset = at::completionRing; offset < at::completionRing + 4096; offset += 8) set(offset, 0);
      set(at::submitTail, 0);
      set(at::completionHead, 0);
      seenTail = seenHead = outstanding = 0;
      fresh.clear();
      anyHBPF = false;
    }
    if (address == at::submitTail) set(at::submitTail, value);
    if (address == at::completionHead) set(at::completionHead, value);
  }

  // New descriptors: the packets, then the descriptors, then the doorbell.
  bool doorbell() {
    uint64_t tail = get(at::submitTail) & 0xffff;
    if (tail == seenTail) return false;
    uint64_t count = (tail - seenTail) & 0xffff;
    if (count > 256) {  // the gateware ignores and counts it
      host.write(at::submitTail, tail);
      set(at::submitTail, seenTail);
      return true;
    }
    uint64_t slots = uint64_t(host.device.cores * host.device.slotsPerCore);
    for (uint64_t number = seenTail; number != seenTail + count; number++) {
      uint32_t place = at::submitRing + 16 * uint32_t(number & 255);
      uint64_t low = get(place), high = get(place + 8);
      uint32_t slot = high & 0xffff, length = high >> 16 & 0xffff;
      if (slot < slots && length <= 1536)
        host.writeSlot(slot, 0, file + at::slots + slot * 0x800, length);
      // The gateware carries the number of the descriptor; the cookie comes back from here.
      sent[number & 0xffff] = {uint32_t(low), slot, length};
      host.write(place, number & 0xffff);
      host.write(place + 8, high);
    }
    host.write(at::submitTail, tail);
    outstanding += count;
    seenTail = tail;
    return true;
  }

  void publish() {
    while (!fresh.empty()) {
      Fresh one = fresh.front();
      fresh.pop_front();
      const Sent& of = sent[one.low & 0xffff];
      uint64_t slots = uint64_t(host.device.cores * host.device.slotsPerCore);
      uint32_t fault = one.high >> 16 & 0xff;
      if (of.slot < slots && of.length <= 1536 && of.length > 0 && fault < 16)
        host.readSlot(of.slot, 0, file + at::slots + of.slot * 0x800, of.length);
      size_t place = at::completionRing + 16 * one.index;
      set(place, (one.low & ~0xffffffffull) | of.cookie);
      set(place + 8, one.high);
      if (outstanding > 0) outstanding--;
    }
  }
};

}  // namespace

int main(int count, char** arguments) {
  std::string path, tracePath;
  int cores = 1;
  uint64_t seed = 0;
  for (int index = 1; index + 1 < count; index += 2) {
    std::string name = arguments[index], value = arguments[index + 1];
    if (name == "--bar") path = value;
    else if (name == "--cores") cores = atoi(value.c_str());
    else if (name == "--stall-seed") seed = strtoull(value.c_str(), nullptr, 0);
    else if (name == "--trace") tracePath = value;
    else path.clear(), index = count;
  }
  if (path.empty() || count % 2 == 0) {
    fprintf(stderr, "usage: dpu-fpga-sim --bar FILE --cores 1|2|4|8 [--stall-seed S] [--trace FILE]\n");
    return 2;
  }
  auto device = Device::make(cores);
  if (!device) {
    fprintf(stderr, "dpu-fpga-sim: no build with %d cores\n", cores);
    return 2;
  }
  int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0 || ftruncate(descriptor, fileBytes) != 0) {
    perror(path.c_str());
    return 1;
  }
  void* mapped = mmap(nullptr, fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  FILE* trace = tracePath.empty() ? nullptr : fopen(tracePath.c_str(), "w");
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  Process process(*device, static_cast<uint8_t*>(mapped), seed, trace);
  printf("ready: %d core(s), BAR %s\n", cores, path.c_str());
  fflush(stdout);
  int quiet = 0;
  while (!stopped) {
    if (process.turn()) quiet = 0;
    else if (++quiet > 2000) usleep(50);
  }
  if (trace) fclose(trace);
  return 0;
}
