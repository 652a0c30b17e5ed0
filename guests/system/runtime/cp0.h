/* The CP0 registers, for assembly and C alike: `mfc0 $t0, C0_STATUS`, `READ_CP0(C0_STATUS)`.
 * MIPS32 Privileged Resource Architecture (MD00090), chapter 9. */
#ifndef CP0_H
#define CP0_H

#define C0_INDEX $0
#define C0_RANDOM $1
#define C0_ENTRYLO0 $2
#define C0_ENTRYLO1 $3
#define C0_CONTEXT $4
#define C0_USERLOCAL $4, 2
#define C0_PAGEMASK $5
#define C0_WIRED $6
#define C0_HWRENA $7
#define C0_BADVADDR $8
#define C0_COUNT $9
#define C0_ENTRYHI $10
#define C0_COMPARE $11
#define C0_STATUS $12
#define C0_INTCTL $12, 1
#define C0_SRSCTL $12, 2
#define C0_CAUSE $13
#define C0_EPC $14
#define C0_PRID $15
#define C0_EBASE $15, 1
#define C0_CONFIG $16
#define C0_CONFIG1 $16, 1
#define C0_CONFIG2 $16, 2
#define C0_CONFIG3 $16, 3
#define C0_CONFIG7 $16, 7
#define C0_LLADDR $17
#define C0_TAGLO $28
#define C0_TAGHI $29
#define C0_ERROREPC $30

#define STATUS_IE 0x00000001
#define STATUS_EXL 0x00000002
#define STATUS_ERL 0x00000004
#define STATUS_KSU 0x00000018
#define STATUS_SUPERVISOR 0x00000008
#define STATUS_USER 0x00000010
#define STATUS_IM 0x0000ff00
#define STATUS_IM0 0x00000100
#define STATUS_IM1 0x00000200
#define STATUS_IM4 0x00001000
#define STATUS_IM7 0x00008000
#define STATUS_BEV 0x00400000
#define STATUS_FR 0x04000000
#define STATUS_CU0 0x10000000
#define STATUS_CU1 0x20000000

#define CAUSE_EXCCODE 0x0000007c
#define CAUSE_IP0 0x00000100
#define CAUSE_IP1 0x00000200
#define CAUSE_IP4 0x00001000
#define CAUSE_IP7 0x00008000
#define CAUSE_IP 0x0000ff00
#define CAUSE_IV 0x00800000
#define CAUSE_CE 0x30000000
#define CAUSE_TI 0x40000000
#define CAUSE_BD 0x80000000

/* Cause.ExcCode */
#define EXC_INT 0
#define EXC_MOD 1
#define EXC_TLBL 2
#define EXC_TLBS 3
#define EXC_ADEL 4
#define EXC_ADES 5
#define EXC_SYS 8
#define EXC_BP 9
#define EXC_RI 10
#define EXC_CPU 11
#define EXC_OV 12
#define EXC_TR 13
#define EXC_FPE 15

/* Offsets of the exception vectors from EBase, or from 0xbfc00200 while Status.BEV is set. */
#define VECTOR_REFILL 0x000
#define VECTOR_GENERAL 0x180
#define VECTOR_INTERRUPT 0x200

#define ENTRYLO_G 0x01
#define ENTRYLO_V 0x02
#define ENTRYLO_D 0x04
#define ENTRYLO_CACHED 0x18
/* EntryLo of a page that may be read and written. */
#define ENTRYLO(physical) (((physical) >> 6) | ENTRYLO_CACHED | ENTRYLO_D | ENTRYLO_V)
#define INDEX_P 0x80000000

#define CONFIG_AR 0x00001c00
#define CONFIG1_MMU_SIZE_SHIFT 25
#define CONFIG1_FP 0x00000001

#ifndef __ASSEMBLER__

#define CP0_NAME(...) #__VA_ARGS__
#define READ_CP0(...) READ_CP0_NAMED(CP0_NAME(__VA_ARGS__))
#define READ_CP0_NAMED(name)                                                      \
	({                                                                        \
		unsigned read_value;                                              \
		__asm__ volatile("mfc0 %0, " name : "=r"(read_value) : : "memory"); \
		read_value;                                                       \
	})
/* The effect is there for the next instruction. */
#define WRITE_CP0(value, ...) WRITE_CP0_NAMED(value, CP0_NAME(__VA_ARGS__))
#define WRITE_CP0_NAMED(value, name) \
	__asm__ volatile("mtc0 %z0, " name "\n\tehb" : : "Jr"(value) : "memory")

#endif
#endif
