/* SPDX-License-Identifier: PostgreSQL */
/*
 * ECMA 262 patterns rewritten for PCRE2: what is translated, what is refused, and that no pattern
 * makes the rewriting read or write outside its bounds. (What the results match:
 * regress/40_schema.)
 */
#include "unit.h"

#include <stdlib.h>

#include "ecma.h"

static char block[1 << 20];

static char *
rewrite(const char *pattern, size_t bytes)
{
	GaArena arena;
	char *exact = malloc(bytes > 0 ? bytes : 1);
	const char *fault;
	char *out;

	memcpy(exact, pattern, bytes);
	ga_arena_init(&arena, block, sizeof(block));
	out = ga_ecma_to_pcre2(&arena, exact, bytes, &fault);
	CHECK((out == NULL) == (fault != NULL));
	free(exact);
	return out;
}

static void
becomes(const char *pattern, const char *wanted)
{
	char *out = rewrite(pattern, strlen(pattern));

	CHECK(out != NULL && strcmp(out, wanted) == 0);
	if (out == NULL || strcmp(out, wanted) != 0)
		printf("%s gave %s, wanted %s\n", pattern, out != NULL ? out : "nothing", wanted);
}

static void
refused(const char *pattern)
{
	char *out = rewrite(pattern, strlen(pattern));

	CHECK(out == NULL);
	if (out != NULL)
		printf("%s became %s\n", pattern, out);
}

int
main(void)
{
	static const char *const not_ecma[] = {
	    "(*UTF)a",  "(?R)",      "(?C1)", "a++",   "(?>a)",   "(?i)a", "\\Qa",  "\\a",
	    "\\Z",      "\\K",       "(?|a)", "a{",    "a{,3}",   "]",     "}",     "[a",
	    "\\",       "\\p{Foo1}", "\\u12", "\\u{}", "\\x1",    "\\c1",  "\\012", "a**",
	    "(?P<n>a)", "[\\",       "\\p",   "\\k",   "(?<1>a)", "\\h",   "\\R",   "\\u{1234567}"};
	uint64_t seed = 11;

	becomes("^a.c$", "^a[^\\n\\r\\u2028\\u2029]c$");
	becomes("[a[:b]", "[a\\[:b]");
	becomes("\\p{Letter}\\P{gc=Nd}\\p{Script=Greek}", "\\p{L}\\P{Nd}\\p{Greek}");
	becomes("\\/\\-\\v", "/-\\x0b");
	becomes("(?<year>\\d{4})\\k<year>(a)\\2", "(?<year>\\d{4})\\k<year>(a)\\g{2}");
	becomes("[]", "[]");
	becomes("[^]", "[^]");
	becomes("a+?b{2,}?", "a+?b{2,}?");
	CHECK(strncmp(rewrite("[a\\S]", 5), "(?:[a]|[^", 9) == 0);
	CHECK(strncmp(rewrite("[^\\S\\n]+", 8), "(?:(?![\\n])[", 12) == 0);
	for (size_t i = 0; i < sizeof(not_ecma) / sizeof(not_ecma[0]); i++)
		refused(not_ecma[i]);
	for (int round = 0; round < 20000; round++)
	{
		static const char alphabet[] = "\\[](){}^-*+?.sSdDpPuUxkbc0129<>=!:|,LA";
		char pattern[24];
		size_t bytes = unit_random(&seed) % sizeof(pattern);

		for (size_t i = 0; i < bytes; i++)
			pattern[i] = alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)];
		rewrite(pattern, bytes);
	}
	return unit_done();
}
