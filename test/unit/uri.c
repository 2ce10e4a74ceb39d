/* SPDX-License-Identifier: PostgreSQL */
/*
 * Reference resolution: the examples of RFC 3986 section 5.4, and URIs without an authority.
 */
#include "unit.h"

#include "uri.h"

static char block[8192];

static void
resolves(const char *base, const char *reference, const char *wanted)
{
	GaArena arena;
	char *out;

	ga_arena_init(&arena, block, sizeof(block));
	out = ga_uri_resolve(&arena, base, reference);
	CHECK(out != NULL && strcmp(out, wanted) == 0);
	if (out == NULL || strcmp(out, wanted) != 0)
		printf("%s + %s gave %s, wanted %s\n", base, reference, out ? out : "nothing", wanted);
}

int
main(void)
{
	static const char *const rfc[][2] = {{"g:h", "g:h"},
	                                     {"g", "http://a/b/c/g"},
	                                     {"./g", "http://a/b/c/g"},
	                                     {"g/", "http://a/b/c/g/"},
	                                     {"/g", "http://a/g"},
	                                     {"//g", "http://g"},
	                                     {"?y", "http://a/b/c/d;p?y"},
	                                     {"g?y", "http://a/b/c/g?y"},
	                                     {"#s", "http://a/b/c/d;p?q"},
	                                     {"g#s", "http://a/b/c/g"},
	                                     {";x", "http://a/b/c/;x"},
	                                     {"", "http://a/b/c/d;p?q"},
	                                     {".", "http://a/b/c/"},
	                                     {"./", "http://a/b/c/"},
	                                     {"..", "http://a/b/"},
	                                     {"../", "http://a/b/"},
	                                     {"../g", "http://a/b/g"},
	                                     {"../..", "http://a/"},
	                                     {"../../g", "http://a/g"},
	                                     {"../../../g", "http://a/g"},
	                                     {"/./g", "http://a/g"},
	                                     {"/../g", "http://a/g"},
	                                     {"g.", "http://a/b/c/g."},
	                                     {"..g", "http://a/b/c/..g"},
	                                     {"./../g", "http://a/b/g"},
	                                     {"./g/.", "http://a/b/c/g/"},
	                                     {"g/./h", "http://a/b/c/g/h"},
	                                     {"g/../h", "http://a/b/c/h"}};
	GaArena arena;

	for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++)
		resolves("http://a/b/c/d;p?q", rfc[i][0], rfc[i][1]);
	resolves("", "synthesis", "synthesis");
	resolves("", "#/a", "");
	resolves("urn:example:a", "#b", "urn:example:a");
	resolves("http://a", "b", "http://a/b");
	ga_arena_init(&arena, block, sizeof(block));
	CHECK(ga_uri_fragment(&arena, "a") == NULL);
	CHECK(strcmp(ga_uri_fragment(&arena, "a#"), "") == 0);
	CHECK(strcmp(ga_uri_fragment(&arena, "#/a%25b%7e"), "/a%b~") == 0);
	CHECK(ga_uri_fragment(&arena, "#%") == NULL && ga_uri_fragment(&arena, "#%0") == NULL);
	CHECK(ga_uri_fragment(&arena, "#%00") == NULL);
	CHECK(ga_uri_is_absolute("urn:x") && !ga_uri_is_absolute("x/y:z") && !ga_uri_is_absolute(""));
	return unit_done();
}
