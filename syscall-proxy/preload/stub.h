/*
 * stub.h - the one page from which a preloaded program's calls reach the kernel.
 *
 * It lies at the same address in every process, so that the net (a seccomp filter,
 * made before the program exists) can let it through by its address. The
 * address is free where the kernel puts things (below PIE programs), and what
 * AddressSanitizer, ThreadSanitizer and MemorySanitizer call the program's own.
 */
#ifndef RK_STUB_H
#define RK_STUB_H

/* A filter sees the address after the instruction; it is in the page too. */
#define RK__STUB_AT 0x550010000000
#define RK__STUB_SIZE 4096

#endif
