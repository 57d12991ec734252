/*
 * area.h - where patched sites jump to, for entry.S and patch.c alike.
 *
 * The area is a part of librump-preload.so itself: so the loader puts it near
 * libc, and its frames are described by the library's own .eh_frame, which
 * debuggers and unwinders find. Each site has a slot:
 *
 *	     instructions of the site before its system call
 *	LEA  lea -128(%rsp),%rsp	its red zone stays untouched
 *	CALL call rk__entry
 *	BACK lea 128(%rsp),%rsp
 *	POST instructions of the site after it
 *	     jmp to what follows the site
 *	SITE address of what follows the site, for who unwinds
 *
 * What is before LEA ends there, so that a program counter tells by its place in
 * the slot alone where the stack is.
 */
#ifndef RK_AREA_H
#define RK_AREA_H

#define RK__SLOT 128
#define RK__SLOTS 1024
#define RK__SLOT_LEA 54
#define RK__SLOT_CALL 59
#define RK__SLOT_BACK 64
#define RK__SLOT_POST 72
#define RK__SLOT_SITE 120
#define RK__RED_ZONE 128

#define RK__CALL_NUMBERS 512
#define RK__MAPPED_FDS 65536

/* Of a caller's frame in rk__entry, below its stack pointer. */
#define RK__FRAME_RBP (-144)
#define RK__FRAME_R15 (-152)
#define RK__FRAME_R14 (-160)
#define RK__FRAME_R13 (-168)
#define RK__FRAME_R12 (-176)
#define RK__FRAME_RBX (-184)
#define RK__FRAME_R9 (-192)
#define RK__FRAME_R8 (-200)
#define RK__FRAME_R10 (-208)
#define RK__FRAME_RDX (-216)
#define RK__FRAME_RSI (-224)
#define RK__FRAME_RDI (-232)


/* What rk__clone_same keeps outside of the stack; below is room for the frame
 * of a signal that comes while it is the stack. */
#define RK__SAME_BACK 0
#define RK__SAME_OWN 8
#define RK__SAME_SP 16
#define RK__SAME_IP 24
#define RK__SAME_COPY 32
#define RK__SAME_ROOM 0x40000

#endif
