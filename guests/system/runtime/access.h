/* One access each to an address that may raise an exception, which is recorded. The access itself is at …_at. */
#ifndef ACCESS_H
#define ACCESS_H

/* What a load returns that an exception has kept from loading, and what registers hold before. */
#define NOTHING 0x0badf00d

#ifndef __ASSEMBLER__

#define ACCESS(type, name, ...) \
	type name(__VA_ARGS__); \
	extern char name##_at[];

ACCESS(unsigned, load_word, unsigned address)
ACCESS(unsigned, load_half, unsigned address)
ACCESS(unsigned, load_byte, unsigned address)
ACCESS(void, store_word, unsigned address, unsigned value)
ACCESS(void, store_half, unsigned address, unsigned value)
ACCESS(void, store_byte, unsigned address, unsigned value)
/* Call the code there: jr $ra at least. */
ACCESS(unsigned, call, unsigned address)

/* In user mode, where map_image_for_user has mapped this program. Without another exception there is a syscall at
 * …_end; `call` leaves user mode only by an exception in the code it calls. */
#define USER_ACCESS(type, name, ...) \
	ACCESS(type, name, __VA_ARGS__) \
	extern char name##_end[];

USER_ACCESS(unsigned, user_load_word, unsigned address)
USER_ACCESS(void, user_store_word, unsigned address, unsigned value)
USER_ACCESS(void, user_jump, unsigned address)

#define USER_ADDRESS(label) ((unsigned)(label) & 0x1fffffff)

#endif
#endif
