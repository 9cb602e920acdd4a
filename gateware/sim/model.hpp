// eBPF by RFC 9669, one instruction at a time and nothing clever: what the core is held against.
// Written from the RFC and docs/ebpf-registers.md, not from the core.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "device.hpp"

struct Model {
  enum Fault {
    none = 0, bounds = 1, limit = 2, helper = 3, depth = 4, opcode = 5, reg = 6, field = 7,
    row = 8, divide = 9
  };
  static constexpr uint64_t stackStart = 0x7fff00000000;

  std::vector<uint64_t> program;
  uint8_t data[2048] = {};
  uint8_t stack[4096];
  uint64_t r[11];
  uint32_t pc = 0, retiredCount = 0, limitOf = 1048576;
  bool divideFaults = false;
  int level = 0;  // of nested functions
  struct Frame { uint32_t back; uint64_t kept[4]; } frames[8];

  bool ended = false;
  Fault fault = none;
  uint32_t faultRow = 0;
  uint64_t result = 0;

  void start(uint64_t length) {
    memset(r, 0, sizeof r);
    memset(stack, 0, sizeof stack);
    r[2] = length;
    r[10] = stackStart + sizeof stack;
    pc = retiredCount = 0;
    level = 0;
    ended = false;
    fault = none;
    faultRow = 0;
    result = 0;
  }

  // Runs one instruction. True when it retired; then `did` says what it did.
  bool step(Retired& did) {
    did = {};
    if (retiredCount == limitOf) {
      // The limit counts before anything else is looked at.
      return fail(limit, wideFails() ? pc + 1 : pc);
    }
    if (pc >= program.size()) return fail(row, pc);
    uint64_t word = program[pc];
    uint8_t op = uint8_t(word);
    unsigned d = word >> 8 & 15, s = word >> 12 & 15;
    int16_t off = int16_t(word >> 16);
    int32_t imm = int32_t(word >> 32);
    did.row = pc;

    Fault wrong = check(op, d, s, off, imm);
    if (wrong) return fail(wrong, pc);

    uint64_t immediate = uint64_t(int64_t(imm));
    bool x = op & 8;
    switch (op & 7) {
      case 0: {  // wide load
        if (pc + 1 >= program.size()) return fail(row, pc + 1);
        uint64_t second = program[pc + 1];
        if (second & 0xff) return fail(opcode, pc + 1);
        if (second & 0xffffff00) return fail(field, pc + 1);
        set(did, d, (second & 0xffffffff00000000) | uint32_t(imm));
        pc += 2;
        retiredCount++;
        return true;
      }
      case 4: case 7: {
        bool is64 = (op & 7) == 7;
        uint64_t other = x ? r[s] : immediate, value;
        if (op >> 4 == 13) value = swap(r[d], imm, is64 || x);
        else if ((op >> 4 == 3 || op >> 4 == 9) && divideFaults
                 && (is64 ? other == 0 : uint32_t(other) == 0))
          return fail(divide, pc);
        else value = is64 ? alu64(op >> 4, r[d], other, off)
                          : alu32(op >> 4, uint32_t(r[d]), uint32_t(other), off);
        set(did, d, value);
        break;
      }
      case 5: case 6: {
        unsigned kind = op >> 4;
        if (kind == 9) {
          if (level == 0) {
            ended = true;
            result = r[0];
            retiredCount++;
            return true;
          }
          Frame& frame = frames[--level];
          for (int n = 0; n < 4; n++) r[6 + n] = frame.kept[n];
          r[10] += 512;
          pc = frame.back;
          retiredCount++;
          return true;
        }
        if (kind == 8) {
          if (!x && s == 1) {
            int64_t target = int64_t(pc) + 1 + imm;
            if (target < 0 || target > 4095) return fail(row, pc);
            if (level == 7) return fail(depth, pc);
            Frame& frame = frames[level++];
            frame.back = pc + 1;
            for (int n = 0; n < 4; n++) frame.kept[n] = r[6 + n];
            r[10] -= 512;
            pc = uint32_t(target);
            retiredCount++;
            return true;
          }
          uint32_t number = x ? uint32_t(r[d]) : uint32_t(imm);
          if (number == 0) {
            uint64_t gathered = 0;
            for (int n = 1; n <= 5; n++) gathered = gathered << 8 | (r[n] & 0xff);
            set(did, 0, gathered);
          } else if (number == 5) {
            if (r[1] == 0) {
              ended = true;
              result = 0;
              retiredCount++;
              return true;
            }
            set(did, 0, r[1]);
          } else return fail(helper, pc);
          break;
        }
        uint64_t a = r[d], b = x ? r[s] : immediate;
        bool taken = kind == 0 || holds(kind, (op & 7) == 5, a, b);
        if (taken) {
          int64_t target = int64_t(pc) + 1 + (kind == 0 && (op & 7) == 6 ? imm : off);
          if (target < 0 || target > 4095) return fail(row, pc);
          pc = uint32_t(target);
          retiredCount++;
          return true;
        }
        break;
      }
      default: {  // memory
        unsigned size = op >> 3 & 3, bytes = size == 0 ? 4 : size == 1 ? 2 : size == 2 ? 1 : 8;
        unsigned base = (op & 7) == 1 ? s : d;
        uint64_t address = r[base] + uint64_t(int64_t(off));
        uint8_t* place = at(address, bytes);
        if (!place) return fail(bounds, pc);
        uint64_t old = 0;
        memcpy(&old, place, bytes);
        if ((op & 7) == 1) {
          if (op >> 5 == 4) {
            unsigned shift = 64 - 8 * bytes;
            old = uint64_t(int64_t(old << shift) >> shift);
          }
          set(did, d, old);
          break;
        }
        uint64_t value = (op & 7) == 2 ? immediate : r[s];
        if (op >> 5 == 6) {
          uint64_t mask = bytes == 8 ? ~0ull : 0xffffffffull, given = r[s];
          switch (imm & ~1) {
            case 0x00: value = old + given; break;
            case 0x40: value = old | given; break;
            case 0x50: value = old & given; break;
            case 0xa0: value = old ^ given; break;
            case 0xe0: value = given; break;
            default: value = old == (r[0] & mask) ? given : old;
          }
          if ((imm & 0xf0) == 0xf0) set(did, 0, old);
          else if (imm & 1) set(did, s, old);
        }
        memcpy(place, &value, bytes);
        did.stores = true;
        did.size = size;
        did.address = address;
        did.stored = bytes == 8 ? value : value & ((1ull << 8 * bytes) - 1);
      }
    }
    pc++;
    retiredCount++;
    return true;
  }

