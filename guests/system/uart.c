/* The UART, a 16550A: registers, accesses of every width, loopback, FIFOs, interrupts (PC16550D data sheet, chapter 8).
 * While it is looped back nothing can be printed: what is found there is noted and checked later. */
#include "cp0.h"
#include "exceptions.h"
#include "expect.h"
#include "platform.h"
#include "tlb.h"

#define LINE_8N1 0x03
#define LINE_DLAB 0x80
#define MODEM_DTR 0x01
#define MODEM_RTS 0x02
#define MODEM_OUT1 0x04
#define MODEM_OUT2 0x08
#define MODEM_LOOPBACK 0x10
#define STATUS_CTS 0x10
#define STATUS_DSR 0x20
#define STATUS_RI 0x40
#define STATUS_DCD 0x80
#define FIFO_ENABLE 0x01
#define FIFO_CLEAR_RECEIVED 0x02
#define FIFO_CLEAR_TRANSMITTED 0x04
#define ENABLE_RECEIVED 0x01
#define ENABLE_TRANSMITTED 0x02
#define ENABLE_LINE_STATUS 0x04
#define IDENTIFY_NONE 0x01
#define IDENTIFY_TRANSMITTED 0x02
#define IDENTIFY_RECEIVED 0x04
#define IDENTIFY_LINE_STATUS 0x06
#define IDENTIFY_FIFO 0xc0
#define EMPTY (UART_LINE_STATUS_THRE | UART_LINE_STATUS_TEMT)

static unsigned notes, lines[64], found[64], expected[64];

static void note(unsigned line, unsigned value, unsigned expectation)
{
	lines[notes] = line;
	found[notes] = value;
	expected[notes++] = expectation;
}

#define NOTE(value, expectation) note(__LINE__, value, expectation)

static void check_notes(void)
{
	for (unsigned k = 0; k < notes; k++)
		check_equal(lines[k], 0, expected[k], found[k]);
	notes = 0;
}

static unsigned read(unsigned offset)
{
	return *(volatile unsigned char *)(UART + offset);
}

static void write(unsigned offset, unsigned value)
{
	*(volatile unsigned char *)(UART + offset) = value;
}

static unsigned is_raised(void)
{
	return (READ_CP0(C0_CAUSE) & CAUSE_IP4) != 0;
}

/* Every width, at the register's address, through KSEG1 and through the TLB. */
static void widths(void)
{
	write_tlb(1, (struct tlb_entry){0x00400000, (0x1f000000 >> 6) | 2 << 3 | ENTRYLO_D | ENTRYLO_V | ENTRYLO_G, ENTRYLO_G,
					PAGE_MASK_4K});
	for (unsigned address = UART;; address = 0x00400900) {
		*(volatile unsigned char *)(address + UART_SCRATCH) = 0xa5;
		EXPECT_EQUAL(*(volatile unsigned char *)(address + UART_SCRATCH), 0xa5);
		EXPECT_EQUAL(*(volatile unsigned short *)(address + UART_SCRATCH), 0xa5);
		EXPECT_EQUAL(*(volatile unsigned *)(address + UART_SCRATCH), 0xa5);
		*(volatile unsigned *)(address + UART_SCRATCH) = 0x12345678;
		EXPECT_EQUAL(*(volatile unsigned char *)(address + UART_SCRATCH), 0x78);
		*(volatile unsigned short *)(address + UART_SCRATCH) = 0x9abc;
		EXPECT_EQUAL(*(volatile unsigned *)(address + UART_SCRATCH), 0xbc);
		if (address != UART)
			break;
	}
}

static void divisor_latch(void)
{
	write(UART_LINE_CONTROL, LINE_8N1 | LINE_DLAB);
	write(UART_DATA, 0x0c);
	write(UART_INTERRUPT_ENABLE, 0x00);
	NOTE(read(UART_DATA), 0x0c);
	NOTE(read(UART_LINE_CONTROL), LINE_8N1 | LINE_DLAB);
	write(UART_LINE_CONTROL, LINE_8N1);
	write(UART_INTERRUPT_ENABLE, 0xf0);
	NOTE(read(UART_INTERRUPT_ENABLE), 0);
	check_notes();
}

