/* SPDX-License-Identifier: PostgreSQL */
/*
 * unit.h: the whole harness of the unit tests. Each test/unit/NAME.c is one program: it calls CHECK
 * as often as it likes and ends with `return unit_done();`. A failure prints its place and goes on;
 * the last line is `NAME: N passed, N failed`, and the exit status is 1 when one failed.
 */
#ifndef GA_UNIT_H
#define GA_UNIT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int unit_passed;
static int unit_failed;

#define CHECK(condition)                                                   \
	do                                                                     \
	{                                                                      \
		if (condition)                                                     \
			unit_passed++;                                                 \
		else                                                               \
		{                                                                  \
			unit_failed++;                                                 \
			printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
		}                                                                  \
	} while (0)

#define CHECK_INT(got, wanted)                                                                   \
	do                                                                                           \
	{                                                                                            \
		int64_t unit_got = (int64_t) (got);                                                      \
		int64_t unit_wanted = (int64_t) (wanted);                                                \
		if (unit_got == unit_wanted)                                                             \
			unit_passed++;                                                                       \
		else                                                                                     \
		{                                                                                        \
			unit_failed++;                                                                       \
			printf("%s:%d: failed: %s is %" PRId64 ", wanted %" PRId64 "\n", __FILE__, __LINE__, \
			       #got, unit_got, unit_wanted);                                                 \
		}                                                                                        \
	} while (0)

static inline int
unit_done_named(const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash != NULL ? slash + 1 : file;

	printf("%.*s: %d passed, %d failed\n", (int) strcspn(name, "."), name, unit_passed,
	       unit_failed);
	return unit_failed > 0;
}
#define unit_done() unit_done_named(__FILE__)

/* a small deterministic generator, so that a failure can be run again */
static inline uint64_t
unit_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* hex text to bytes; returns how many */
static inline size_t
unit_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;

	while (hex[2 * n] != '\0' && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		out[n++] = (uint8_t) byte;
	return n;
}

#endif /* GA_UNIT_H */
