#include "options.h"

#include <stddef.h>

#include "monitor.h"
#include "panic.h"
#include "string.h"
#include "uart.h"

#define COMMAND_LINE_SIZE 4096
#define NAMES "task name files rounds sectors seed size segments repeat align touch frames kind operations devices reach give spread"

static struct {
	const char *name, *value;
} options[20];

static unsigned option_count;

void usage_error(const char *format, ...)
{
	va_list arguments;

	print("error: command line: ");
	va_start(arguments, format);
	format_to(uart_put, format, arguments);
	va_end(arguments);
	print("\n");
	power_off(EXIT_USAGE);
}

static bool is_name(const char *word)
{
	const char *names = NAMES;
	size_t length = strlen(word);

	for (const char *name = names; *name; name++)
		if ((name == names || name[-1] == ' ') && starts_with(name, word) && (name[length] == ' ' || !name[length]))
			return true;
	return false;
}

static void add_option(char *word)
{
	char *value = word;

	while (*value && *value != '=')
		value++;
	if (!*value)
		usage_error("%s: not of the form name=value", word);
	*value++ = 0;
	if (!*word || !is_name(word))
		usage_error("%s=%s: no such option; there are " NAMES, word, value);
	if (option(word, NULL))
		usage_error("%s= is given twice", word);
	if (option_count == sizeof options / sizeof *options)
		panic("more options than there are names");
	options[option_count].name = word;
	options[option_count++].value = value;
}

void options_init(const char *command_line)
{
	static char words[COMMAND_LINE_SIZE];
	size_t length = strlen(command_line);
	char *word = words;

	if (length >= sizeof words)
		usage_error("%u characters, at most %u are understood", (unsigned)length, (unsigned)sizeof words - 1);
	memcpy(words, command_line, length);
	while (*word) {
		char *end = word;

		while (*end && *end != ' ')
			end++;
		if (*end)
			*end++ = 0;
		if (*word)
			add_option(word);
		word = end;
	}
}

const char *option(const char *name, const char *otherwise)
{
	for (unsigned i = 0; i < option_count; i++)
		if (equal(options[i].name, name))
			return options[i].value;
	return otherwise;
}

static bool read_number(const char *text, unsigned *number)
{
	unsigned long long value = 0;

	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if ((value = value * 10 + (unsigned)(*text - '0')) > 0xffffffff)
			return false;
	if (*text == 'K')
		value <<= 10, text++;
	else if (*text == 'M')
		value <<= 20, text++;
	*number = (unsigned)value;
	return !*text && value <= 0xffffffff;
}

unsigned option_number(const char *name, unsigned otherwise, unsigned least, unsigned most)
{
	const char *text = option(name, NULL);
	unsigned number = otherwise;

	if (text && (!read_number(text, &number) || number < least || number > most))
		usage_error("%s=%s: not a number from %u to %u", name, text, least, most);
	return number;
}

bool option_is(const char *name, const char *first, const char *second, const char *otherwise)
{
	const char *value = option(name, otherwise);

	if (!equal(value, first) && !equal(value, second))
		usage_error("%s=%s: it is %s or %s", name, value, first, second);
	return equal(value, first);
}

bool next_item(const char **list, char *item, unsigned size)
{
	unsigned length = 0;

	if (!**list)
		return false;
	for (; **list && **list != ','; ++*list)
		if (length < size - 1)
			item[length++] = **list;
	if (**list)
		++*list;
	item[length] = 0;
	return true;
}
