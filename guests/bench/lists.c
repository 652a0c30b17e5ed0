/* Allocation: linked lists of blocks of many sizes, made, lengthened, sorted and dropped at random.
 *
 * malloc, realloc and free out of order; merge sort on links. scale = number of rounds of 1,000 operations. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTS 64

struct item {
    struct item *next;
    uint32_t key;
    uint32_t length;
    uint8_t *bytes;
};

static struct item *lists[LISTS];
static uint32_t random_state = 17;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void *require(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "lists: out of memory\n");
        exit(1);
    }
    return block;
}

static void push(struct item **list)
{
    struct item *item = require(malloc(sizeof *item));
    item->length = 1 + random_below(96);
    item->bytes = require(malloc(item->length));
    memset(item->bytes, (int)item->length, item->length);
    item->key = random_below(1u << 30);
    item->next = *list;
    *list = item;
}

static void lengthen(struct item *item)
{
    uint32_t longer = item->length + 1 + random_below(64);
    item->bytes = require(realloc(item->bytes, longer));
    memset(item->bytes + item->length, (int)longer & 255, longer - item->length);
    item->length = longer;
}

static struct item *merge(struct item *a, struct item *b)
{
    struct item head, *tail = &head;
    while (a != NULL && b != NULL) {
        struct item **smaller = a->key <= b->key ? &a : &b;
        tail = tail->next = *smaller;
        *smaller = (*smaller)->next;
    }
    tail->next = a != NULL ? a : b;
    return head.next;
}

static struct item *sort(struct item *list)
{
    if (list == NULL || list->next == NULL)
        return list;
    struct item *middle = list;
    for (struct item *end = list->next; end != NULL && end->next != NULL; end = end->next->next)
        middle = middle->next;
    struct item *second = middle->next;
    middle->next = NULL;
    return merge(sort(list), sort(second));
}

static uint32_t drop(struct item **list)
{
    uint32_t sum = 0;
    while (*list != NULL) {
        struct item *item = *list;
        *list = item->next;
        sum = sum * 3 + item->key + item->bytes[item->length - 1] + item->length;
        free(item->bytes);
        free(item);
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned scale = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    uint32_t checksum = 0;
    for (unsigned operation = 0; operation < scale * 1000; operation++) {
        struct item **list = &lists[random_below(LISTS)];
        unsigned choice = random_below(64);
        if (choice < 40 || *list == NULL)
            push(list);
        else if (choice < 58)
            lengthen(*list);
        else if (choice < 62)
            *list = sort(*list);
        else
            checksum = checksum * 5 + drop(list);
    }
    for (unsigned i = 0; i < LISTS; i++)
        checksum = checksum * 5 + drop(&lists[i]);
    printf("lists: %u thousand operations, checksum %08x\n", scale, (unsigned)checksum);
    return 0;
}
