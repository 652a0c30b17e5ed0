#include "monitor.h"

#include "cp0.h"
#include "interrupts.h"
#include "platform.h"
#include "uart.h"

extern char monitor_call_at[];

/* `hypcall` with the number of the call in v0. A machine without a monitor does not know the instruction. */
__attribute__((noinline, noclone)) unsigned monitor_call(unsigned number, unsigned first, unsigned second)
{
	register unsigned v0 __asm__("v0") = number;
	register unsigned a0 __asm__("a0") = first;
	register unsigned a1 __asm__("a1") = second;

	__asm__ volatile("monitor_call_at: .word 0x42000028" : "+r"(v0) : "r"(a0), "r"(a1) : "v1", "memory");
	return v0;
}

bool monitor_is_missing(struct exception_frame *frame)
{
	if (frame->epc != (unsigned)monitor_call_at)
		return false;
	frame->epc += 4;
	return true;
}

void power_off(unsigned status)
{
	interrupts_off();
	uart_drain();
	WRITE_CP0(READ_CP0(C0_STATUS) & ~STATUS_EXL, C0_STATUS); /* a panic in an exception: the next one needs EPC */
	monitor_call(MONITOR_CALL_POWER_OFF, status, 0);
	*(volatile unsigned *)RESET = RESET_GO;
	for (;;)
		;
}
