/* SPDX-License-Identifier: PostgreSQL */
/*
 * The strict JSON reader: what it accepts, what it refuses with which code, offset and pointer,
 * what a lossless repair skips, and that no text, whole or cut, makes it read outside its bounds.
 */
#include "unit.h"

#include <stdlib.h>

#include "json.h"
#include "utf8.h"

static char block[1 << 22];
static GaJsonFault fault;

static GaJsonNode *
parse_n(const char *text, size_t bytes, unsigned flags)
{
	GaArena arena;
	char *exact = malloc(bytes > 0 ? bytes : 1); /* so that the sanitizer sees a byte too far */
	GaJsonNode *root;

	memcpy(exact, text, bytes);
	ga_arena_init(&arena, block, sizeof(block));
	root = ga_json_parse(&arena, exact, bytes, &ga_json_default_limits, flags, &fault);
	free(exact);
	return root;
}

static GaJsonNode *
parse(const char *text)
{
	return parse_n(text, strlen(text), 0);
}

static void
refused(const char *text, const char *code, size_t offset, const char *pointer)
{
	CHECK(parse(text) == NULL);
	if (fault.code == NULL || strcmp(fault.code, code) != 0 || fault.offset != offset ||
	    strcmp(fault.pointer, pointer) != 0)
	{
		printf("%s\n  gave %s at %zu in '%s', wanted %s at %zu in '%s'\n", text,
		       fault.code ? fault.code : "nothing", fault.offset,
		       fault.pointer ? fault.pointer : "", code, offset, pointer);
		CHECK(false);
	}
}

static void
accepts(void)
{
	const GaJsonNode *root =
	    parse("{\"alg\":\"ES256\",\"n\":[1,-0.5e+3,true,false,null,{}],\"\":\"\"}");
	const GaJsonNode *n;

	CHECK(root != NULL && root->type == GA_JSON_OBJECT && root->count == 3);
	CHECK(strcmp(ga_json_string(ga_json_member(root, "alg")), "ES256") == 0);
	CHECK(ga_json_member(root, "ALG") == NULL);
	CHECK(ga_json_string(ga_json_member(root, "n")) == NULL);
	n = ga_json_member(root, "n");
	CHECK(n->count == 6 && n->child->next->bytes == 7 && n->child->type == GA_JSON_NUMBER);
	root = parse(" \"a\\u00e9\\ud83d\\ude00\\n\\/\" ");
	CHECK(root != NULL && strcmp(ga_json_string(root), "a\xc3\xa9\xf0\x9f\x98\x80\n/") == 0);
	CHECK_INT(root->offset, 1);
	CHECK(parse("0") != NULL && parse("-1") != NULL && parse("[]") != NULL && parse("{}") != NULL);
	CHECK(parse("[1e400]") != NULL && parse("\"\xed\x9f\xbf\"") != NULL);
}

static void
refuses(void)
{
	refused("", "truncated", 0, "");
	refused("{\"a\":1,\"b\":{\"c\":2,\"c\":3}}", "duplicate_key", 22, "/b/c");
	refused("{\"a\":1,\"\\u0061\":2}", "duplicate_key", 16, "/a");
	refused("[1,2", "truncated", 4, "/2");
	refused("{\"a\":tru", "truncated", 8, "/a");
	refused("{\"a/b~\":[0,nul1]}", "syntax", 11, "/a~1b~0/1");
	refused("[1,]", "syntax", 3, "/1");
	refused("{\"a\":1,}", "syntax", 7, "");
	refused("[1] 2", "trailing", 4, "");
	refused("[01]", "syntax", 1, "/0");
	refused("[+1]", "syntax", 1, "/0");
	refused("[.5]", "syntax", 1, "/0");
	refused("[1.]", "syntax", 3, "/0");
	refused("[NaN]", "syntax", 1, "/0");
	refused("[1e5000]", "number_exponent", 1, "/0");
	refused("['a']", "syntax", 1, "/0");
	refused("[\"\\u0000\"]", "nul", 2, "/0");
	refused("[\"\\ud800\"]", "surrogate", 2, "/0");
	refused("[\"\\udc00\\ud800\"]", "surrogate", 2, "/0");
	refused("[\"\\x41\"]", "escape", 2, "/0");
	refused("[\"a\nb\"]", "control", 3, "/0");
	refused("[\"\xff\"]", "utf8", 2, "/0");
	refused("[\"\xed\xa0\x80\"]", "utf8", 2, "/0");
	refused("[\"\xc0\x80\"]", "utf8", 2, "/0");
	refused("/* c */ 1", "syntax", 0, "");
}

