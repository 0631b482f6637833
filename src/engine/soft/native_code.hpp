// Instructions that compute on registers and one memory operand are executed by the processor itself: a short
// function is made for each, which loads the registers that it uses from a NativeContext, executes the very
// instruction with its memory operand at an address of ours, and stores back what it wrote. So x87, SSE and
// AVX are exact, and so are the flags that the manuals leave undefined.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <string>
#include <unordered_map>

#include "engine/soft/cpu.hpp"
#include "sys/code_memory.hpp"
#include "x86/instruction_table.hpp"

namespace berth::engine::soft {

struct NativeCode {
  void (*run)(NativeContext* context, void* memory) = nullptr;
  std::uint16_t memory_bytes = 0;  // 0: no operand in memory
  bool reads = false, writes = false;
  std::uint8_t alignment = 1;  // that the memory operand must have, else #GP(0)
  x86::Unit unit = x86::Unit::Integer;
  bool waits = false;        // looks for pending x87 exceptions first
  bool is_noted = false;     // x87: FOP, FIP and FDP tell of it afterwards
  std::uint16_t opcode = 0;  // what FOP holds then
};

class NativeCodeCache {
 public:
  static Result<NativeCodeCache> create();

  // The function for this instruction; null where it can't be encoded for 64-bit mode. Valid until clear().
  const NativeCode* get(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand* operands,
                        x86::Unit unit);
  bool is_full() const;
  void clear();

 private:
  explicit NativeCodeCache(sys::CodeMemory memory) : memory_(std::move(memory)) {}
  sys::CodeMemory memory_;
  std::size_t used_ = 0;
  std::unordered_map<std::string, NativeCode> codes_;  // by the function's bytes
};

}  // namespace berth::engine::soft
