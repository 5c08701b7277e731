#ifndef PINGORA_ENTRY_SLICE_H
#define PINGORA_ENTRY_SLICE_H

/*
 * This process, and the program that it becomes, run in the shortest turns that the scheduler has (Linux 6.12 and later, sched(7):
 * 0.1 ms). Node starts for a tenth of a second and more; in turns of the usual 3 ms or more, services on the same processors
 * would answer late each time. The share of the processor stays the same. Where that cannot be had, nothing changes.
 */
void slice_shorten(void);

#endif
