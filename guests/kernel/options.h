/* The command line: words of the form name=value. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "print.h"

/* Take the command line apart. Ends the machine if a word is not of that form, or none that there is. */
void options_init(const char *command_line);

/* What an option is set to. A number may have K or M behind it; if it is none, or not in the range, the machine ends. */
const char *option(const char *name, const char *otherwise);
unsigned option_number(const char *name, unsigned otherwise, unsigned least, unsigned most);

/* Whether an option has the first of two values; if it has neither, the machine ends. */
bool option_is(const char *name, const char *first, const char *second, const char *otherwise);

/* Take the next item off a list separated by commas; false if there is none. It is cut off if it is too long. */
bool next_item(const char **list, char *item, unsigned size);

/* Say what is wrong with the command line, in one line, and end the machine. */
void usage_error(const char *format, ...) PRINTF __attribute__((noreturn));

#endif
