# Limits, types and privileges of segments in 32-bit mode.
.include "protected.inc"
# The data lies where nothing else does.
.set data, 0x200000
.set SEG, FREE                  # the descriptor at hand
test:
  descriptor 0, data, 15, 0x4092
  movl $SEG, %eax
  movl %eax, %fs
  movl %fs:12, %ecx
  expect "the descriptor is noted as accessed", gdt+SEG+4, $0x00409320
  faults "a byte beyond the limit", 13, 0, movb %fs:16, %al
  faults "a word across the limit", 13, 0, movl %fs:13, %eax
  descriptor 0, 0, 0x1ff, 0xc092
  movl $SEG, %eax
  movl %eax, %ss
  movl $0x300000, %edx
  faults "beyond the stack's limit", 12, 0, movl %ss:(%edx), %eax
  movl $DATA, %eax
  movl %eax, %ss
  descriptor 0, data, 15, 0x4090
  movl $SEG, %eax
  movl %eax, %fs
  movl %fs:0, %ecx
  faults "a write to what is read only", 13, 0, movl %eax, %fs:0
  movl $SEG, %eax
  faults "a stack that is read only", 13, SEG, movl %eax, %ss
  descriptor 0, data, 15, 0x4096
  movl $SEG, %eax
  movl %eax, %fs
  movl %fs:16, %ecx
  faults "below a segment that expands down", 13, 0, movl %fs:12, %ecx
  descriptor 0, 0, 0xfffff, 0xc098
  movl $SEG, %eax
  faults "code to be executed alone, as data", 13, SEG, movl %eax, %fs
  descriptor 0, 0, 0xfffff, 0xc09a
  movl $SEG, %eax
  movl %eax, %fs
  faults "a write to code", 13, 0, movl %eax, %fs:data
  movl $SEG, %eax
  faults "code as a stack", 13, SEG, movl %eax, %ss
  descriptor 0, data, 15, 0x4012
  movl $SEG, %eax
  movl $SEG, %eax
  faults "data that is not present", 11, SEG, movl %eax, %fs
  movl $SEG, %eax
  faults "a stack that is not present", 12, SEG, movl %eax, %ss
  descriptor 0, data, 15, 0x40f2
  movl $SEG, %eax
  faults "a stack of another ring", 13, SEG, movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  faults "through the null selector", 13, 0, movl %fs:0, %ecx
  xorl %eax, %eax
  faults "the null selector as a stack", 13, 0, movl %eax, %ss
  movl $TSS, %eax
  faults "a system segment as data", 13, TSS, movl %eax, %fs
  faults "CS by MOV", 6, 0, .byte 0x8e, 0xc8
  # LAR, LSL, VERR, VERW
  descriptor 0, data, 15, 0x4090
  movl $SEG, %edx
  larl %edx, %ecx
  expect "LAR", %ecx, $0x00409000
  movl $SEG, %edx
  lsll %edx, %ecx
  expect "LSL", %ecx, $15
  movl $SEG, %edx
  verw %dx
  setz %cl
  movzbl %cl, %ecx
  expect "VERW of what is read only", %ecx, $0
  movl $SEG, %edx
  verr %dx
  setz %cl
  movzbl %cl, %ecx
  expect "VERR", %ecx, $1
  descriptor 0, 0, 0xfffff, 0xc092
  movl $SEG, %edx
  lsll %edx, %ecx
  expect "LSL of a segment of pages", %ecx, $0xffffffff
  movl $0x7ff8, %edx
  larl %edx, %ecx
  setz %cl
  movzbl %cl, %ecx
  expect "LAR beyond the table", %ecx, $0
  # A far jump checks the target against CS's limit.
  descriptor 0, 0, 0xff, 0x409a
  faults "a far jump beyond the limit", 13, 0, ljmp $SEG, $0x1000
  descriptor 0, 0, 0xfffff, 0xc092
  faults "a far jump to data", 13, SEG, ljmp $SEG, $0x1000
  descriptor 0, 0, 0xfffff, 0xc01a
  faults "a far jump to code that is not present", 11, SEG, ljmp $SEG, $0x1000
  descriptor 0, 0, 0xfffff, 0xc0fa
  faults "a far jump to another ring's code", 13, SEG, ljmp $SEG, $0x1000
  faults "a far jump to no segment", 13, 0, ljmp $0, $0x1000
  # 16-bit code in a segment of its own, and back.
  descriptor 0, 0, 0xfffff, 0x8f9a
  descriptor 1, 0, 0xfffff, 0x009a
  movl $0x12345678, %eax
  ljmp $SEG, $sixteen
.code16
sixteen:
  movw $0xabcd, %ax
  movl $0x11111111, %ebx
  ljmpl $CODE, $thirty_two
.code32
thirty_two:
  movl %eax, saved
  movl %ebx, saved+4
  expect "16-bit code writes the low half", saved, $0x1234abcd
  expect "and with a prefix all of it", saved+4, $0x11111111
  ret
.bss
.align 16
saved: .skip 8
.text
