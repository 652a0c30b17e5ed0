/* The monitor that the machine may run on. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdbool.h>

#include "exceptions.h"

/* End the machine, with an exit status if there is a monitor to be told. */
void power_off(unsigned status) __attribute__((noreturn));

/* Whether a reserved instruction was a monitor call; it then goes on behind it. */
bool monitor_is_missing(struct exception_frame *frame);

#endif
