# Rings and tasks: gates, stacks of the TSS, call gates with parameters, task switches by JMP, CALL, IRET and a task gate.
.include "protected.inc"
.set CALL_GATE, FREE
.set TASK, FREE+8
.set TASK_GATE, FREE+16

# ring_3 ... ring_0 VECTOR: what is between runs in ring 3; that INT, or a fault, comes back.
.macro ring_3
  movl $7774f, resume
  movl %esp, resume_esp
  movl $-1, seen
  pushl $USER_DATA
  pushl $user_stack
  pushl $0x3002                 # IOPL 3
  pushl $USER_CODE
  pushl $7773f
  iretl
7773:
  movl $USER_DATA, %eax         # ring 0's data is out of reach, and its selector cleared
  movl %eax, %ds
.endm
.macro ring_0 vec=0x30
  int $\vec
7774: movl $stray, resume
.endm

test:
  movw $64*8-1, idtr
  lidt idtr
  movl $vector3, %eax           # INT 0x30: like INT3, open to ring 3
  movw %ax, idt+0x30*8
  movw $CODE, idt+0x30*8+2
  movw $0xee00, idt+0x30*8+4
  shrl $16, %eax
  movw %ax, idt+0x30*8+6
  ring_3
  nop
  ring_0
  expect "INT from ring 3 through an open gate", seen, $3
  expect "the ring it came from", seen_cs, $USER_CODE
  expect "its handler's stack is the TSS's", seen_inner_ss, $DATA
  ring_3
  int $3
  ring_0
  expect "INT through a gate for ring 0: vector", seen, $13
  expect "INT through a gate for ring 0: error code", seen_error, $3*8+2
  ring_3
  cli
  ring_0
  expect "CLI with IOPL 3", seen, $3
  ring_3
  hlt
  ring_0
  expect "HLT in ring 3", seen, $13
  ring_3
  .byte 0x0f, 0x20, 0xc0
  ring_0
  expect "MOV from CR0 in ring 3", seen, $13
  # Alignment is checked in ring 3 alone, where AC and AM are set.
  movl %cr0, %eax
  orl $0x40000, %eax
  movl %eax, %cr0
  movl user_stack+1, %eax
  ring_3
  pushl $0x40002
  popfl
  movl user_stack+1, %eax
  ring_0
  expect "#AC", seen, $17
  movl %cr0, %eax
  andl $~0x40000, %eax
  movl %eax, %cr0
  # A call gate: two parameters move to the inner stack, RETF takes them from both.
  movl $through_gate, %eax
  movw %ax, gdt+CALL_GATE
  movw $CODE, gdt+CALL_GATE+2
  movw $0xec02, gdt+CALL_GATE+4
  shrl $16, %eax
  movw %ax, gdt+CALL_GATE+6
  ring_3
  pushl $0x1111
  pushl $0x2222
  lcall $CALL_GATE+3, $0
  movl %esp, outer_esp
  ring_0
  expect "back from the call gate", seen, $3
  expect "its second parameter", saved, $0x2222
  expect "its first parameter", saved+4, $0x1111
  expect "the ring inside", saved+8, $CODE
  expect "the stack outside", outer_esp, $user_stack
  movw $0x8c02, gdt+CALL_GATE+4
  ring_3
  lcall $CALL_GATE+3, $0
  ring_0
  expect "a call gate for ring 0: vector", seen, $13
  expect "a call gate for ring 0: error code", seen_error, $CALL_GATE
  movw $0x6c02, gdt+CALL_GATE+4
  ring_3
  lcall $CALL_GATE+3, $0
  ring_0
  expect "a call gate that is not present", seen, $11
  ring_3
  lcall $CODE, $through_gate
  ring_0
  expect "a far call to ring 0's code", seen_error, $CODE
  call tasks
  ret

tasks:
  movl $task_tss, %eax
  movw $0x67, gdt+TASK
  movw %ax, gdt+TASK+2
  shrl $16, %eax
  movb %al, gdt+TASK+4
  movb $0x89, gdt+TASK+5
  movw $0, gdt+TASK+6
  movl $task_code, task_tss+32
  movl $2, task_tss+36
  movl $0x5555, task_tss+40     # EAX
  movl $task_stack, task_tss+56
  movl $DATA, task_tss+72
  movl $CODE, task_tss+76
  movl $DATA, task_tss+80
  movl $DATA, task_tss+84
  movl $0, task_tss+88
  movl $0, task_tss+92
  movl $0, task_tss+96
  movw $0x68, task_tss+102
  lcall $TASK, $0
  movl %cr0, %eax
  movl %eax, saved+16
  pushfl
  popl %eax
  andl $0x4000, %eax
  movl %eax, saved+20
  clts
  expect "the task's EAX is its TSS's", saved, $0x5555
  expect "NT in a task that was called", saved+4, $0x4000
  expect "its back link", saved+8, $TSS
  expect "its TR", saved+12, $TASK
  expect "CR0.TS is set by a switch", saved+16, $0x19
  expect "NT is clear behind it", saved+20, $0
  str %eax
  expect "TR is the old task's", %eax, $TSS
  movzbl gdt+TASK+5, %eax
  expect "the task that returned is not busy", %eax, $0x89
  movzbl gdt+TSS+5, %eax
  expect "the running task is busy", %eax, $0x8b
  faults "a call of the task that runs", 13, TSS, lcall $TSS, $0
  movb $0x09, gdt+TASK+5
  faults "a task that is not present", 11, TASK, lcall $TASK, $0
  movb $0x89, gdt+TASK+5
  movw $0x66, gdt+TASK
  faults "a TSS that is too short", 10, TASK, lcall $TASK, $0
  movw $0x67, gdt+TASK
  # Through a task gate, and as an interrupt.
  movl $task_code, task_tss+32
  movl $0x7777, task_tss+40
  movl $0, gdt+TASK_GATE
  movw $TASK, gdt+TASK_GATE+2
  movl $0x8500, gdt+TASK_GATE+4
  lcall $TASK_GATE, $0
  clts
  expect "through a task gate", saved, $0x7777
  movl $task_code, task_tss+32
  movl $0x8888, task_tss+40
  movw $TASK, idt+0x31*8+2
  movw $0x8500, idt+0x31*8+4
  int $0x31
  clts
  expect "an interrupt by a task gate", saved, $0x8888
  # There and back by jumps, of which none is nested.
  movl $task_jumps, task_tss+32
  movl $2, task_tss+36
  ljmp $TASK, $0
  clts
  pushfl
  popl %eax
  andl $0x4000, %eax
  expect "NT behind jumps", %eax, $0
  expect "NT in a task that was jumped to", saved+4, $0
  ret

through_gate:
  movl 8(%esp), %eax
  movl %eax, %ss:saved
  movl 12(%esp), %eax
  movl %eax, %ss:saved+4
  movw %cs, %ss:saved+8
  lret $8

task_code:
  movl %eax, saved
  pushfl
  popl %eax
  andl $0x4000, %eax
  movl %eax, saved+4
  movzwl task_tss, %eax
  movl %eax, saved+8
  str %eax
  movl %eax, saved+12
  iretl
  jmp task_code

task_jumps:
  pushfl
  popl %eax
  andl $0x4000, %eax
  movl %eax, saved+4
  ljmp $TSS, $0

.bss
.align 16
task_tss: .skip 128
saved: .skip 64
outer_esp: .skip 4
.skip 4096
task_stack: .skip 16
.skip 4096
user_stack: .skip 16
.text