 private:
  bool fail(Fault why, uint32_t where) {
    ended = true;
    fault = why;
    faultRow = where;
    return false;
  }

  void set(Retired& did, unsigned index, uint64_t value) {
    r[index] = value;
    did.writes = true;
    did.index = index;
    did.value = value;
  }

  // Whether a wide load that is next is good until its second row, where it would fail.
  bool wideFails() const {
    if (pc >= program.size() || (program[pc] & 0xff) != 0x18) return false;
    uint64_t word = program[pc];
    if (check(0x18, word >> 8 & 15, word >> 12 & 15, int16_t(word >> 16), 0)) return false;
    return pc + 1 >= program.size() || (program[pc + 1] & 0xffffffff) != 0;
  }

  uint8_t* at(uint64_t address, unsigned bytes) {
    if (address < sizeof data && address + bytes <= sizeof data) return data + address;
    uint64_t offset = address - stackStart;
    if (offset < sizeof stack && offset + bytes <= sizeof stack) return stack + offset;
    return nullptr;
  }

  // What RFC 9669 does not define, the first that applies of opcode, register, field.
  static Fault check(uint8_t op, unsigned d, unsigned s, int16_t off, int32_t imm) {
    unsigned family = op & 7, kind = op >> 4, size = op >> 3 & 3, mode = op >> 5;
    bool x = op & 8;
    switch (family) {
      case 0:
        if (op != 0x18) return opcode;
        if (d > 9) return reg;
        return s || off ? field : none;
      case 1:
        if (!(mode == 3 || (mode == 4 && size != 3))) return opcode;
        if (d > 9 || s > 10) return reg;
        return imm ? field : none;
      case 2:
        if (mode != 3) return opcode;
        if (d > 10) return reg;
        return s ? field : none;
      case 3: {
        bool atomic = mode == 6;
        if (!(mode == 3 || (atomic && (size == 0 || size == 3)))) return opcode;
        if (d > 10 || s > 10) return reg;
        if (!atomic) return imm ? field : none;
        bool comparing = (imm & 0xf0) == 0xf0;
        if (imm & 1 && !comparing && s == 10) return reg;
        static const int32_t known[] = {0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1};
        for (int32_t one : known)
          if (one == imm) return none;
        return field;
      }
      case 4: case 7: {
        bool is64 = family == 7;
        if (kind > 13 || (kind == 8 && x) || (kind == 13 && x && is64)) return opcode;
        bool usesSource = x && kind != 13;
        if (d > 9 || (usesSource && s > 10)) return reg;
        if (!usesSource && s) return field;
        if (kind == 13) return off || !(imm == 16 || imm == 32 || imm == 64) ? field : none;
        if (kind == 8) return off || imm ? field : none;
        if (usesSource && imm) return field;
        if (kind == 3 || kind == 9) return off == 0 || off == 1 ? none : field;
        if (kind == 11 && x)
          return off == 0 || off == 8 || off == 16 || (off == 32 && is64) ? none : field;
        return off ? field : none;
      }
      default: {
        bool is64 = family == 5;
        if (kind > 13 || (kind == 0 && x) || (kind == 8 && !is64) || (kind == 9 && (x || !is64)))
          return opcode;
        bool compares = kind != 0 && kind != 8 && kind != 9;
        if (d > 10 || (compares && x && s > 10)) return reg;
        if (kind == 0) return d || s || (is64 ? imm != 0 : off != 0) ? field : none;
        if (kind == 9) return d || s || off || imm ? field : none;
        if (kind == 8)
          return off || (x ? s || imm : d || s > 2) ? field : none;
        return x ? (imm ? field : none) : (s ? field : none);
      }
    }
  }

