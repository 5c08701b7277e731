/* What compilers call by themselves, kept inside. */
#include <stddef.h>

__attribute__((visibility("hidden"))) void *memcpy(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

__attribute__((visibility("hidden"))) void *memset(void *to, int byte, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((volatile unsigned char *)to)[i] = (unsigned char)byte;
    return to;
}
