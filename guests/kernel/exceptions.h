/* What the CPU was doing when an exception came; exception_entry.S saves it and goes back to it. */
#ifndef EXCEPTIONS_H
#define EXCEPTIONS_H

#define FRAME_GPR 0
#define FRAME_HI 128
#define FRAME_LO 132
#define FRAME_STATUS 136
#define FRAME_CAUSE 140
#define FRAME_EPC 144
#define FRAME_BADVADDR 148
#define FRAME_SIZE 152

#ifndef __ASSEMBLER__

struct exception_frame {
	unsigned gpr[32]; /* without k0 and k1 */
	unsigned hi, lo, status, cause, epc, bad_vaddr;
};

#endif
#endif
