/*
 * entry.S - where patched system calls arrive, and where calls go to the kernel.
 *
 * A slot of the area (area.h) calls rk__entry with the registers as the system
 * call has them. Like a system call it changes rax, rcx and r11 alone, and uses no
 * stack above the caller's red zone. The quick way out, for what is none of ours,
 * leads to the stub; a descriptor of which the kernel says EBADF is looked at.
 */
#include <asm/errno.h>
#include "area.h"
#include "stub.h"

	.text

/* --- the kernel ------------------------------------------------------------------ */

/* Instructions of the stub page; until it is mapped, they serve here. */
	.globl	rk__stub_code, rk__stub_code_end, rk__stub_child
	.hidden	rk__stub_code, rk__stub_code_end, rk__stub_child
	.balign	16
	.type	rk__stub_code, @function
rk__stub_code:
	.cfi_startproc
	syscall
	ret
	.cfi_endproc
	.balign	16
	.type	rk__stub_child, @function
rk__stub_child:			/* a child with a stack of its own goes on there */
	.cfi_startproc
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined %rip
	pop	%rdi
	pop	%rsi
	ret
	.cfi_endproc
rk__stub_code_end:
	.size	rk__stub_child, . - rk__stub_child

	.data
	.balign	8
	.globl	rk__stub
	.hidden	rk__stub
	.type	rk__stub, @object
	.size	rk__stub, 8
rk__stub:
	.quad	rk__stub_code
	.text

/* long rk__raw(long nr, ...) */
	.globl	rk__raw
	.hidden	rk__raw
	.balign	16
	.type	rk__raw, @function
rk__raw:
	.cfi_startproc
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	jmp	*rk__stub(%rip)
	.cfi_endproc
	.size	rk__raw, . - rk__raw

/* --- patched calls ----------------------------------------------------------------- */

	.globl	rk__entry
	.hidden	rk__entry
	.balign	64
	.type	rk__entry, @function
rk__entry:
	.cfi_startproc
	mov	%eax, %ecx
	cmp	$RK__CALL_NUMBERS, %ecx
	jae	.Lnative
	lea	rk__entry_class(%rip), %r11
	movzbl	(%r11, %rcx), %ecx
	dec	%ecx
	js	.Lnative		/* RK__CLASS_NONE */
	jnz	.Llook			/* RK__CLASS_ANY */
	mov	%edi, %ecx
	cmp	$RK__MAPPED_FDS, %ecx
	jae	.Llook
	lea	rk__ours(%rip), %r11
	cmpb	$0, (%r11, %rcx)
	jne	.Llook
	/* What the kernel does not know may be on its way to us: no harm is done. */
	push	%rax
	.cfi_def_cfa_offset 16
	call	*rk__stub(%rip)
	cmp	$-EBADF, %rax
	je	1f
	lea	8(%rsp), %rsp
	.cfi_def_cfa_offset 8
	ret
1:	.cfi_def_cfa_offset 16
	pop	%rax
	.cfi_def_cfa_offset 8
	jmp	.Llook
.Lnative:
	jmp	*rk__stub(%rip)

.Llook:
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%r9
	push	%r8
	push	%r10
	push	%rdx
	push	%rsi
	push	%rdi
	.cfi_offset %r15, -24
	.cfi_offset %r14, -32
	.cfi_offset %r13, -40
	.cfi_offset %r12, -48
	.cfi_offset %rbx, -56
	mov	%eax, %edi
	mov	%rsp, %rsi
	lea	16 + RK__BELOW(%rbp), %rdx
	mov	8(%rbp), %rcx
	add	$RK__SLOT_NEXT - RK__SLOT_BACK, %rcx
	and	$-16, %rsp
	call	rk__preload_call
	lea	-88(%rbp), %rsp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%r10
	pop	%r8
	pop	%r9
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	.cfi_def_cfa %rsp, 8
	.cfi_restore %rbp
	.cfi_restore %r15
	.cfi_restore %r14
	.cfi_restore %r13
	.cfi_restore %r12
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	rk__entry, . - rk__entry

