#ifndef PINGORA_ENTRY_GIVE_WAY_H
#define PINGORA_ENTRY_GIVE_WAY_H

/*
 * What this process executes, and all its threads and children, takes the processor in longer turns than is usual: by that the scheduler
 * lets whoever has usual ones, the services, interrupt it at once when a request wakes them. Its share of the processor stays the same.
 * Linux 6.12; older ones, and sandboxes that forbid it, leave everything as it is.
 */
void give_way(void);

#endif
