/*
 * area.h - where patched sites jump to, for entry.S and patch.c alike.
 *
 * The area is a part of librump-preload.so itself: so the loader puts it near
 * libc, and its frames are described by the library's own .eh_frame, which
 * debuggers and unwinders find. Each site has a slot:
 *
 *	LOOK   lea -136(%rsp),%rsp	its red zone stays untouched
 *	CALL   call rk__entry
 *	BACK   lea 136(%rsp),%rsp
 *	NEXT   jmp POST
 *	BADF   mov $nr,%eax		what the kernel does not know is looked at
 *	       jmp LOOK
 *	       instructions of the site before its system call, ending at
 *	CHECK  jmp LOOK; or, if its number is known, and its first word has to
 *	       be a descriptor of ours, the same question as rk__entry's:
 *	       mov %edi,%ecx; cmp $65536,%ecx; jae LOOK
 *	       lea rk__ours(%rip),%r11; cmpb $0,(%r11,%rcx); jne LOOK
 *	KERNEL syscall; jmp DONE; or, with the stub page, as if BACK called it:
 *	       lea BACK(%rip),%r11; mov %r11,-144(%rsp); lea -144(%rsp),%rsp
 *	GO     jmp *STUB(%rip)
 *	UNDO   lea 144(%rsp),%rsp
 *	DONE   cmp $-EBADF,%rax; je BADF
 *	POST   instructions of the site after it
 *	       jmp to what follows the site
 *	SITE   address of what follows the site, for who unwinds
 *	STUB   of the slot's own system call in the stub page, which jumps to UNDO
 *
 * After the kernel has used the processor, a return is not foreseen rightly, and
 * costs more than all of this; a jump to the one place where it always leads is:
 * so each slot has a system call of its own. Who unwinds finds a return
 * address on the stack all the same. A program counter tells by its place in the
 * slot alone where the stack is.
 */
#ifndef RK_AREA_H
#define RK_AREA_H

#define RK__SLOT 256
#define RK__SLOTS 512
#define RK__SLOT_LOOK 0
#define RK__SLOT_CALL 8
#define RK__SLOT_BACK 13
#define RK__SLOT_NEXT 21
#define RK__SLOT_BADF 24
#define RK__SLOT_CHECK 62
#define RK__SLOT_KERNEL 86
#define RK__SLOT_GO 109
#define RK__SLOT_UNDO 115
#define RK__SLOT_DONE 123
#define RK__SLOT_POST 129
#define RK__SLOT_SITE 168
#define RK__SLOT_STUB 176
/* The red zone, and a return address. */
#define RK__BELOW 136

#define RK__CALL_NUMBERS 512
#define RK__MAPPED_FDS 65536

/* Of a caller's frame in rk__entry, below its stack pointer. */
#define RK__FRAME_RBP (-152)
#define RK__FRAME_R15 (-160)
#define RK__FRAME_R14 (-168)
#define RK__FRAME_R13 (-176)
#define RK__FRAME_R12 (-184)
#define RK__FRAME_RBX (-192)
#define RK__FRAME_R9 (-200)
#define RK__FRAME_R8 (-208)
#define RK__FRAME_R10 (-216)
#define RK__FRAME_RDX (-224)
#define RK__FRAME_RSI (-232)
#define RK__FRAME_RDI (-240)


/* What rk__clone_same keeps outside of the stack; below is room for the frame
 * of a signal that comes while it is the stack. */
#define RK__SAME_BACK 0
#define RK__SAME_OWN 8
#define RK__SAME_SP 16
#define RK__SAME_IP 24
#define RK__SAME_COPY 32
#define RK__SAME_ROOM 0x40000

#endif
