# Each exception that 32-bit code can raise, its error code and where it points.
.include "protected.inc"
test:
  xorl %eax, %eax
  lldt %ax
  xorl %edx, %edx
  movl $1, %eax
  xorl %ebx, %ebx
  faults "division by zero", 0, 0, divl %ebx
  movl $2, %edx
  movl $1, %ebx
  faults "a quotient of 33 bits", 0, 0, divl %ebx
  movl $7f, resume
  movl %esp, resume_esp
6: int3
7: movl $stray, resume
  expect "INT3 points behind itself", seen_eip, $6b+1
  expect "INT3", seen, $3
  movl $7f, resume
  movl $0x7fffffff, %eax
  addl $1, %eax
6: into
7: movl $stray, resume
  expect "INTO points behind itself", seen_eip, $6b+1
  expect "INTO", seen, $4
  movl $8, %eax
  faults "BOUND above", 5, 0, boundl %eax, bounds
  movl $1, %eax
  faults "BOUND below", 5, 0, boundl %eax, bounds
  faults "UD2", 6, 0, ud2
  faults "LOCK of a load", 6, 0, .byte 0xf0, 0x8b, 0x07
  movl %cr0, %eax
  orl $8, %eax
  movl %eax, %cr0
  faults "x87 with TS", 7, 0, fldz
  clts
  fldz
  fstp %st(0)
  movl $0x7ff8, %eax
  faults "a selector beyond the table", 13, 0x7ff8, movl %eax, %fs
  movl $0x34, %eax
  faults "a selector of the local table, which is not there", 13, 0x34, movl %eax, %fs
  faults "INT beyond the table", 13, 33*8+2, int $33
  movb $0, idt + 40 * 8 + 5
  movw $64 * 8 - 1, idtr
  lidt idtr
  faults "INT through an empty gate", 13, 40*8+2, int $40
  movw $0x0e00, idt + 41 * 8 + 4
  movw $CODE, idt + 41 * 8 + 2
  faults "INT through a gate that is not present", 11, 41*8+2, int $41
  # A fault while #GP is delivered is a double fault.
  movb $0x0e, idt + 13 * 8 + 5
  movl $0x7ff8, %eax
  faults "#NP at #GP's gate", 8, 0, movl %eax, %fs
  movb $0x8e, idt + 13 * 8 + 5
  # Unmasked x87 exceptions are raised by the next instruction that waits.
  movl %cr0, %eax
  orl $0x20, %eax
  movl %eax, %cr0
  fldcw unmasked
  fldz
  fld1
  fdiv %st(1), %st
  faults "x87's pending exception", 16, 0, fwait
  fnclex
  fninit
  ret
.data
bounds: .long 2, 7
unmasked: .word 0x37b
.text
