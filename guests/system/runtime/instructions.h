/* Instructions as words, for programs that write programs. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#define REGISTER_V0 2
#define REGISTER_A0 4
#define REGISTER_T0 8

#define NOP 0
#define JR_RA 0x03e00008
#define SYSCALL 0x0000000c
#define LI(register, value) (0x24000000 | (register) << 16 | ((value) & 0xffff))
#define ADDIU(target, source, value) (0x24000000 | (source) << 21 | (target) << 16 | ((value) & 0xffff))
#define BNEZ(register, words) (0x14000000 | (register) << 21 | ((words) & 0xffff))

#endif
