/* Two kinds of loaders: one that gives a device tree (UHI, as dbt-disco does), and one that gives main's arguments, as
 * YAMON does on a Malta board and QEMU in its place. */
#include "loader.h"

#include <stddef.h>

#include "device_tree.h"
#include "memory.h"

#define UHI (-2)
#define COUNTS_PER_SECOND 160000000 /* a 24K at 320 MHz, QEMU's and ours */

static struct handover from_device_tree(const void *blob)
{
	struct handover handover = {"", 0, COUNTS_PER_SECOND};
	unsigned blob_address = (unsigned)blob - KSEG0, length, end;
	const char *text;
	struct node node;

	if (find_node(&node, "chosen") && (text = property(&node, "bootargs", &length)))
		handover.command_line = text;
	if (find_node(&node, "memory")) {
		end = property_cell(&node, "reg", 0, 0) + property_cell(&node, "reg", 1, 0);
		handover.memory_end = end < blob_address ? end : blob_address; /* it is above all that was loaded */
	}
	if (find_node(&node, "cpu-clock"))
		handover.counts_per_second = property_cell(&node, "clock-frequency", 0, 2 * COUNTS_PER_SECOND) / 2;
	return handover;
}

struct handover read_handover(int a0, const void *a1, const void *a2, unsigned a3)
{
	const char *const *arguments = a1;

	(void)a2; /* YAMON's environment */
	if (a0 == UHI && device_tree_open(a1))
		return from_device_tree(a1);
	return (struct handover){a0 > 1 ? arguments[1] : "", a3, COUNTS_PER_SECOND};
}
