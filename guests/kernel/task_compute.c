/* compute: take every word of a megabyte of mapped memory, more than the TLB reaches, one step further in a linear
 * congruential sequence; again and again. What comes out can be told in advance: dbt_disco/demo/expected_report.py.
 *
 *	rounds=N	how often; 100
 */
#include "crc32.h"
#include "integer.h"
#include "memory.h"
#include "options.h"
#include "page_table.h"
#include "report.h"
#include "tasks.h"

#define WORDS (1u << 18)
#define MULTIPLIER 1664525
#define INCREMENT 1013904223

void task_compute(void)
{
	unsigned rounds = option_number("rounds", 100, 0, 0xffffffff), *words = map_pages(WORDS * 4 / PAGE_SIZE);

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = i;
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < WORDS; i++)
			words[i] = words[i] * MULTIPLIER + INCREMENT;
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = LITTLE_32(words[i]);
	report("compute: rounds=%u crc32=%08x\n", rounds, crc32(0, words, WORDS * 4));
}
