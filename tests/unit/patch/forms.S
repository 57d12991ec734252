/*
 * forms.S - system calls as compilers and people write them: some that can be
 * patched, some that must be left alone. Each is close(rdi) or close(-1); by
 * its name patch.c knows what to expect.
 */
	.text

.macro begin name
	.globl	form_\name
	.type	form_\name, @function
	.balign	16
form_\name:
	.cfi_startproc
.endm
.macro end name
	.cfi_endproc
	.size	form_\name, . - form_\name
.endm

	/* One instruction of five bytes before. */
	begin	adjacent
	mov	$3, %eax
	syscall
	ret
	end	adjacent

	begin	between
	mov	$3, %eax
	mov	%edi, %edi
	xor	%esi, %esi
	syscall
	cmp	$-4095, %rax
	jae	1f
	ret
1:	ret
	end	between

	/* A branch to the system call itself finds it where it was, and so it is
	 * a site of the second kind, whose first byte may be branched to. */
	begin	entered
	mov	$3, %eax
	test	%edi, %edi
	js	1f
	mov	$3, %eax
1:	syscall
	cmp	$-4095, %rax
	jae	2f
	ret
2:	ret
	end	entered

	begin	after
	push	$3
	pop	%rax
	syscall
	cmp	$-4095, %rax
	jae	1f
	ret
1:	ret
	end	after

	/* Not: a branch into what would be overwritten. */
	begin	left_target
	push	$3
	pop	%rax
	test	%edi, %edi
	js	1f
	syscall
1:	cmp	$-4095, %rax
	jae	2f
	ret
2:	ret
	end	left_target

	/* Not: where the switch leads is unknown. */
	begin	left_switch
	push	$3
	pop	%rax
	syscall
	cmp	$-4095, %rax
	jae	1f
	ret
1:	lea	2f(%rip), %rcx
	jmp	*%rcx
2:	ret
	end	left_switch

	/* Not: flags of before are used after. */
	begin	left_flags
	test	%edi, %edi
	mov	$3, %eax
	syscall
	js	1f
	ret
1:	ret
	end	left_flags

	/* Not: it depends on where it is. */
	begin	left_relative
	push	$3
	pop	%rax
	syscall
	mov	form_adjacent(%rip), %rcx
	cmp	$-4095, %rax
	ret
	end	left_relative

	/* Not: bytes that jump would be in the way, in another function. */
	begin	left_stray
	push	$3
	pop	%rax
	syscall
	cmp	$-4095, %rax
	jae	1f
	ret
1:	ret
	end	left_stray
	begin	none_stray
	.byte	0xb8, 0xe9		/* mov $..., %eax */
	.long	form_left_stray + 7 - . - 4
	ret
	end	none_stray

	/* Not of our concern. */
	begin	none_sigreturn
	mov	$15, %eax
	syscall
	ret
	end	none_sigreturn
	begin	none_getppid
	mov	$110, %eax
	syscall
	ret
	end	none_getppid

	/*
	 * void form_registers(long fd, uint64_t ret[16]): the call with a pattern in
	 * all registers and in the red zone; what is in them then.
	 */
	.globl	form_registers
	.type	form_registers, @function
form_registers:
	.cfi_startproc
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	push	%rax
	movq	$0x5a5a, -8(%rsp)
	movq	$0x6b6b, -128(%rsp)
	mov	$0x101, %rbx
	mov	$0x102, %rbp
	mov	$0x103, %r12
	mov	$0x104, %r13
	mov	$0x105, %r14
	mov	$0x106, %r15
	mov	$0x107, %rsi
	mov	$0x108, %rdx
	mov	$0x109, %r10
	mov	$0x10a, %r8
	mov	$0x10b, %r9
	pcmpeqd	%xmm0, %xmm0
	mov	$3, %eax
	syscall
	mov	8(%rsp), %rcx
	mov	%rbx, (%rcx)
	mov	%rbp, 8(%rcx)
	mov	%r12, 16(%rcx)
	mov	%r13, 24(%rcx)
	mov	%r14, 32(%rcx)
	mov	%r15, 40(%rcx)
	mov	%rsi, 48(%rcx)
	mov	%rdx, 56(%rcx)
	mov	%r10, 64(%rcx)
	mov	%r8, 72(%rcx)
	mov	%r9, 80(%rcx)
	mov	%rdi, 88(%rcx)
	mov	%rax, 96(%rcx)
	mov	-8(%rsp), %rax
	mov	%rax, 104(%rcx)
	mov	-128(%rsp), %rax
	mov	%rax, 112(%rcx)
	movq	%xmm0, 120(%rcx)
	pop	%rax
	pop	%rsi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.cfi_endproc
	.size	form_registers, . - form_registers

	.section .note.GNU-stack, "", @progbits
