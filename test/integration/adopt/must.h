/* What must be so, else the program says where it is not, and ends. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) ((condition) ? (void)0 : wrong(__LINE__, #condition))

static void wrong(int line, const char *what)
{
    printf("line %d: %s (errno %s)\n", line, what, strerror(errno));
    exit(1);
}
