#include "device_tree.h"

#include <stddef.h>

#include "integer.h"
#include "string.h"

#define MAGIC 0xd00dfeed
#define BEGIN_NODE 1
#define PROPERTY 3
#define NO_OPERATION 4
#define END 9

struct header {
	unsigned magic, total_size, structure_offset, strings_offset;
};

static const unsigned *structure;
static const char *strings;

bool device_tree_open(const void *blob)
{
	const struct header *header = blob;

	if (BIG_32(header->magic) != MAGIC)
		return false;
	structure = (const unsigned *)((const char *)blob + BIG_32(header->structure_offset));
	strings = (const char *)blob + BIG_32(header->strings_offset);
	return true;
}

/* Behind some bytes; everything begins at a multiple of four. */
static const unsigned *behind(const void *start, unsigned length)
{
	return (const unsigned *)((const char *)start + ((length + 3) & ~3u));
}

static const unsigned *skip_token(const unsigned *token)
{
	switch (BIG_32(*token)) {
	case BEGIN_NODE:
		return behind(token + 1, strlen((const char *)(token + 1)) + 1);
	case PROPERTY: /* length, offset of the name, value */
		return behind(token + 3, BIG_32(token[1]));
	default:
		return token + 1;
	}
}

bool next_node(struct node *node)
{
	const unsigned *token = node->inside ? node->inside : structure;

	if (!token)
		return false;
	while (BIG_32(*token) != BEGIN_NODE) {
		if (BIG_32(*token) == END)
			return false;
		token = skip_token(token);
	}
	node->name = (const char *)(token + 1);
	node->inside = skip_token(token);
	return true;
}

bool find_node(struct node *node, const char *name)
{
	size_t length = strlen(name);

	*node = (struct node){0};
	while (next_node(node))
		if (starts_with(node->name, name) && (!node->name[length] || node->name[length] == '@'))
			return true;
	return false;
}

const void *property(const struct node *node, const char *name, unsigned *length)
{
	for (const unsigned *token = node->inside;; token = skip_token(token)) {
		unsigned kind = BIG_32(*token);

		if (kind == PROPERTY && equal(strings + BIG_32(token[2]), name)) {
			*length = BIG_32(token[1]);
			return token + 3;
		}
		if (kind != PROPERTY && kind != NO_OPERATION)
			return NULL;
	}
}

unsigned property_cell(const struct node *node, const char *name, unsigned index, unsigned otherwise)
{
	unsigned length;
	const unsigned *cells = property(node, name, &length);

	return cells && index < length / 4 ? BIG_32(cells[index]) : otherwise;
}
