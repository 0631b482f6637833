# SYSCALL and SYSRET, SYSENTER and SYSEXIT, IRETQ, SWAPGS, code that changes itself, single steps and breakpoints, in 64-bit mode.
.include "long.inc"
.set STAR, 0xc0000081
.set CODE_AT, 0x3000000

.macro wrmsr_at number, low, high=0
  movl $\number, %ecx
  movl \low, %eax
  movl $\high, %edx
  wrmsr
.endm

test:
  orl $USER, directory
  movq %cr3, %rax
  movq %rax, %cr3
  wrmsr_at STAR, $0, 0x00230008
  wrmsr_at STAR+1, $on_syscall
  wrmsr_at STAR+3, $0x40200
  movl $0x1234, %ebx
  ring_3 0x40203
  movl $0x11111111, %r11d
  syscall
7: movl %ecx, saved+16
  movl %r11d, saved+20
  ring_0
  expect "SYSCALL's RCX", saved, $7b
  expect "SYSCALL's R11", saved+4, $0x40203
  expect "flags masked by SYSCALL", saved+8, $3
  expect "CS of SYSCALL", saved+12, $CODE
  expect "back from SYSCALL", seen, $3
  expect "CS of SYSRET", seen_cs, $USER_CODE
  # SYSENTER
  wrmsr_at 0x174, $CODE
  wrmsr_at 0x175, $inner_stack
  wrmsr_at 0x176, $on_sysenter
  ring_3
  movl $8f, %edx
  movl $user_stack, %ecx
  sysenter
8: nop
  ring_0
  expect "SYSENTER's stack", saved, $inner_stack
  expect "SYSENTER's CS", saved+4, $CODE
  # IRETQ
  pushq $DATA
  pushq $stack_top-0x800
  pushq $0x6
  pushq $CODE
  pushq $7f
  movq %rsp, saved_rsp
  iretq
7: movl %esp, saved
  pushfq
  popq %rax
  movl %eax, saved+4
  movq saved_rsp, %rsp
  addq $40, %rsp
  expect "IRETQ's RSP in the same ring", saved, $stack_top-0x800
  expect "IRETQ's flags", saved+4, $6
  movq %rsp, saved_rsp
  pushq $DATA
  pushq $0
  pushq $2
  pushq $0x1230
  pushq $0
  faults "IRETQ to no segment", 13, 0x1230, iretq
  movq saved_rsp, %rsp
  movq $0x800000000000, %rax
  pushq $DATA
  pushq %rsp
  pushq $2
  pushq $CODE
  pushq %rax
  movl $7f, resume
  movq %rsp, resume_rsp
  iretq
7: movl $stray, resume
  movq saved_rsp, %rsp
  expect "IRETQ to an address that is none", seen, $13
  # SWAPGS
  wrmsr_at 0xc0000101, $0x1000
  wrmsr_at 0xc0000102, $saved
  movl $0x77, saved
  swapgs
  movl %gs:0, %ebx
  swapgs
  expect "SWAPGS", %ebx, $0x77
  ring_3
  swapgs
  ring_0
  expect "SWAPGS in ring 3", seen, $13
  call changes_itself
  call steps
  ret

on_syscall:
  movl %ecx, saved
  movl %r11d, saved+4
  movq %rsp, saved_rsp
  movl $inner_stack, %esp
  pushfq
  popq %rax
  movl %eax, saved+8
  movl %cs, %eax
  movl %eax, saved+12
  movq saved_rsp, %rsp
  sysretq

on_sysenter:
  movl %esp, saved
  movl %cs, %eax
  movl %eax, saved+4
  .byte 0x48
  sysexit

changes_itself:
  # The next instruction, in the page that runs.
  movl $0, %eax
  movl $0x22222222, patched+1
patched:
  movl $0x11111111, %ecx
  movl $0x11111111, patched+1
  expect "a store to the next instruction", %ecx, $0x22222222
  # Another page, called before and after.
  movl $0x01b8c3c3, CODE_AT-2
  movl $0x000001b8, CODE_AT     # mov eax, 1; ret
  movw $0xc300, CODE_AT+4
  movl $CODE_AT, %ebx
  call *%rbx
  expect "code in another page", %eax, $1
  movl $CODE_AT, %ebx
  movb $2, CODE_AT+1
  call *%rbx
  expect "the same, changed", %eax, $2
  # The same page by two addresses.
  movl $7, pdpt+8
  movl $directory+7, pdpt+8
  movq %cr3, %rax
  movq %rax, %cr3
  movl $CODE_AT, %ebx
  movb $3, CODE_AT+0x40000001
  call *%rbx
  expect "changed by another address", %eax, $3
  movl $0, pdpt+8
  movq %cr3, %rax
  movq %rax, %cr3
  # A loop that changes what it runs.
  xorl %edx, %edx
  movl $10, %ecx
1: addb $1, 2f+2
2: addl $0, %edx                # 83 c2 ib
  loop 1b
  movb $0, 2b+2
  expect "a loop that changes itself", %edx, $55
  ret

steps:
  movl $stray, resume
  movl $0, %eax
  movq %rax, %dr6
  movl $7f, resume
  movq %rsp, resume_rsp
  pushfq
  orl $0x100, (%rsp)
  popfq
  nop
6: nop
7: movl $stray, resume
  expect "a single step", seen, $1
  expect "it comes behind the instruction after POPF", seen_rip, $6b
  expect "DR6 of a single step", seen_dr6, $0xffff4ff0
  # No step between MOV SS and the next.
  xorl %eax, %eax
  movq %rax, %dr6
  movl $7f, resume
  movl $DATA, %ecx
  pushfq
  orl $0x100, (%rsp)
  popfq
  movl %ecx, %ss
  nop
6: nop
7: movl $stray, resume
  expect "no step behind MOV SS", seen_rip, $6b
  # A breakpoint on code comes before it, one on data behind it.
  movl $6f, %eax
  movq %rax, %dr0
  movl $0x402, %eax
  movq %rax, %dr7
  xorl %eax, %eax
  movq %rax, %dr6
  movl $7f, resume
  nop
6: nop
7: movl $stray, resume
  expect "a breakpoint on code", seen_rip, $6b
  expect "DR6 of a breakpoint", seen_dr6, $0xffff0ff1
  movl $saved, %eax
  movq %rax, %dr1
  movl $0xd00408, %eax
  movq %rax, %dr7
  xorl %eax, %eax
  movq %rax, %dr6
  movl $7f, resume
  movl $1, saved+4
  movl saved, %ecx
5: movl $1, saved
6: nop
7: movl $stray, resume
  expect "a breakpoint on a write", seen_rip, $6b
  expect "DR6 of the write", seen_dr6, $0xffff0ff2
  movl $0x400, %eax
  movq %rax, %dr7
  faults "the next instruction is none", 6, 0, ud2
  ret
.bss
.align 16
saved: .skip 64
saved_rsp: .skip 8
.text
