/* The smallest guest worth the name: it greets, and names the machine it believes to run on. */
#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname name;
    unsigned first_byte = *(const unsigned char *)&(const unsigned){1};
    if (uname(&name) != 0) {
        perror("hello: uname");
        return 1;
    }
    printf("Hello from a %s-endian %s guest.\n", first_byte ? "little" : "big", name.machine);
    return 0;
}