/* --- children ------------------------------------------------------------------------ */

/* All registers of the caller whose stack pointer was in \sp, but rsp, rax, rcx,
 * r11. */
.macro load_caller sp
	mov	RK__FRAME_RBX(\sp), %rbx
	mov	RK__FRAME_RBP(\sp), %rbp
	mov	RK__FRAME_R12(\sp), %r12
	mov	RK__FRAME_R13(\sp), %r13
	mov	RK__FRAME_R14(\sp), %r14
	mov	RK__FRAME_R15(\sp), %r15
	mov	RK__FRAME_R9(\sp), %r9
	mov	RK__FRAME_R8(\sp), %r8
	mov	RK__FRAME_R10(\sp), %r10
	mov	RK__FRAME_RDX(\sp), %rdx
	mov	RK__FRAME_RSI(\sp), %rsi
	mov	RK__FRAME_RDI(\sp), %rdi
.endm

.macro save_own
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
.endm

.macro load_own
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	.cfi_def_cfa %rsp, 8
.endm

/*
 * int64_t rk__clone_stack(long nr, uint64_t rdi, uint64_t rsi, uint64_t sp)
 * The call of a child with a stack of its own, whose top says where it goes on
 * (patch_child.c); all registers else are the caller's. Only the parent returns.
 */
	.globl	rk__clone_stack
	.hidden	rk__clone_stack
	.balign	16
	.type	rk__clone_stack, @function
rk__clone_stack:
	.cfi_startproc
	save_own
	push	%rdi
	push	%rsi
	push	%rdx
	mov	%rcx, %rax
	load_caller %rax
	.cfi_def_cfa %rsp, 80
	pop	%rsi
	pop	%rdi
	pop	%rax
	.cfi_def_cfa %rsp, 56
	mov	rk__stub(%rip), %r11
	lea	rk__stub_child - rk__stub_code(%r11), %r11
	call	*%r11
	load_own
	ret
	.cfi_endproc
	.size	rk__clone_stack, . - rk__clone_stack

/*
 * int64_t rk__clone_same(long nr, const uint64_t arg[6], struct rk__same *s)
 * The call of a child on the same stack, in the same memory. The child goes to
 * s->ip on the caller's stack; it spoils what is below, and so nothing of the
 * parent is there when it returns: s is elsewhere, and holds a copy of it.
 */
	.globl	rk__clone_same
	.hidden	rk__clone_same
	.balign	16
	.type	rk__clone_same, @function
rk__clone_same:
	.cfi_startproc
	save_own
	mov	%rdi, %rax
	mov	%rdx, %rbx		/* s: kept by the kernel for both */
	mov	%rsp, RK__SAME_OWN(%rbx)
	mov	40(%rsi), %r9
	mov	32(%rsi), %r8
	mov	24(%rsi), %r10
	mov	16(%rsi), %rdx
	mov	(%rsi), %rdi
	mov	8(%rsi), %rsi
	/* A copy of the stack from here to the caller's; then s is the stack, from
	 * which the stub's ret takes where to go on. */
	mov	%rax, %r12
	mov	%rdi, %r13
	mov	%rsi, %r14
	mov	%rsp, %rsi
	mov	RK__SAME_SP(%rbx), %rcx
	sub	%rsi, %rcx
	lea	RK__SAME_COPY(%rbx), %rdi
	cld
	rep movsb
	mov	%r12, %rax
	mov	%r13, %rdi
	mov	%r14, %rsi
	lea	.Lsame(%rip), %r11
	mov	%r11, RK__SAME_BACK(%rbx)
	mov	%rbx, %rsp
	jmp	*rk__stub(%rip)
.Lsame:
	test	%rax, %rax
	jz	.Lsame_child
	mov	RK__SAME_OWN(%rbx), %rdi
	mov	RK__SAME_SP(%rbx), %rcx
	sub	%rdi, %rcx
	lea	RK__SAME_COPY(%rbx), %rsi
	mov	%rdi, %rsp
	rep movsb
	load_own
	ret
