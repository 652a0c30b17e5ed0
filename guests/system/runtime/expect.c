#include "expect.h"

#include "console.h"
#include "cp0.h"
#include "exceptions.h"
#include "platform.h"

static unsigned passed, failed;

static void start_failure(unsigned line)
{
	failed++;
	print("line ");
	print_decimal(line);
	print(": ");
}

void check(unsigned line, int condition)
{
	if (condition) {
		passed++;
	} else {
		start_failure(line);
		print("failed\n");
	}
}

void check_equal(unsigned line, const char *what, unsigned expected, unsigned found)
{
	if (found == expected) {
		passed++;
		return;
	}
	start_failure(line);
	if (what) {
		print(what);
		print(" ");
	}
	print_hex(expected);
	print(" expected, ");
	print_hex(found);
	print(" found\n");
}

void check_exception(const struct expected_exception *expected)
{
	const struct exception *first = &recorded[0];
	unsigned line = expected->line;

	check_equal(line, "number of exceptions", 1, exception_count);
	if (!exception_count)
		return;
	/* CE means something for coprocessor unusable only (MD00090, 9.26). */
	unsigned is_unusable = (expected->cause & CAUSE_EXCCODE) == EXC_CPU << 2;
	unsigned compared = CAUSE_BD | CAUSE_EXCCODE | (is_unusable ? CAUSE_CE : 0);
	check_equal(line, "Cause", expected->cause, first->cause & compared);
	check_equal(line, "vector", expected->vector, first->vector);
	if (first->epc - expected->epc <= expected->within)
		passed++;
	else
		check_equal(line, "EPC", expected->epc, first->epc);
	check_equal(line, "Status.EXL", STATUS_EXL, first->status & STATUS_EXL);
	if (expected->has_bad_vaddr)
		check_equal(line, "BadVAddr", expected->bad_vaddr, first->bad_vaddr);
}

void check_no_exception(unsigned line)
{
	check_equal(line, "number of exceptions", 0, exception_count);
	if (exception_count) {
		check_equal(line, "Cause", 0, recorded[0].cause);
		check_equal(line, "EPC", 0, recorded[0].epc);
	}
}

void finish(void)
{
	print_decimal(passed);
	print(" passed, ");
	print_decimal(failed);
	print(" failed\n");
	*(volatile unsigned *)RESET = RESET_GO;
	for (;;)
		;
}
