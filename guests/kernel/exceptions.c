/* What is behind an exception: an interrupt, a monitor call where there is no monitor, or the kernel's own fault. */
#include "exceptions.h"

#include "cp0.h"
#include "interrupts.h"
#include "monitor.h"
#include "panic.h"

static const char *const names[32] = {
	[EXC_MOD] = "TLB modified",
	[EXC_TLBL] = "load or fetch from an address that is not mapped",
	[EXC_TLBS] = "store to an address that is not mapped",
	[EXC_ADEL] = "load or fetch from a bad address",
	[EXC_ADES] = "store to a bad address",
	[EXC_SYS] = "system call",
	[EXC_BP] = "breakpoint",
	[EXC_RI] = "reserved instruction",
	[EXC_CPU] = "coprocessor unusable",
	[EXC_OV] = "integer overflow",
	[EXC_TR] = "trap",
};

/* Called by exception_entry.S, with EXL set. */
void handle_exception(struct exception_frame *frame)
{
	unsigned code = (frame->cause & CAUSE_EXCCODE) >> 2;

	if (code == EXC_INT)
		handle_interrupts(frame->cause & frame->status);
	else if (code != EXC_RI || !monitor_is_missing(frame))
		panic("%s: Cause 0x%08x EPC 0x%08x BadVAddr 0x%08x ra 0x%08x sp 0x%08x",
		      names[code] ? names[code] : "exception", frame->cause, frame->epc, frame->bad_vaddr, frame->gpr[31],
		      frame->gpr[29]);
}