static void modem_control(void)
{
	static const unsigned char pairs[][2] = {
		{MODEM_DTR, STATUS_DSR}, {MODEM_RTS, STATUS_CTS}, {MODEM_OUT1, STATUS_RI}, {MODEM_OUT2, STATUS_DCD}};

	for (unsigned k = 0; k < 4; k++) {
		write(UART_MODEM_CONTROL, MODEM_LOOPBACK | pairs[k][0]);
		NOTE(read(UART_MODEM_STATUS) & 0xf0, pairs[k][1]);
		NOTE(read(UART_MODEM_CONTROL), MODEM_LOOPBACK | pairs[k][0]);
	}
	write(UART_MODEM_CONTROL, 0);
	check_notes();
}

/* Without FIFOs: one byte at a time, and one that comes before the last was read is an overrun. */
static void loopback(void)
{
	write(UART_FIFO_CONTROL, 0);
	write(UART_MODEM_CONTROL, MODEM_LOOPBACK);
	NOTE(read(UART_LINE_STATUS), EMPTY);
	for (unsigned value = 0; value < 256; value += 85) {
		write(UART_DATA, value);
		while (!(read(UART_LINE_STATUS) & UART_LINE_STATUS_DR))
			;
		NOTE(read(UART_DATA), value);
		NOTE(read(UART_LINE_STATUS), EMPTY);
	}
	write(UART_DATA, 1);
	write(UART_DATA, 2);
	NOTE(read(UART_LINE_STATUS), EMPTY | UART_LINE_STATUS_DR | UART_LINE_STATUS_OE);
	NOTE(read(UART_LINE_STATUS), EMPTY | UART_LINE_STATUS_DR);
	NOTE(read(UART_DATA), 2);
	write(UART_MODEM_CONTROL, 0);
	check_notes();
}

static void fifos(void)
{
	write(UART_FIFO_CONTROL, FIFO_ENABLE | FIFO_CLEAR_RECEIVED | FIFO_CLEAR_TRANSMITTED);
	write(UART_MODEM_CONTROL, MODEM_LOOPBACK);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_FIFO | IDENTIFY_NONE);
	for (unsigned k = 0; k < 16; k++)
		write(UART_DATA, 0x40 + k);
	NOTE(read(UART_LINE_STATUS), EMPTY | UART_LINE_STATUS_DR);
	for (unsigned k = 0; k < 16; k++)
		NOTE(read(UART_DATA), 0x40 + k);
	NOTE(read(UART_LINE_STATUS), EMPTY);
	write(UART_DATA, 1);
	write(UART_FIFO_CONTROL, FIFO_ENABLE | FIFO_CLEAR_RECEIVED);
	NOTE(read(UART_LINE_STATUS), EMPTY);
	/* Disabling and enabling them clears them too. */
	write(UART_DATA, 2);
	write(UART_FIFO_CONTROL, 0);
	NOTE(read(UART_LINE_STATUS), EMPTY);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_NONE);
	write(UART_DATA, 3);
	write(UART_FIFO_CONTROL, FIFO_ENABLE);
	NOTE(read(UART_LINE_STATUS), EMPTY);
	write(UART_FIFO_CONTROL, 0);
	write(UART_MODEM_CONTROL, 0);
	check_notes();
}

