/* What the loader has handed over in a0 to a3. */
#ifndef LOADER_H
#define LOADER_H

struct handover {
	const char *command_line;
	unsigned memory_end; /* of what may be used, from physical address 0 */
	unsigned counts_per_second; /* of CP0 Count */
};

struct handover read_handover(int a0, const void *a1, const void *a2, unsigned a3);

#endif
