/*
 * stub.h - the pages from which a preloaded program's calls reach the kernel.
 *
 * They lie at the same address in every process, so that the net (a seccomp filter,
 * made before the program exists) can let them through by their address. The
 * address is free where the kernel puts things (below PIE programs), and what
 * AddressSanitizer, ThreadSanitizer and MemorySanitizer call the program's own.
 */
#ifndef RK_STUB_H
#define RK_STUB_H

/* A filter sees the address after the instruction; it is in the pages too. */
#define RK__STUB_AT 0x550010000000
#define RK__STUB_SIZE 0x4000		/* a power of two */
/* The system call of one slot of area.h; they follow the first page. */
#define RK__STUB_CALL(n) (RK__STUB_AT + 4096 + (n) * RK__STUB_CALL_SIZE)
#define RK__STUB_CALL_SIZE 16

#endif
