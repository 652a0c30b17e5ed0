#include "exceptions.h"

#include "console.h"
#include "cp0.h"
#include "expect.h"

unsigned exception_count;
struct exception recorded[RECORDED_EXCEPTIONS];
int (*exception_hook)(struct exception *);
unsigned resume_at, resume_status;

static void print_field(const char *name, unsigned value)
{
	print(name);
	print_hex(value);
}

static void die_of(const struct exception *exception)
{
	print("unexpected exception:");
	print_field(" vector ", exception->vector);
	print_field(" Cause ", exception->cause);
	print_field(" EPC ", exception->epc);
	print_field(" BadVAddr ", exception->bad_vaddr);
	print_field(" Status ", exception->status);
	print_field(" ErrorEPC ", exception->error_epc);
	print_field(" ra ", exception->gpr[31]);
	print("\n");
	check(0, 0);
	finish();
}

/* Called by the vectors, on a stack of its own, with EXL set. What it leaves in *exception is returned to. */
void record_exception(struct exception *exception)
{
	if (exception_hook && exception_hook(exception))
		return;
	if (exception_count < RECORDED_EXCEPTIONS)
		recorded[exception_count] = *exception;
	exception_count++;
	if (!resume_at)
		die_of(exception);
	exception->epc = resume_at;
	exception->status = resume_status;
	resume_at = 0;
}
