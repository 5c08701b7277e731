#include "slip.h"

#include <string.h>

bool one_slip_apart(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    if (*a == '\0' && *b == '\0')
        return false;
    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b) == 1;
    bool swapped = a[0] == b[1] && a[1] == b[0] && strcmp(a + 2, b + 2) == 0;
    return swapped || strcmp(a + 1, b + 1) == 0 || strcmp(a + 1, b) == 0 || strcmp(a, b + 1) == 0;
}
