/*
 * sites_find.c - which system calls of an object can become jumps.
 *
 * Each function with one is decoded from its first byte to its last, as .eh_frame
 * bounds it; if anything in it is no instruction, it is left alone. A site is a
 * run of instructions around the system call that may be done elsewhere: they
 * use no address relative to their own, do not branch, and leave rsp as it is.
 * Five bytes at its beginning are overwritten. Three kinds, the first that fits:
 *
 *  1. It begins with one instruction of five bytes or more (mov $nr,%eax): then
 *     no other instruction changes, and a branch to any of them still finds it.
 *  2. It is the system call and what follows (syscall; cmp $-4096,%rax).
 *  3. It is shorter instructions before the system call, and that.
 *
 * For 2 and 3 no branch may lead into the overwritten bytes: none of the
 * function's does; it has no branch through a register or memory, whose ways we do
 * not know; and no byte of all code, at whatever address, followed by what would
 * be the distance, makes a branch there. That is more than can be branches.
 *
 * In the kernel a system call leaves the flags as they are, in rk__entry it does
 * not: so what follows must set them before it uses them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <Zydis/Zydis.h>
#include "broker/sites.h"

enum {
	FUNCTION_MAX = 1 << 20,		/* bytes */
	BEFORE = 5,			/* instructions of a site before the call */
	FLAGS_AHEAD = 64,		/* instructions looked at for flags */
	NR_BACK = 32,			/* and for the number */
};

#define STATUS_FLAGS                                                      \
	(ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |         \
	 ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF)

struct insn {
	uint32_t at;			/* in the function */
	ZydisDecodedInstruction i;
};

struct function {
	const struct rk__elf *elf;
	uint64_t start;
	const uint8_t *code;
	uint32_t size;
	struct insn *insn;
	uint32_t n;
	uint8_t *target;		/* by byte: a branch leads here */
	bool indirect;			/* a branch whose way is not known */
};

struct find {
	const struct rk__elf *elf;
	ZydisDecoder decoder;
	struct rk__sites_report *report;
	struct rk__site *site;
	uint8_t *kind;			/* of each site */
	uint32_t n, room;
	uint64_t end;			/* of the last site */
};

/* --- one function ------------------------------------------------------------------- */

static bool branches_away(const ZydisDecodedInstruction *i)
{
	return i->meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
	       i->meta.category == ZYDIS_CATEGORY_RET ||
	       i->mnemonic == ZYDIS_MNEMONIC_UD2 ||
	       i->mnemonic == ZYDIS_MNEMONIC_HLT;
}

/* Notes where a branch leads. */
static void branch_note(struct function *f, const struct insn *p)
{
	const ZydisDecodedInstruction *i = &p->i;
	int64_t to;

	if (i->meta.category != ZYDIS_CATEGORY_COND_BR &&
	    i->meta.category != ZYDIS_CATEGORY_UNCOND_BR &&
	    i->meta.category != ZYDIS_CATEGORY_CALL)
		return;
	if (!i->raw.imm[0].is_relative) {
		if (i->meta.category != ZYDIS_CATEGORY_CALL)
			f->indirect = true;
		return;
	}
	to = (int64_t)p->at + i->length + i->raw.imm[0].value.s;
	if (to >= 0 && to < f->size)
		f->target[to] = 1;
}

static int function_decode(struct find *w, struct function *f)
{
	uint32_t at = 0;

	f->insn = malloc(f->size * sizeof(*f->insn));
	f->target = calloc(1, f->size);
	if (!f->insn || !f->target)
		return -ENOMEM;
	while (at < f->size) {
		struct insn *p = &f->insn[f->n];

		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(
			    &w->decoder, NULL, f->code + at, f->size - at,
			    &p->i)))
			return -EILSEQ;
		p->at = at;
		at += p->i.length;
		f->n++;
	}
	for (uint32_t i = 0; i < f->n; i++)
		branch_note(f, &f->insn[i]);
	return 0;
}

/* With operands; those that are not visible too. */
static unsigned operands(struct find *w, const struct function *f, uint32_t i,
			 ZydisDecodedOperand ret[ZYDIS_MAX_OPERAND_COUNT])
{
	ZydisDecodedInstruction again;

	if (ZYAN_FAILED(ZydisDecoderDecodeFull(
		    &w->decoder, f->code + f->insn[i].at,
		    f->size - f->insn[i].at, &again, ret)))
		return 0;
	return again.operand_count;
}

