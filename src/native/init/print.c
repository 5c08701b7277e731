#include "print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "say.h"

int print(const char *text)
{
    return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : print_failed();
}

int print_failed(void)
{
    say("cannot write the output: %s", strerror(errno));
    return EXIT_SYSTEM;
}
