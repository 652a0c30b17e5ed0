#include "report.h"

#include "disk.h"
#include "page_table.h"
#include "panic.h"
#include "sha256.h"
#include "timer.h"
#include "uart.h"

static struct sha256 sum;
static unsigned failures;

static void put_result(char character)
{
	uart_put(character);
	sha256_add(&sum, &character, 1);
}

void report(const char *format, ...)
{
	va_list arguments;

	if (!sum.length)
		sha256_start(&sum);
	va_start(arguments, format);
	format_to(put_result, format, arguments);
	va_end(arguments);
}

bool failed(const char *format, ...)
{
	va_list arguments;

	failures++;
	print("error: ");
	va_start(arguments, format);
	format_to(uart_put, format, arguments);
	va_end(arguments);
	print("\n");
	return false;
}

unsigned report_end(void)
{
	char digest[SHA256_HEX];

	if (!sum.length)
		sha256_start(&sum);
	sha256_finish(&sum, digest);
	print("statistics: ticks=%u tlb_refills=%u disk_requests=%u\n", ticks, tlb_refills, disk_requests);
	print("done: failures=%u sha256=%s\n", failures, digest);
	return failures ? EXIT_FAILED : EXIT_DONE;
}