  static uint64_t swap(uint64_t value, int32_t bits, bool turn) {
    uint64_t kept = bits == 64 ? value : value & ((1ull << bits) - 1);
    if (!turn) return kept;
    uint64_t result = 0;
    for (int byte = 0; byte < bits / 8; byte++) result = result << 8 | (kept >> 8 * byte & 0xff);
    return result;
  }

  static uint64_t alu64(unsigned kind, uint64_t a, uint64_t b, int16_t off) {
    switch (kind) {
      case 0: return a + b;
      case 1: return a - b;
      case 2: return a * b;
      case 3:
        if (off == 0) return b ? a / b : 0;
        return b == 0 ? 0 : b == ~0ull ? 0 - a : uint64_t(int64_t(a) / int64_t(b));
      case 4: return a | b;
      case 5: return a & b;
      case 6: return a << (b & 63);
      case 7: return a >> (b & 63);
      case 8: return 0 - a;
      case 9:
        if (off == 0) return b ? a % b : a;
        return b == 0 ? a : b == ~0ull ? 0 : uint64_t(int64_t(a) % int64_t(b));
      case 10: return a ^ b;
      case 11:
        return off == 8 ? uint64_t(int64_t(int8_t(b))) : off == 16 ? uint64_t(int64_t(int16_t(b)))
               : off == 32 ? uint64_t(int64_t(int32_t(b))) : b;
      default: return uint64_t(int64_t(a) >> (b & 63));
    }
  }

  static uint32_t alu32(unsigned kind, uint32_t a, uint32_t b, int16_t off) {
    switch (kind) {
      case 0: return a + b;
      case 1: return a - b;
      case 2: return a * b;
      case 3:
        if (off == 0) return b ? a / b : 0;
        return b == 0 ? 0 : b == ~0u ? 0 - a : uint32_t(int32_t(a) / int32_t(b));
      case 4: return a | b;
      case 5: return a & b;
      case 6: return a << (b & 31);
      case 7: return a >> (b & 31);
      case 8: return 0 - a;
      case 9:
        if (off == 0) return b ? a % b : a;
        return b == 0 ? a : b == ~0u ? 0 : uint32_t(int32_t(a) % int32_t(b));
      case 10: return a ^ b;
      case 11:
        return off == 8 ? uint32_t(int32_t(int8_t(b))) : off == 16 ? uint32_t(int32_t(int16_t(b)))
               : b;
      default: return uint32_t(int32_t(a) >> (b & 31));
    }
  }

  static bool holds(unsigned kind, bool is64, uint64_t a, uint64_t b) {
    int64_t sa = is64 ? int64_t(a) : int32_t(a), sb = is64 ? int64_t(b) : int32_t(b);
    if (!is64) a = uint32_t(a), b = uint32_t(b);
    switch (kind) {
      case 1: return a == b;
      case 2: return a > b;
      case 3: return a >= b;
      case 4: return a & b;
      case 5: return a != b;
      case 6: return sa > sb;
      case 7: return sa >= sb;
      case 10: return a < b;
      case 11: return a <= b;
      case 12: return sa < sb;
      default: return sa <= sb;
    }
  }
};
