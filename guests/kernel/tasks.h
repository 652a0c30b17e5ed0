/* What the kernel can be told to do: one file each, task_NAME.c. A task says in the report what came out, or what has
 * failed; it takes its own options from the command line. */
#ifndef TASKS_H
#define TASKS_H

void task_checksum(void); /* read files and check them */
void task_write(void); /* write sectors, and read them back */
void task_compute(void); /* use the processor, on mapped memory */
void task_read(void); /* measure how fast the disk is read */
void task_crash(void); /* go wrong on purpose */

#endif
