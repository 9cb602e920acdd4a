// One program on one core, for `dpuctl ebpf exec --engine rtl`: its bytes in hexadecimal on
// standard input, those of the memory as an argument. Prints "r0 HEX" and "memory HEX", or
// "fault CODE row ROW" with the codes of docs/ebpf-registers.md.
#include <cctype>
#include <cinttypes>

#include "check.hpp"
#include "host.hpp"
#include "json.hpp"

// 0 when it ran, 1 when it ended with a fault, 2 when the gateware cannot take it.
int executeProgram(const std::string& memoryText) {
  std::string text;
  for (int letter; (letter = getchar()) != EOF;)
    if (!isspace(letter)) text += char(letter);
  std::vector<uint8_t> code = bytesOf(text), memory = bytesOf(memoryText);
  size_t length = memory.size();
  if (code.empty() || code.size() % 8 || code.size() / 8 > 4096) {
    fprintf(stderr, "a program has 1 to 4,096 rows of 8 bytes; this has %zu bytes\n", code.size());
    return 2;
  }
  if (length > 1536) {
    fprintf(stderr, "a core takes 1,536 bytes; the memory has %zu\n", length);
    return 2;
  }
  std::vector<uint64_t> rows(code.size() / 8);
  memcpy(rows.data(), code.data(), code.size());
  auto device = Device::make(1);
  if (!device) {
    fprintf(stderr, "built without the model of one core\n");
    return 2;
  }
  Host host(*device);
  host.write(at::control, 1);
  host.write(at::limit, 100000000);
  memory.resize(2048);
  host.writeSlot(0, 0, memory.data(), 2048);
  if (!host.load(rows)) {
    fprintf(stderr, "the gateware refuses the program\n");
    return 2;
  }
  Completion end = host.run(0, uint32_t(length), 1);
  if (end.fault) {
    printf("fault %u row %u\n", end.fault, end.row);
    return 1;
  }
  uint64_t r0 = uint64_t(host.read32(at::pages + 4)) << 32 | host.read32(at::pages + 8);
  host.readSlot(0, 0, memory.data(), 2048);
  printf("r0 %" PRIx64 "\nmemory ", r0);
  for (size_t at = 0; at < length; at++) printf("%02x", memory[at]);
  printf("\n");
  return 0;
}
