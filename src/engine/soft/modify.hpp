// Reading, changing and writing one place in memory, atomically under LOCK.
#pragma once

#include "engine/soft/access.hpp"

namespace berth::engine::soft {

// `change` gets the old value and the flags to change, and gives the new value. Flags change only once the
// store is made.
template <class T, class Change>
inline void modify_at(Cpu& cpu, const Op* op, std::uint64_t linear, Change change) {
  std::uint64_t flags = cpu.native.flags;
  std::byte* host = writable<sizeof(T)>(cpu, linear);
  LockedPlace slow;
  if (host == nullptr) {
    check_store(cpu, linear, sizeof(T));
    if (op->has(Op::kLock)) slow = lock_in_ram(cpu, linear, sizeof(T));
    host = slow.host;
  }
  if (host == nullptr) {
    const T value = load<T>(cpu, linear);
    store<T>(cpu, linear, change(value, flags));
  } else if (op->has(Op::kLock)) {
    T* const place = reinterpret_cast<T*>(host);
    T old = __atomic_load_n(place, __ATOMIC_RELAXED);
    T fresh;
    do {
      flags = cpu.native.flags;
      fresh = change(old, flags);
    } while (!__atomic_compare_exchange_n(place, &old, fresh, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  } else {
    T value;
    std::memcpy(&value, host, sizeof value);
    value = change(value, flags);
    std::memcpy(host, &value, sizeof value);
  }
  if (slow.host != nullptr) tell_written(cpu, slow.physical, sizeof(T));
  cpu.native.flags = flags;
}

template <class T, class Change>
inline void modify(Cpu& cpu, const Op* op, Change change) {
  modify_at<T>(cpu, op, operand_address(cpu, op, sizeof(T), true), change);
}

}  // namespace berth::engine::soft
