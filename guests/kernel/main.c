/* A kernel for dbt-disco's virtual machines: brings up the machine, does the tasks that its command line names, reports.
 * README.md says how to use it and what is in which file. */
#include <stdbool.h>
#include <stddef.h>

#include "disk.h"
#include "interrupts.h"
#include "loader.h"
#include "memory.h"
#include "monitor.h"
#include "options.h"
#include "page_table.h"
#include "report.h"
#include "string.h"
#include "tasks.h"
#include "timer.h"
#include "volume.h"

#define TASKS_OF_ALL "checksum,write,compute"
#define TASK_NAME_SIZE 16

static const struct task {
	const char *name;
	void (*run)(void);
	bool needs_volume;
} tasks[] = {
	{"checksum", task_checksum, true}, {"write", task_write, true}, {"compute", task_compute, false},
	{"read", task_read, true},	   {"plant", task_plant, true}, {"search", task_search, false},
	{"crash", task_crash, false},	   {"torment", task_torment, false},
};

static const struct task *find_task(const char *name)
{
	for (unsigned i = 0; i < sizeof tasks / sizeof *tasks; i++)
		if (equal(tasks[i].name, name))
			return &tasks[i];
	usage_error("task=%s: no such task; there are all, checksum, write, compute, read, plant, search, crash, torment", name);
}

/* The names of the tasks, all of them known. */
static const char *chosen_tasks(void)
{
	const char *chosen = option("task", NULL), *list = chosen;
	char name[TASK_NAME_SIZE];

	if (!chosen || !*chosen)
		usage_error("task= is missing: say what to do, as in task=all");
	while (next_item(&list, name, sizeof name))
		if (!equal(name, "all"))
			find_task(name);
	return chosen;
}

static void run(const char *list, const char *volume_problem)
{
	char name[TASK_NAME_SIZE];

	while (next_item(&list, name, sizeof name)) {
		const struct task *task;

		if (equal(name, "all")) {
			run(TASKS_OF_ALL, volume_problem);
			continue;
		}
		task = find_task(name);
		if (task->needs_volume && volume_problem)
			failed("%s: %s", name, volume_problem);
		else
			task->run();
	}
}

void main(int a0, const void *a1, const void *a2, unsigned a3)
{
	struct handover handover = read_handover(a0, a1, a2, a3);
	const char *chosen, *problem;

	memory_init(handover.memory_end);
	page_table_init();
	timer_init(handover.counts_per_second);
	interrupts_on();
	options_init(handover.command_line);
	scatter_frames = option_is("frames", "scattered", "contiguous", "contiguous");
	chosen = chosen_tasks();
	problem = disk_init();
	print("kernel: name=%s free_pages=%u disk_sectors=%u\n", option("name", "kernel"), free_frames(), disk_sectors);
	if (!problem)
		problem = volume_open();
	if (!problem)
		report("volume: files=%u pages=%u scratch_pages=%u\n", volume.file_count, volume.pages, volume.scratch_pages);
	run(chosen, problem);
	power_off(report_end());
}
