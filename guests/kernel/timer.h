/* Time: CP0 Count, and a tick a hundred times a second. */
#ifndef TIMER_H
#define TIMER_H

#define TICKS_PER_SECOND 100

/* Start to tick, with Count at this many steps a second. */
void timer_init(unsigned counts_per_second);

extern volatile unsigned ticks;
extern unsigned counts_per_second;

#endif
