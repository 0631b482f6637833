# Four levels of page tables in 64-bit mode: error codes, WP, NX, SMEP, SMAP, accessed and dirty bits, the TLB.
.include "long.inc"
.set AT, 0x40000000             # the page at hand, by a directory and table of our own
.set FRAME, 0x3000000
.set ENTRY, table

.macro entry bits, frame=FRAME
  movl $\frame+\bits, ENTRY
  movl $0, ENTRY+4
  invlpg AT
.endm

test:
  movl $directory2+7, pdpt+8
  movl $table+7, directory2
  movl $0x12345678, FRAME
  movl $0x9abcdef0, FRAME+0x1000
  entry PRESENT+WRITE
  movl AT, %ecx
  expect "a read", %ecx, $0x12345678
  expect "accessed", ENTRY, $FRAME+0x23
  movl $1, AT+4
  expect "dirty", ENTRY, $FRAME+0x63
  entry 0
  faults "not present, read", 14, 0, movl AT, %ecx
  expect "CR2", seen_cr2, $AT
  faults "not present, write", 14, 2, movl %ecx, AT+8
  expect "CR2 of a write", seen_cr2, $AT+8
  entry PRESENT
  faults "read only, with WP", 14, 3, movl %ecx, AT
  expect "a refused write leaves no dirty bit", ENTRY, $FRAME+PRESENT
  movq %cr0, %rax
  andl $~0x10000, %eax
  movq %rax, %cr0
  movl $0x12345678, AT
  expect "read only, without WP", ENTRY, $FRAME+0x61
  movq %cr0, %rax
  orl $0x10000, %eax
  movq %rax, %cr0
  entry PRESENT+WRITE
  # The TLB may keep what was; INVLPG and CR3 may not.
  entry PRESENT+WRITE
  movl AT, %ecx
  movl $FRAME+0x1000+PRESENT+WRITE, ENTRY
  invlpg AT
  movl AT, %ecx
  expect "behind INVLPG", %ecx, $0x9abcdef0
  movl $FRAME+PRESENT+WRITE, ENTRY
  movq %cr3, %rax
  movq %rax, %cr3
  movl AT, %ecx
  expect "behind CR3", %ecx, $0x12345678
  # Ring 3, and the kernel in its pages.
  entry PRESENT+WRITE+USER, FRAME
  movl $0xccc3c3c3, FRAME
  call open_code
  ring_3
  movl AT, %ecx
  ring_0
  expect "ring 3 reads its page", seen, $3
  entry PRESENT+WRITE
  ring_3
  movl AT, %ecx
  ring_0
  expect "ring 3 in the kernel's page: vector", seen, $14
  expect "ring 3 in the kernel's page: error code", seen_error, $5
  entry PRESENT+USER
  ring_3
  movl %ecx, AT
  ring_0
  expect "ring 3 writes what is read only", seen_error, $7
  entry PRESENT+WRITE+USER
  movl $0x80000000, ENTRY+4
  invlpg AT
  ring_3
  movl $AT, %eax
  jmp *%rax
  ring_0
  expect "NX: vector", seen, $14
  expect "NX: error code", seen_error, $0x15
  expect "NX: where", seen_rip, $AT
  entry PRESENT+WRITE+USER
  call close_code
  movq %cr4, %rax
  orl $0x300000, %eax
  movq %rax, %cr4
  faults "SMAP, read", 14, 1, movl AT, %ecx
  faults "SMAP, write", 14, 3, movl %ecx, AT
  stac
  movl AT, %ecx
  clac
  expect "behind STAC", %ecx, $0xccc3c3c3
  movl $7f, resume
  movq %rsp, resume_rsp
  movl $AT, %eax
  call *%rax
7: movl $stray, resume
  expect "SMEP: vector", seen, $14
  expect "SMEP: error code", seen_error, $0x11
  expect "SMEP: where", seen_rip, $AT
  movq %cr4, %rax
  andl $~0x300000, %eax
  movq %rax, %cr4
  movl $7f, resume
  movl $AT, %eax
  call *%rax
7: movl $stray, resume
  # A large page of the same address.
  movl $FRAME+LARGE+WRITE+PRESENT, directory2
  movq %cr3, %rax
  movq %rax, %cr3
  movl AT+0x1000, %ecx
  expect "a large page", %ecx, $0x9abcdef0
  expect "a large page, accessed", directory2, $FRAME+LARGE+0x23
  movl $FRAME+0x2000+LARGE+WRITE+PRESENT, directory2
  movq %cr3, %rax
  movq %rax, %cr3
  faults "a reserved bit of a large page: read", 14, 9, movl AT, %ecx
  # No address at all.
  movq $0x800000000000, %rbx
  faults "an address that is none", 13, 0, movl (%rbx), %ecx
  movq %rsp, %rcx
  movq %rbx, %rbp
  faults "a stack that is none", 12, 0, movl (%rbp), %eax
  ret

# The kernel's code and stacks for ring 3 too, as ring_3 runs where it stands.
open_code:
  orl $USER, directory
  jmp 1f
close_code:
  andl $~USER, directory
1: movq %cr3, %rax
  movq %rax, %cr3
  ret
.bss
.align 4096
directory2: .skip 4096
table: .skip 4096
.text
