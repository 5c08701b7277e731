/*
 * Runs a fuzz target without libFuzzer: mutations of the seeds given as files, for as long as SECONDS says.
 *   target SECONDS [SEED-FILE...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { MOST_SEEDS = 256, LONGEST = 1 << 14 };

static unsigned char seeds[MOST_SEEDS][LONGEST];
static size_t lengths[MOST_SEEDS];
static unsigned long long state = 88172645463325252ull;

static unsigned random_number(unsigned below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below == 0 ? 0 : (unsigned)(state % below);
}

static size_t mutate(unsigned char *bytes, size_t length)
{
    for (unsigned count = random_number(8) + 1; count > 0; count--) {
        size_t at = random_number((unsigned)length + 1);
        size_t part = random_number(32) + 1;
        switch (random_number(5)) {
        case 0:
            if (at < length)
                bytes[at] = (unsigned char)random_number(256);
            break;
        case 1:
            if (at < length)
                bytes[at] ^= (unsigned char)(1u << random_number(8));
            break;
        case 2: /* leave out */
            if (at + part <= length) {
                memmove(bytes + at, bytes + at + part, length - at - part);
                length -= part;
            }
            break;
        case 3: /* repeat */
            if (at + part <= length && length + part <= LONGEST) {
                memmove(bytes + at + part, bytes + at, length - at);
                length += part;
            }
            break;
        default:
            if (length < LONGEST) {
                memmove(bytes + at + 1, bytes + at, length - at);
                bytes[at] = (unsigned char)random_number(256);
                length++;
            }
        }
    }
    return length;
}

int main(int argc, char **argv)
{
    static unsigned char bytes[LONGEST];
    size_t count = 0;
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
    for (int i = 2; i < argc && count < MOST_SEEDS; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL)
            continue;
        lengths[count] = fread(seeds[count], 1, LONGEST, file);
        fclose(file);
        LLVMFuzzerTestOneInput(seeds[count], lengths[count]);
        count++;
    }
    unsigned long runs = 0;
    while (time(NULL) < end) {
        for (int i = 0; i < 1000; i++, runs++) {
            size_t from = random_number((unsigned)(count == 0 ? 1 : count));
            memcpy(bytes, seeds[from], lengths[from]);
            size_t length = mutate(bytes, lengths[from]);
            LLVMFuzzerTestOneInput(bytes, length);
        }
    }
    printf("%lu runs\n", runs);
    return 0;
}
