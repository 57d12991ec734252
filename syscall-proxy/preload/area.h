/*
 * area.h - where patched sites jump to, for entry.S and patch.c alike.
 *
 * The area is a part of librump-preload.so itself: so the loader puts it near
 * libc, and its frames are described by the library's own .eh_frame, which
 * debuggers and unwinders find. Each site has a slot:
 *
 *	LOOK   lea -128(%rsp),%rsp	its red zone stays untouched
 *	CALL   call rk__entry
 *	BACK   lea 128(%rsp),%rsp
 *	NEXT   jmp POST
 *	BADF   mov $nr,%eax		what the kernel does not know is looked at
 *	       jmp LOOK
 *	       instructions of the site before its system call, ending at
 *	CHECK  jmp LOOK; or, if its number is known, and its first word has to
 *	       be a descriptor of ours, the same question as rk__entry's:
 *	       mov %edi,%ecx; cmp $65536,%ecx; jae LOOK
 *	       lea rk__ours(%rip),%r11; cmpb $0,(%r11,%rcx); jne LOOK
 *	KERNEL lea -128(%rsp),%rsp
 *	       call *rk__stub(%rip)	without a stub page: syscall, and no lea
 *	UNDO   lea 128(%rsp),%rsp
 *	DONE   cmp $-EBADF,%rax; je BADF
 *	POST   instructions of the site after it
 *	       jmp to what follows the site
 *	SITE   address of what follows the site, for who unwinds
 *
 * A return is foreseen wrongly after the kernel has used the processor, which
 * costs more than all of this: so there is one at most. A program counter tells
 * by its place in the slot alone where the stack is.
 */
#ifndef RK_AREA_H
#define RK_AREA_H

#define RK__SLOT 256
#define RK__SLOTS 512
#define RK__SLOT_LOOK 0
#define RK__SLOT_CALL 5
#define RK__SLOT_BACK 10
#define RK__SLOT_NEXT 18
#define RK__SLOT_BADF 24
#define RK__SLOT_CHECK 62
#define RK__SLOT_KERNEL 86
#define RK__SLOT_GO 91
#define RK__SLOT_UNDO 97
#define RK__SLOT_DONE 105
#define RK__SLOT_POST 111
#define RK__SLOT_SITE 160
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
