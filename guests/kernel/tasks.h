/* What the kernel can be told to do: in files of their own, task_….c. A task says in the report what came out, or what has
 * failed; it takes its own options from the command line. */
#ifndef TASKS_H
#define TASKS_H

void task_checksum(void); /* read files and check them */
void task_write(void); /* write sectors, and read them back */
void task_compute(void); /* use the processor, on mapped memory */
void task_read(void); /* measure how fast the disk is read */
void task_plant(void); /* leave a secret everywhere … */
void task_search(void); /* … and look for one */
void task_crash(void); /* go wrong on purpose */
void task_torment(void); /* do anything to the devices */

#endif
