/* What the CPU says it is, and which bits of its registers can be written (MD00090, chapter 9; MD00343, the 24K). */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"

/* Write all ones and all zeros under these bits; what can be written must be what is expected. The register keeps its
 * value in the end. */
#define EXPECT_WRITABLE(under, expected, ...)                                            \
	do {                                                                             \
		unsigned before = READ_CP0(__VA_ARGS__), ones, zeros;                    \
		WRITE_CP0(before | (under), __VA_ARGS__);                                \
		ones = READ_CP0(__VA_ARGS__);                                            \
		WRITE_CP0(before & ~(under), __VA_ARGS__);                               \
		zeros = READ_CP0(__VA_ARGS__);                                           \
		WRITE_CP0(before, __VA_ARGS__);                                          \
		EXPECT_EQUAL((ones ^ zeros) & (under), (expected));                      \
		EXPECT_EQUAL(READ_CP0(__VA_ARGS__), before);                             \
	} while (0)

static void identity(void)
{
	unsigned config = READ_CP0(C0_CONFIG), config1 = READ_CP0(C0_CONFIG1);

	EXPECT_EQUAL(READ_CP0(C0_PRID) & 0x00ffff00, 0x00019300); /* MIPS, 24K */
	EXPECT_EQUAL(config & 0x80000000, 0x80000000); /* there is a Config1 */
	EXPECT_EQUAL(config >> 10 & 7, 1); /* AR: release 2 */
	EXPECT_EQUAL(config >> 13 & 3, 0); /* AT: MIPS32 */
	EXPECT_EQUAL(config >> 7 & 7, 1); /* MT: a TLB */
#ifdef __MIPSEB__
	EXPECT_EQUAL(config >> 15 & 1, 1); /* BE */
#else
	EXPECT_EQUAL(config >> 15 & 1, 0);
#endif
	EXPECT_EQUAL(config1 & 0x80000000, 0x80000000); /* there is a Config2 */
	EXPECT_EQUAL(config1 & CONFIG1_FP, CONFIG1_FP);
	EXPECT_EQUAL(config1 & 0x60, 0); /* no coprocessor 2, no MDMX */
	EXPECT_EQUAL(READ_CP0(C0_CONFIG2) & 0x80000000, 0x80000000); /* there is a Config3 */
	EXPECT_EQUAL(READ_CP0(C0_CONFIG3) & 0x8000004f, 0); /* no Config4, VEIC, VInt, MT, SmartMIPS, trace */
	EXPECT_EQUAL(READ_CP0(C0_INTCTL) >> 29, 7); /* the timer interrupts at IP7 */
	EXPECT_EQUAL(READ_CP0(C0_SRSCTL) & 0x3fffffff, 0); /* one set of registers */
	EXPECT_EQUAL(READ_CP0(C0_EBASE) & 0x3ff, 0); /* the first CPU */
}

static void read_only(void)
{
	EXPECT_WRITABLE(0xffffffff, 0, C0_PRID);
	EXPECT_WRITABLE(0xffffffff, 0, C0_CONFIG1);
	EXPECT_WRITABLE(0xffffffff, 0, C0_CONFIG3);
	EXPECT_WRITABLE(0xffffffff, 0, C0_BADVADDR);
	EXPECT_WRITABLE(0xfffffff8, 0, C0_CONFIG);
	EXPECT_WRITABLE(0xc0000fff, 0, C0_EBASE);
}

static void writable(void)
{
	EXPECT_WRITABLE(0xffffffff, 0xffffffff, C0_EPC);
	EXPECT_WRITABLE(0xffffffff, 0xffffffff, C0_ERROREPC);
	EXPECT_WRITABLE(0x3ffff000, 0x3ffff000, C0_EBASE);
	EXPECT_WRITABLE(0xffffffff, 0xff800000, C0_CONTEXT);
	EXPECT_WRITABLE(CAUSE_IV | CAUSE_IP0 | CAUSE_IP1, CAUSE_IV | CAUSE_IP0 | CAUSE_IP1, C0_CAUSE);
	EXPECT_WRITABLE(0x4000fc7c | CAUSE_BD | CAUSE_CE, 0, C0_CAUSE);
	EXPECT_WRITABLE(0x00000007, 0x00000007, C0_CONFIG); /* K0 */
	EXPECT_WRITABLE(0x1fffffff, 0x0000000f, C0_HWRENA); /* and 29 where there is a UserLocal */
}

/* Of Status: CU1, CU0, FR, BEV, the masks, KSU and IE; MX, PX, KX, SX and UX are not there (EXL and ERL have images of
 * their own; RP, RE, TS, SR and NMI are left alone). */
static void status(void)
{
	unsigned all = STATUS_CU1 | STATUS_CU0 | STATUS_FR | STATUS_BEV | STATUS_IM | STATUS_IE;

	WRITE_CP0(0, C0_CAUSE);
	WRITE_CP0(READ_CP0(C0_COUNT) - 1, C0_COMPARE);
	EXPECT_WRITABLE(STATUS_CU1, STATUS_CU1, C0_STATUS);
	EXPECT_WRITABLE(STATUS_CU0, STATUS_CU0, C0_STATUS);
	EXPECT_WRITABLE(STATUS_FR, STATUS_FR, C0_STATUS);
	EXPECT_WRITABLE(STATUS_BEV, STATUS_BEV, C0_STATUS);
	EXPECT_WRITABLE(STATUS_IM, STATUS_IM, C0_STATUS);
	EXPECT_WRITABLE(STATUS_IE, STATUS_IE, C0_STATUS);
	EXPECT_WRITABLE(0x818400e0, 0, C0_STATUS);
	WRITE_CP0(all, C0_STATUS);
	EXPECT_EQUAL(READ_CP0(C0_STATUS), all);
	WRITE_CP0(0, C0_STATUS);
	EXPECT_EQUAL(READ_CP0(C0_STATUS), 0);
}

/* Count goes on by itself, forwards. */
static void count(void)
{
	unsigned last = READ_CP0(C0_COUNT), backwards = 0;

	for (unsigned k = 0; k < 1000; k++) {
		unsigned now = READ_CP0(C0_COUNT);

		backwards += (int)(now - last) < 0;
		last = now;
	}
	EXPECT_EQUAL(backwards, 0);
}

void main(void)
{
	identity();
	read_only();
	writable();
	status();
	count();
	EXPECT_EQUAL(exception_count, 0);
}
