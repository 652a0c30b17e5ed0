/* Exceptions are recorded; then the program goes on at the place that `attempt` named. */
#ifndef EXCEPTIONS_H
#define EXCEPTIONS_H

/* Offsets in struct exception. */
#define EXCEPTION_GPR 0
#define EXCEPTION_HI 128
#define EXCEPTION_LO 132
#define EXCEPTION_VECTOR 136
#define EXCEPTION_STATUS 140
#define EXCEPTION_CAUSE 144
#define EXCEPTION_EPC 148
#define EXCEPTION_BADVADDR 152
#define EXCEPTION_ENTRYHI 156
#define EXCEPTION_CONTEXT 160
#define EXCEPTION_ERROREPC 164
#define EXCEPTION_SIZE 168

#define RECORDED_EXCEPTIONS 16

#ifndef __ASSEMBLER__

struct exception {
	unsigned gpr[32]; /* without k0 and k1 */
	unsigned hi, lo;
	unsigned vector; /* offset of the vector it came through */
	unsigned status, cause, epc, bad_vaddr, entry_hi, context, error_epc;
};

/* Exceptions since the last `attempt`, and the first of them. */
extern unsigned exception_count;
extern struct exception recorded[RECORDED_EXCEPTIONS];

/* Called first on every exception, with EXL set: whether it has seen to it. It may change what is returned to. */
extern int (*exception_hook)(struct exception *);

/* Where to go on after a recorded exception, and with which Status; 0: nowhere, it ends the program. */
extern unsigned resume_at, resume_status;

#endif
#endif
