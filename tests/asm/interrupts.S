# Interrupts that the local APIC's processor sends itself in 32-bit mode: when they arrive, STI's shadow, HLT, priorities, and gates.
.include "protected.inc"
.set LOW_VECTOR, 0x28
.set VECTOR, 0x30
.set LAST_VECTOR, 0x3f
.set APIC, 0xfee00000
.set PRIORITY, APIC + 0x80
.set END, APIC + 0xb0
.set SPURIOUS, APIC + 0xf0
.set COMMAND, APIC + 0x300
.set IF, 0x200

# gate VECTOR, HANDLER, TYPE
.macro gate number, handler, type
  movl $\handler, %eax
  movw %ax, idt + 8 * \number
  movw $CODE, idt + 8 * \number + 2
  movw $\type, idt + 8 * \number + 4
  shrl $16, %eax
  movw %ax, idt + 8 * \number + 6
.endm
# pend VECTOR: sends it to this processor, and waits until the message is on its way.
.macro pend number
  movl $0x44000 + \number, COMMAND
7776: testl $0x1000, COMMAND
  jnz 7776b
.endm
# arrives NAME, INSTRUCTIONS: the interrupt is there before they begin, with interrupts off, and is taken at the label 7775 in them.
.macro arrives name, insns
  cli
  movl $0, count
  movl $0, handler_flags
  pend VECTOR
  nop
  expect "\name: none as long as they are off", count, $0
  \insns
  nop
  nop
  cli
  expect "\name: number", count, $1
  expect "\name: where", seen_eip, $7775b
  expect "\name: code segment", seen_cs, $CODE
  andl $IF, seen_flags
  expect "\name: flags kept", seen_flags, $IF
  andl $IF, handler_flags
  expect "\name: flags in the handler", handler_flags, $0
.endm

test:
  movb $0xff, %al              # firmware leaves the 8259s on
  outb %al, $0x21
  outb %al, $0xa1
  gate LOW_VECTOR, low_handler, 0x8e00
  gate VECTOR, handler, 0x8e00
  movw $64 * 8 - 1, idtr
  lidt idtr
  movl $0x100 + LAST_VECTOR, SPURIOUS
  movl $0, PRIORITY
  arrives "STI", "sti; nop; 7775: nop"
  arrives "STI twice", "sti; sti; 7775: nop"
  arrives "STI and a jump", "sti; jmp 7775f; nop; 7775: nop"
  arrives "POPF", "pushl $IF + 2; popfl; 7775: nop"
  arrives "IRET", "pushl $IF + 2; pushl $CODE; pushl $7775f; iretl; nop; 7775: nop"
  arrives "HLT", "sti; hlt; 7775: nop"
  # Nothing fits between STI and CLI.
  movl $0, count
  pend VECTOR
  sti
  cli
  nop
  expect "STI, CLI", count, $0
  sti
  nop
  nop
  cli
  expect "and later", count, $1
  # The task priority keeps it away, flags or not.
  movl $0, count
  movl $0x30, PRIORITY
  pend VECTOR
  sti
  nop
  nop
  expect "below the task priority", count, $0
  movl $0, PRIORITY
  nop
  cli
  expect "above it again", count, $1
  # Of two, the higher goes first, and the lower one waits for its end.
  movl $0, count
  movl $0, order
  pend LOW_VECTOR
  pend VECTOR
  sti
  nop
  nop
  cli
  expect "two: number", count, $2
  expect "two: order", order, $(VECTOR << 8) + LOW_VECTOR
  # A trap gate leaves interrupts on; INT asks neither flag nor priority.
  gate VECTOR, handler, 0x8f00
  movl $0, count
  pend VECTOR
  sti
  nop
  nop
  cli
  expect "trap gate: number", count, $1
  andl $IF, handler_flags
  expect "trap gate: flags in the handler", handler_flags, $IF
  movl $0, count
  int $VECTOR
  expect "INT with interrupts off", count, $1
  ret

low_handler:
  shll $8, order
  orl $LOW_VECTOR, order
  incl count
  movl $0, END
  iretl
handler:
  pushl %eax
  pushfl
  popl handler_flags
  movl 4(%esp), %eax
  movl %eax, seen_eip
  movl 8(%esp), %eax
  movl %eax, seen_cs
  movl 12(%esp), %eax
  movl %eax, seen_flags
  shll $8, order
  orl $VECTOR, order
  incl count
  movl $0, END
  popl %eax
  iretl

.bss
.align 4
count: .skip 4
order: .skip 4
handler_flags: .skip 4
.text
