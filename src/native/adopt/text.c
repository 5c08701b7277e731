#include "text.h"

size_t text_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return length;
}

bool text_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

bool bytes_equal(const void *a, const void *b, size_t length)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < length; i++)
        if (x[i] != y[i])
            return false;
    return true;
}

void bytes_copy(void *to, const void *from, size_t length)
{
    unsigned char *x = to;
    const unsigned char *y = from;
    for (size_t i = 0; i < length; i++)
        x[i] = y[i];
}

const char *text_after(const char *text, const char *start)
{
    while (*start != '\0')
        if (*text++ != *start++)
            return NULL;
    return text;
}

size_t text_number(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0, length = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0)
        to[length++] = digits[--count];
    to[length] = '\0';
    return length;
}