static ZydisRegister whole(ZydisRegister r)
{
	return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
}

static bool writes(const ZydisDecodedOperand *o, unsigned n, ZydisRegister r)
{
	for (unsigned i = 0; i < n; i++)
		if (o[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    o[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
		    whole(o[i].reg.value) == r)
			return true;
	return false;
}

static bool is_constant(const ZydisDecodedInstruction *i,
			const ZydisDecodedOperand *o, int32_t *ret)
{
	if (i->mnemonic == ZYDIS_MNEMONIC_MOV &&
	    o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o[0].size >= 32) {
		*ret = (int32_t)o[1].imm.value.s;
		return true;
	}
	*ret = 0;
	return i->mnemonic == ZYDIS_MNEMONIC_XOR &&
	       o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       o[0].reg.value == o[1].reg.value && o[0].size >= 32;
}

/* What a register is all over the function, if it is set to one constant only. */
static int32_t constant_of(struct find *w, const struct function *f,
			   ZydisRegister r)
{
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	int32_t value, found = -1;

	for (uint32_t i = 0; i < f->n; i++) {
		unsigned n;

		if (f->insn[i].i.meta.category == ZYDIS_CATEGORY_CALL)
			continue;
		n = operands(w, f, i, o);
		if (!n && f->insn[i].i.operand_count)
			return -1;
		if (!writes(o, n, r) ||
		    f->insn[i].i.mnemonic == ZYDIS_MNEMONIC_POP)
			continue;
		if (!is_constant(&f->insn[i].i, o, &value) ||
		    (found >= 0 && found != value))
			return -1;
		found = value;
	}
	return found;
}

/* The number of the system call at insn[at], or -1. */
static int32_t number_of(struct find *w, const struct function *f, uint32_t at)
{
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	int32_t nr;

	for (uint32_t k = 1; k <= NR_BACK && k <= at; k++) {
		const struct insn *p = &f->insn[at - k];
		unsigned n;

		/* Whoever branches behind it brings another number. */
		if (f->target[p[1].at] || branches_away(&p->i) ||
		    p->i.meta.category == ZYDIS_CATEGORY_CALL)
			return -1;
		n = operands(w, f, at - k, o);
		if (!writes(o, n, ZYDIS_REGISTER_RAX))
			continue;
		if (!is_constant(&p->i, o, &nr)) {
			if (p->i.mnemonic != ZYDIS_MNEMONIC_MOV || n < 2 ||
			    o[1].type != ZYDIS_OPERAND_TYPE_REGISTER ||
			    o[1].size < 32)
				return -1;
			nr = constant_of(w, f, whole(o[1].reg.value));
		}
		return nr >= 0 && nr < RK__CALLS ? nr : -1;
	}
	return -1;
}

/* Whether it may be done elsewhere. */
static bool moves(struct find *w, const struct function *f, uint32_t i)
{
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	unsigned n;

	switch (f->insn[i].i.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
	case ZYDIS_MNEMONIC_LEA:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_TEST:
		break;
	default:
		return false;
	}
	if (f->insn[i].i.attributes & (ZYDIS_ATTRIB_IS_RELATIVE |
				       ZYDIS_ATTRIB_HAS_LOCK))
		return false;
	n = operands(w, f, i, o);
	for (unsigned k = 0; k < n; k++)
		if (o[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    (o[k].mem.base == ZYDIS_REGISTER_RIP ||
		     o[k].mem.base == ZYDIS_REGISTER_EIP))
			return false;
	return n && !writes(o, n, ZYDIS_REGISTER_RSP);
}

/* Whether the flags are set before they are used, from insn[i] on. */
static bool flags_are_dead(const struct function *f, uint32_t i)
{
	ZyanU32 live = STATUS_FLAGS;

	for (uint32_t k = 0; k < FLAGS_AHEAD && i < f->n; k++) {
		const struct insn *p = &f->insn[i];
		const ZydisAccessedFlags *a = p->i.cpu_flags;
		int64_t to;

		if (a && a->tested & live)
			return false;
		if (a)
			live &= ~(a->modified | a->set_0 | a->set_1 |
				  a->undefined);
		/* By the psABI they mean nothing to who is called or returned
		 * to. */
		if (!live || p->i.meta.category == ZYDIS_CATEGORY_CALL ||
		    p->i.meta.category == ZYDIS_CATEGORY_RET ||
		    p->i.mnemonic == ZYDIS_MNEMONIC_HLT)
			return true;
		if (p->i.meta.category != ZYDIS_CATEGORY_UNCOND_BR) {
			i++;
			continue;
		}
		to = (int64_t)p->at + p->i.length + p->i.raw.imm[0].value.s;
		if (!p->i.raw.imm[0].is_relative)
			return false;
		if (to < 0 || to >= f->size)
			return false;
		for (i = 0; i < f->n && f->insn[i].at != to; i++)
			;
	}
	return false;
}

/* --- one site --------------------------------------------------------------------------- */

/* A branch into [from + 1, to): counted from the function's beginning. */
static bool is_target(const struct function *f, uint32_t from, uint32_t to)
{
	for (uint32_t k = from + 1; k < to; k++)
		if (f->target[k])
			return true;
	return false;
}

/* Insns [first, last] with the call at insn[at] are a site of this kind. */
static bool site_fits(const struct function *f, uint32_t first, uint32_t last,
		      uint32_t at, int kind)
{
	uint32_t from = f->insn[first].at;
	uint32_t to = f->insn[last].at + f->insn[last].i.length;

	if (to - from < RK__SITE_JUMP || to - from > RK__SITE_BYTES)
		return false;
	if (kind == 1)
		return f->insn[first].i.length >= RK__SITE_JUMP &&
		       !is_target(f, from, f->insn[at].at + 1);
	return !f->indirect && !is_target(f, from, to);
}

static bool site_choose(struct find *w, const struct function *f, uint32_t at,
			uint32_t *first, uint32_t *last, int *kind)
{
	uint32_t back = 0;

	while (back < BEFORE && back < at && moves(w, f, at - back - 1)) {
		back++;
		if (site_fits(f, at - back, at, at, 1)) {
			*first = at - back;
			*last = at;
			*kind = 1;
			return true;
		}
	}
	for (uint32_t k = at; k < f->n && k <= at + 3; k++) {
		if (k > at && !moves(w, f, k))
			break;
		if (site_fits(f, at, k, at, 2)) {
			*first = at;
			*last = k;
			*kind = 2;
			return true;
		}
	}
	for (uint32_t k = 1; k <= back; k++)
		if (site_fits(f, at - k, at, at, 3)) {
			*first = at - k;
			*last = at;
			*kind = 3;
			return true;
		}
	return false;
}

static int site_add(struct find *w, const struct function *f, uint32_t first,
		    uint32_t last, uint32_t at, int32_t nr, int kind)
{
	uint32_t size = f->insn[last].at + f->insn[last].i.length -
			f->insn[first].at;
	struct rk__site *s;

	if (w->n == w->room) {
		uint32_t room = w->room ? w->room * 2 : 256;
		void *site = realloc(w->site, room * sizeof(*w->site));
		void *kinds;

		if (!site)
			return -ENOMEM;
		w->site = site;
		kinds = realloc(w->kind, room);
		if (!kinds)
			return -ENOMEM;
		w->kind = kinds;
		w->room = room;
	}
	w->kind[w->n] = (uint8_t)kind;
	s = &w->site[w->n++];
	memset(s, 0, sizeof(*s));
	s->at = f->start + f->insn[first].at;
	s->nr = nr;
	s->pre = (uint8_t)(f->insn[at].at - f->insn[first].at);
	s->post = (uint8_t)(size - s->pre - RK__SYSCALL);
	memcpy(s->bytes, f->code + f->insn[first].at, size);
	w->end = s->at + size;
	return 0;
}

/* mov $15,%eax or %rax, by its bytes: unwinders know them, and .eh_frame has it
 * begin before its first instruction. */
static bool is_sigreturn(const struct function *f, uint32_t at)
{
	static const uint8_t nr[4] = {SYS_rt_sigreturn};
	const uint8_t *p = f->code + at;

	return (at >= 5 && p[-5] == 0xb8 && !memcmp(p - 4, nr, 4)) ||
	       (at >= 6 && p[-6] == 0xc7 && p[-5] == 0xc0 &&
		!memcmp(p - 4, nr, 4));
}

static int call_use(struct find *w, const struct function *f, uint32_t at)
{
	uint32_t first, last;
	int32_t nr = number_of(w, f, at);
	int kind;

	if (is_sigreturn(f, f->insn[at].at) || (nr >= 0 && !rk__site_wanted(nr))) {
		w->report->foreign++;
		return 0;
	}
	if ((nr != SYS_exit && nr != SYS_exit_group &&
	     !flags_are_dead(f, at + 1)) ||
	    !site_choose(w, f, at, &first, &last, &kind) ||
	    f->start + f->insn[first].at < w->end) {
		w->report->left++;
		return 0;
	}
	return site_add(w, f, first, last, at, nr, kind);
}

static int function_use(struct find *w, uint64_t start, uint64_t end)
{
	struct function f = {
		.elf = w->elf,
		.start = start,
		.code = w->elf->code + (start - w->elf->text),
		.size = (uint32_t)(end - start),
	};
	int error = end - start > FUNCTION_MAX ? -EILSEQ :
						 function_decode(w, &f);

	for (uint32_t i = 0; i < f.n && !error; i++)
		if (f.insn[i].i.mnemonic == ZYDIS_MNEMONIC_SYSCALL)
			error = call_use(w, &f, i);
	if (error == -EILSEQ) {
		w->report->left++;
		error = 0;
	}
	free(f.insn);
	free(f.target);
	return error;
}

/* --- all of the code ------------------------------------------------------------------ */

/* Bytes of the distance after an opcode that branches; 0x80 and on after 0x0f. */
static const uint8_t distance[256] = {
	[0x70 ... 0x7f] = 1, [0xe0 ... 0xe3] = 1, [0xeb] = 1,
	[0x80 ... 0x8f] = 4, [0xe8 ... 0xe9] = 4,
};

/* Whatever bytes would be a branch into the overwritten bytes of a site that must
 * have none, take the site away. */
static int strays_drop(struct find *w)
{
	const uint8_t *c = w->elf->code;
	size_t size = w->elf->code_size;
	uint8_t *map = calloc(1, size / 8 + 1), *hit = calloc(1, size / 8 + 1);
	uint32_t kept = 0;

	if (!map || !hit) {
		free(map);
		free(hit);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < w->n; i++)
		for (int k = 1; k < RK__SITE_JUMP && w->kind[i] != 1; k++) {
			size_t at = w->site[i].at - w->elf->text + (size_t)k;

			map[at >> 3] |= (uint8_t)(1 << (at & 7));
		}
	for (size_t at = 1; at + 5 < size; at++) {
		size_t end = at + distance[c[at]] + 1, to;
		int32_t d;

		if (!distance[c[at]] ||
		    ((c[at] & 0xf0) == 0x80 && c[at - 1] != 0x0f))
			continue;
		memcpy(&d, c + at + 1, sizeof(d));
		to = end + (size_t)(distance[c[at]] == 1 ? (int8_t)d : d);
		if (to < size && map[to >> 3] >> (to & 7) & 1)
			hit[to >> 3] |= (uint8_t)(1 << (to & 7));
	}
	for (uint32_t i = 0; i < w->n; i++) {
		bool stray = false;

		for (int k = 1; k < RK__SITE_JUMP && w->kind[i] != 1; k++) {
			size_t at = w->site[i].at - w->elf->text + (size_t)k;

			stray |= hit[at >> 3] >> (at & 7) & 1;
		}
		if (stray)
			w->report->left++;
		else
			w->site[kept++] = w->site[i];
	}
	w->n = kept;
	free(map);
	free(hit);
	return 0;
}

int rk__sites_find(const struct rk__elf *e, struct rk__site **ret,
		   struct rk__sites_report *report)
{
	struct find w = {.elf = e, .report = report};
	const uint8_t *p = e->code, *end = e->code + e->code_size;
	int error = 0;

	ZydisDecoderInit(&w.decoder, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	while (!error && (p = memmem(p, (size_t)(end - p), "\x0f\x05", 2))) {
		uint64_t at = e->text + (uint64_t)(p - e->code), start, stop;

		if (!rk__elf_function(e, at, &start, &stop)) {
			report->left++;
			p += RK__SYSCALL;
			continue;
		}
		error = function_use(&w, start, stop);
		p = e->code + (stop - e->text);
	}
	if (!error)
		error = strays_drop(&w);
	free(w.kind);
	if (error) {
		free(w.site);
		return error;
	}
	report->sites += w.n;
	*ret = w.site;
	return (int)w.n;
}