.Lsame_child:
	/* The caller's frame is where the child has not been yet. */
	mov	RK__SAME_SP(%rbx), %rcx
	mov	%rcx, %rsp
	mov	RK__SAME_IP(%rbx), %r11
	lea	RK__SAME_COPY(%rbx, %rcx), %rcx
	sub	RK__SAME_OWN(%rbx), %rcx
	load_caller %rcx
	xor	%eax, %eax
	jmp	*%r11
	.cfi_endproc
	.size	rk__clone_same, . - rk__clone_same

/* void rk__clone_continue(uint64_t sp, uint64_t ip, uint64_t new_sp) */
	.globl	rk__clone_continue
	.hidden	rk__clone_continue
	.balign	16
	.type	rk__clone_continue, @function
rk__clone_continue:
	.cfi_startproc
	.cfi_undefined %rip
	mov	%rdi, %rax
	mov	%rsi, %r11
	test	%rdx, %rdx
	cmovz	%rdi, %rdx
	mov	%rdx, %rcx
	load_caller %rax
	mov	%rcx, %rsp
	xor	%eax, %eax
	jmp	*%r11
	.cfi_endproc
	.size	rk__clone_continue, . - rk__clone_continue

/* --- the area ------------------------------------------------------------------------ */

/*
 * CFA: rsp, and BELOW more from CALL to NEXT and from GO to DONE, there with
 * what seems to be a return address, which is popped by nobody. The
 * caller's address is what stands in the slot, as if the site had called it.
 */
	.section .rk_area, "ax", @progbits
	.balign	4096
	.globl	rk__area
	.hidden	rk__area
	.type	rk__area, @object
	.size	rk__area, RK__SLOTS * RK__SLOT
rk__area:
	.cfi_startproc simple
	/*
	 * DW_CFA_def_cfa_expression: rsp + (A | B) * BELOW + B * 8, where
	 * i = ip & 255, A = i >= CALL & i < NEXT, B = i >= GO & i < DONE: breg7,
	 * breg16, const1u, and; dup, const1u, ge, over, const1u, lt, and; over,
	 * const1u, ge, pick 2, const1u, lt, and; dup, lit3, shl, rot, or,
	 * const1u, mul, plus, swap, drop, plus.
	 */
	.cfi_escape 0x0f, 38
	.cfi_escape 0x77, 0x00, 0x80, 0x00, 0x08, 0xff, 0x1a
	.cfi_escape 0x12, 0x08, RK__SLOT_CALL, 0x2a, 0x14, 0x08, RK__SLOT_NEXT, 0x2d, 0x1a
	.cfi_escape 0x14, 0x08, RK__SLOT_GO, 0x2a, 0x15, 0x02, 0x08, RK__SLOT_DONE, 0x2d, 0x1a
	.cfi_escape 0x12, 0x33, 0x24, 0x17, 0x21, 0x08, RK__BELOW, 0x1e, 0x22, 0x16, 0x13, 0x22
	/* DW_CFA_val_expression of the address: *((ip & -256) + SITE): breg16,
	 * const2s, and, plus_uconst, deref. */
	.cfi_escape 0x16, 16, 10
	.cfi_escape 0x80, 0, 0x0b, 0x00, 0xff, 0x1a
	.cfi_escape 0x23, RK__SLOT_SITE & 127 | 128, RK__SLOT_SITE >> 7, 0x06
	.fill	RK__SLOTS * RK__SLOT, 1, 0xcc
	.cfi_endproc

	.bss
	.balign	64
	.globl	rk__ours, rk__entry_class
	.hidden	rk__ours, rk__entry_class
	.type	rk__ours, @object
	.size	rk__ours, RK__MAPPED_FDS
rk__ours:
	.zero	RK__MAPPED_FDS
	.type	rk__entry_class, @object
	.size	rk__entry_class, RK__CALL_NUMBERS
rk__entry_class:
	.zero	RK__CALL_NUMBERS

	.section .note.GNU-stack, "", @progbits
