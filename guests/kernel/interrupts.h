/* The CPU's interrupts IP2 to IP7, and waiting for one. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdbool.h>

/* Have this handler called, with interrupts off, as long as the interrupt is raised. */
void enable_interrupt(unsigned number, void (*handler)(void));

/* All of them, whatever is enabled. */
void interrupts_on(void);
void interrupts_off(void);

/* Give the CPU away until an interrupt handler has set the flag. */
void wait_for(volatile bool *flag);

/* Called by handle_exception with those bits of Cause.IP that are not masked. */
void handle_interrupts(unsigned raised);

#endif
