#ifndef PINGORA_ENTRY_DESCRIPTORS_H
#define PINGORA_ENTRY_DESCRIPTORS_H

/* No program that is executed from here gets a descriptor but stdin, stdout and stderr, unless it is put in place for it. */
void descriptors_inherit_none(void);

/* In a child that executes nothing: closes `first` and all above it. */
void descriptors_close_from(unsigned first);

#endif
