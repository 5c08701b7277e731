/* Addresses in the family that the program made its socket of, when the listener is of the other one. */
#pragma once

#include "kept.h"

/* The offer at `fd`, if the program knows it as a socket of another family; NULL. */
struct offer *translated(int fd);
/* The same address in another family; it stays what it is when that family has none. Returns its length. */
unsigned translate(struct address *address, unsigned length, unsigned family);
/* As the kernel gives an address: no more than *size bytes, and in *size how many there are. */
void translate_to(const struct address *from, unsigned length, unsigned family, void *to, unsigned *size);