/* The transmitter's: raised by enabling it while there is nothing to send; reading IIR acknowledges it. */
static void transmitter_interrupt(void)
{
	NOTE(is_raised(), 0);
	write(UART_INTERRUPT_ENABLE, ENABLE_TRANSMITTED);
	NOTE(is_raised(), 1);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_TRANSMITTED);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_NONE);
	NOTE(is_raised(), 0);
	write(UART_INTERRUPT_ENABLE, 0);
	write(UART_INTERRUPT_ENABLE, ENABLE_TRANSMITTED);
	NOTE(is_raised(), 1);
	write(UART_INTERRUPT_ENABLE, 0);
	NOTE(is_raised(), 0);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_NONE);
	/* Sending makes it come again. */
	write(UART_FIFO_CONTROL, FIFO_ENABLE);
	write(UART_INTERRUPT_ENABLE, ENABLE_TRANSMITTED);
	read(UART_INTERRUPT_IDENTIFICATION);
	write(UART_MODEM_CONTROL, MODEM_LOOPBACK);
	write(UART_DATA, 'x');
	while (!(read(UART_LINE_STATUS) & UART_LINE_STATUS_THRE))
		;
	NOTE(is_raised(), 1);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_FIFO | IDENTIFY_TRANSMITTED);
	NOTE(is_raised(), 0);
	write(UART_INTERRUPT_ENABLE, 0);
	write(UART_FIFO_CONTROL, 0);
	read(UART_DATA);
	write(UART_MODEM_CONTROL, 0);
	check_notes();
}

/* The receiver's: until the byte has been read; of higher priority than the transmitter's, of lower than an overrun's. */
static void receiver_interrupt(void)
{
	write(UART_MODEM_CONTROL, MODEM_LOOPBACK);
	write(UART_INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_TRANSMITTED);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_TRANSMITTED);
	NOTE(is_raised(), 0);
	write(UART_DATA, 'a');
	while (!(read(UART_LINE_STATUS) & UART_LINE_STATUS_DR))
		;
	NOTE(is_raised(), 1);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_RECEIVED);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_RECEIVED);
	NOTE(read(UART_DATA), 'a');
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_TRANSMITTED);
	NOTE(is_raised(), 0);
	write(UART_INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_LINE_STATUS);
	write(UART_DATA, 'b');
	write(UART_DATA, 'c');
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_LINE_STATUS);
	read(UART_LINE_STATUS);
	NOTE(read(UART_INTERRUPT_IDENTIFICATION), IDENTIFY_RECEIVED);
	NOTE(read(UART_DATA), 'c');
	NOTE(is_raised(), 0);
	write(UART_INTERRUPT_ENABLE, 0);
	write(UART_MODEM_CONTROL, 0);
	check_notes();
}

static unsigned taken;

static int acknowledge(struct exception *exception)
{
	if (exception->cause & CAUSE_EXCCODE)
		return 0;
	if (exception->cause & CAUSE_IP4 && read(UART_INTERRUPT_IDENTIFICATION) == IDENTIFY_TRANSMITTED)
		taken++;
	else
		write(UART_INTERRUPT_ENABLE, 0);
	return 1;
}

/* It interrupts the CPU at IP4: a text sent byte by byte from interrupts. */
static void interrupts_the_cpu(void)
{
	exception_hook = acknowledge;
	WRITE_CP0(STATUS_IM4 | STATUS_IE, C0_STATUS);
	write(UART_INTERRUPT_ENABLE, ENABLE_TRANSMITTED);
	for (unsigned k = 0; k < 10; k++) {
		unsigned before = *(volatile unsigned *)&taken;

		write(UART_DATA, k < 9 ? '1' + k : '\n');
		while (*(volatile unsigned *)&taken == before)
			;
	}
	write(UART_INTERRUPT_ENABLE, 0);
	WRITE_CP0(0, C0_STATUS);
	EXPECT_EQUAL(taken, 11);
}

void main(void)
{
	widths();
	write(UART_INTERRUPT_ENABLE, 0);
	divisor_latch();
	modem_control();
	loopback();
	fifos();
	transmitter_interrupt();
	receiver_interrupt();
	interrupts_the_cpu();
	EXPECT_EQUAL(exception_count, 0);
}
