/* The Count/Compare timer. */
#ifndef TIMER_H
#define TIMER_H

/* Have Count reach Compare this many counts from now, or later where the machine is too slow for that. */
void start_timer(unsigned counts);

#endif
