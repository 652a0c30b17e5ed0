/* The monitor that the machine may run on. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdbool.h>

#include "exceptions.h"

/* The monitor's calls (dbt_disco/virtual_machine/monitor_calls.py) that are used here. */
#define MONITOR_CALL_WRITE 1
#define MONITOR_CALL_POWER_OFF 3
#define MONITOR_CALL_ZERO_PAGE 4
#define MONITOR_CALL_FREE_PAGE 5

/* Ask the monitor for something; what it answers. */
unsigned monitor_call(unsigned number, unsigned first, unsigned second);

/* End the machine, with an exit status if there is a monitor to be told. */
void power_off(unsigned status) __attribute__((noreturn));

/* Whether a reserved instruction was a monitor call; it then goes on behind it. */
bool monitor_is_missing(struct exception_frame *frame);

#endif
