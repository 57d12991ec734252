/*
 * bare_mem.c - bytes and strings. Long copies use the string instructions: no
 * vector register may be touched here.
 */
#include "bare.h"

#undef memcpy
#undef memset
#undef strlen

enum { SMALL = 64 };

struct word {
	uint64_t v;
} __attribute__((packed, may_alias));

static uint64_t get(const void *p)
{
	return ((const struct word *)p)->v;
}

static void put(void *p, uint64_t v)
{
	((struct word *)p)->v = v;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (n > SMALL) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)
				 : : "memory");
		return to;
	}
	if (n >= 8) {
		uint64_t last = get(s + n - 8);
		size_t i;

		for (i = 0; i + 8 < n; i += 8)
			put(d + i, get(s + i));
		put(d + n - 8, last);
		return to;
	}
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)d)[i] = s[i];
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	volatile uint8_t *d = to;
	const uint8_t *s = from;

	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	while (n >= 8) {
		uint64_t v = get(s + n - 8);

		n -= 8;
		put((uint8_t *)to + n, v);
	}
	while (n--)
		d[n] = s[n];
	return to;
}

void *mempcpy(void *restrict to, const void *restrict from, size_t n)
{
	return (uint8_t *)memcpy(to, from, n) + n;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	while (n >= 8 && get(x) == get(y)) {
		x += 8;
		y += 8;
		n -= 8;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *p, int c, size_t n)
{
	const uint8_t *s = p;

	for (; n; n--, s++)
		if (*s == (uint8_t)c)
			return (void *)(uintptr_t)s;
	return NULL;
}

void *memrchr(const void *p, int c, size_t n)
{
	const uint8_t *s = p;

	while (n--)
		if (s[n] == (uint8_t)c)
			return (void *)(uintptr_t)(s + n);
	return NULL;
}

size_t strlen(const char *s)
{
	const volatile char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}

char *strchrnul(const char *s, int c)
{
	while (*s && *s != (char)c)
		s++;
	return (char *)(uintptr_t)s;
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) {
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)(uintptr_t)found;
	}
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

char *stpcpy(char *restrict to, const char *restrict from)
{
	size_t n = strlen(from);

	memcpy(to, from, n + 1);
	return to + n;
}
