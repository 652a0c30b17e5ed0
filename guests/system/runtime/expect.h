/* Checks: those that fail are printed with what was found, and in the end how many there were. */
#ifndef EXPECT_H
#define EXPECT_H

#define EXPECT(condition) check(__LINE__, condition)
#define EXPECT_EQUAL(found, expected) check_equal(__LINE__, 0, (unsigned)(expected), (unsigned)(found))

/* The same, but not counted where they hold: for loops whose length depends on the machine. */
#define ASSERT_EQUAL(found, expected)                           \
	do {                                                    \
		unsigned assert_found = (found);                \
		if (assert_found != (unsigned)(expected))       \
			EXPECT_EQUAL(assert_found, (expected)); \
	} while (0)
#define ASSERT(condition) ASSERT_EQUAL(!(condition), 0)

void check(unsigned line, int condition);
void check_equal(unsigned line, const char *what, unsigned expected, unsigned found);

/* What must be known of the only exception since `attempt`; laid out by `expect_exception` in cases.h as well. */
struct expected_exception {
	unsigned line;
	unsigned cause; /* CE, BD and ExcCode */
	unsigned vector;
	unsigned epc, within; /* EPC may be this much later */
	unsigned has_bad_vaddr, bad_vaddr;
};

void check_exception(const struct expected_exception *expected);
void check_no_exception(unsigned line);

#define EXPECT_EXCEPTION(code, through, at)                                                       \
	check_exception(&(struct expected_exception){                                             \
		.line = __LINE__, .cause = (code) << 2, .vector = (through), .epc = (unsigned)(at)})
#define EXPECT_ADDRESS_EXCEPTION(code, through, at, bad)                                              \
	check_exception(&(struct expected_exception){                                                 \
		.line = __LINE__, .cause = (code) << 2, .vector = (through), .epc = (unsigned)(at),   \
		.has_bad_vaddr = 1, .bad_vaddr = (bad)})
#define EXPECT_NO_EXCEPTION() check_no_exception(__LINE__)

/* Print the totals and end the machine. */
void finish(void) __attribute__((noreturn));

#endif