static void
limits(void)
{
	char deep[200];
	char digits[400];

	memset(deep, '[', 65);
	deep[65] = '\0';
	refused(deep, "depth", 64,
	        "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"
	        "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0");
	memset(deep + 64, ']', 64);
	deep[128] = '\0';
	CHECK(parse(deep) != NULL);
	memset(digits, '7', 399);
	digits[399] = '\0';
	refused(digits, "number_digits", 0, "");
}

static void
repairs(void)
{
	const char *text = "{\"a\": [1, 2, /* x */ ], // y\n \"b\": 2,} and so on {";
	GaJsonNode *root =
	    parse_n(text, strlen(text), GA_JSON_COMMENTS | GA_JSON_TRAILING_COMMA | GA_JSON_PREFIX);
	const GaJsonEdit *edit = fault.edits;

	CHECK(root != NULL && root->count == 2);
	CHECK_INT(root->end, 38);
	CHECK(edit != NULL && strcmp(edit->kind, "trailing_comma") == 0 && edit->offset == 11);
	edit = edit->next;
	CHECK(edit != NULL && strcmp(edit->kind, "comment") == 0 && edit->offset == 13 &&
	      edit->bytes == 7);
	edit = edit->next;
	CHECK(edit != NULL && strcmp(edit->kind, "comment") == 0 && edit->bytes == 4);
	edit = edit->next;
	CHECK(edit != NULL && strcmp(edit->kind, "trailing_comma") == 0 && edit->next == NULL);
	CHECK(parse_n("[,]", 3, GA_JSON_TRAILING_COMMA) == NULL);
	CHECK(parse_n("[1,,]", 5, GA_JSON_TRAILING_COMMA) == NULL);
	CHECK(parse_n("{\"a\":1", 6, GA_JSON_PREFIX) == NULL && fault.truncated && fault.object_begun);
	CHECK(parse_n("{a", 2, GA_JSON_PREFIX) == NULL && !fault.object_begun);
}

/* Every cut and many mutations of a text: an answer or a fault, never a read out of bounds. */
static void
hostile(void)
{
	static const char text[] =
	    "{\"k\":[1.5e3,\"\\ud83d\\ude00\xc3\xa9\",{\"k\":null,\"l\":[true,false]}],/*c*/\"m\":-2,}";
	uint64_t seed = 7;

	for (unsigned flags = 0; flags < 8; flags++)
	{
		for (size_t cut = 0; cut < sizeof(text); cut++)
			CHECK((parse_n(text, cut, flags) == NULL) == (fault.code != NULL));
		for (int round = 0; round < 3000; round++)
		{
			char copy[sizeof(text)];

			memcpy(copy, text, sizeof(text));
			for (int i = 0; i < 3; i++)
				copy[unit_random(&seed) % sizeof(text)] = (char) unit_random(&seed);
			CHECK((parse_n(copy, sizeof(text), flags) == NULL) == (fault.code != NULL));
		}
	}
	/* a full arena is a fault, not a crash */
	for (size_t size = 0; size < 9000; size += 37)
	{
		GaArena arena;
		GaJsonNode *root;

		ga_arena_init(&arena, block, size);
		root = ga_json_parse(&arena, "[{\"a\":[1,2,3],\"b\":{\"c\":\"d\"}}]", 30,
		                     &ga_json_default_limits, 0, &fault);
		CHECK((root == NULL) == (fault.code != NULL));
	}
}

static void
utf8(void)
{
	char out[4];
	uint32_t code;

	for (uint32_t c = 1; c <= 0x10FFFF; c += 97)
	{
		int length = ga_utf8_encode(c, out);

		if (c >= 0xD800 && c <= 0xDFFF)
			CHECK(ga_utf8_decode(out, 4, &code) == 0);
		else
			CHECK(ga_utf8_decode(out, (size_t) length, &code) == length && code == c);
		CHECK(ga_utf8_decode(out, (size_t) length - 1, &code) != length);
	}
}

int
main(void)
{
	accepts();
	refuses();
	limits();
	repairs();
	hostile();
	utf8();
	return unit_done();
}
