/* SPDX-License-Identifier: PostgreSQL */
/*
 * Hazardous characters: the closed set is found whole, honest text passes, and showing is
 * idempotent on any text.
 */
#include "unit.h"

#include "hazard.h"
#include "utf8.h"

static size_t
show(const char *text, size_t bytes, char *out)
{
	GaHazardScan scan;
	GaHazard hazard;
	size_t copied = 0;
	size_t n = 0;

	ga_hazard_begin(&scan, text, bytes);
	while (ga_hazard_next(&scan, &hazard))
	{
		memcpy(out + n, text + copied, hazard.offset - copied);
		n += hazard.offset - copied;
		n += ga_hazard_show(hazard.code, out + n);
		copied = hazard.offset + hazard.bytes;
	}
	memcpy(out + n, text + copied, bytes - copied);
	n += bytes - copied;
	out[n] = '\0';
	return n;
}

static void
shows(const char *text, const char *wanted)
{
	char out[1024];

	show(text, strlen(text), out);
	CHECK(strcmp(out, wanted) == 0);
	if (strcmp(out, wanted) != 0)
		printf("%s gave %s, wanted %s\n", text, out, wanted);
}

/* Alone between two letters, no character of the set passes, and nothing else is touched. */
static void
closed_set(void)
{
	static const uint32_t ranges[][2] = {
	    {0x1, 0x8},         {0xB, 0x1F},        {0x7F, 0x9F},       {0xAD, 0xAD},
	    {0x34F, 0x34F},     {0x61C, 0x61C},     {0x115F, 0x1160},   {0x17B4, 0x17B5},
	    {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},
	    {0x2800, 0x2800},   {0x3164, 0x3164},   {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},
	    {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFC},   {0xFFFE, 0xFFFF},
	    {0x1BCA0, 0x1BCA3}, {0x1D159, 0x1D159}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
	size_t at = 0;

	for (uint32_t code = 1; code <= 0x10FFFF; code++)
	{
		char text[8] = "a";
		char out[64];
		size_t bytes = 1;
		bool wanted;

		if (code >= 0xD800 && code <= 0xDFFF)
			continue;
		while (at < sizeof(ranges) / sizeof(ranges[0]) && code > ranges[at][1])
			at++;
		wanted = at < sizeof(ranges) / sizeof(ranges[0]) && code >= ranges[at][0];
		wanted = wanted || (code & 0xFFFE) == 0xFFFE;
		bytes += (size_t) ga_utf8_encode(code, text + 1);
		text[bytes++] = 'b';
		if (wanted != (show(text, bytes, out) != bytes || memcmp(text, out, bytes) != 0))
		{
			printf("U+%04X: wanted %d\n", code, wanted);
			CHECK(false);
		}
	}
	CHECK(true);
}

static void
idempotent(void)
{
	static const uint32_t pool[] = {'a',     'b',     '\n',    '\r',    0x1F468, 0x200D,
	                                0x1F469, 0xFE0F,  0x1F3F4, 0xE0067, 0xE0062, 0xE007F,
	                                0x2066,  0x2069,  0x202E,  0x0633,  0x200C,  0x200E,
	                                0x4E00,  0xE0100, 0xFEFF,  '#',     0x2800,  0x2801};
	uint64_t seed = 3;

	for (int round = 0; round < 200000; round++)
	{
		char text[64];
		char once[1024];
		char twice[2048];
		size_t bytes = 0;
		size_t length;

		for (int i = 0; i < 10; i++)
			bytes += (size_t) ga_utf8_encode(
			    pool[unit_random(&seed) % (sizeof(pool) / sizeof(pool[0]))], text + bytes);
		length = show(text, bytes, once);
		if (show(once, length, twice) != length || memcmp(once, twice, length) != 0)
		{
			printf("not idempotent: %s / %s\n", once, twice);
			CHECK(false);
			return;
		}
	}
	CHECK(true);
}

int
main(void)
{
	shows("a\xE2\x80\xAE"
	      "b",
	      "a[U+202E]b");
	shows("\x1b[31mred", "[U+001B][31mred");
	shows("\xEF\xBB\xBF{}", "[U+FEFF]{}");
	shows("....// <scr<script>ipt> DROP TABLE R&D $5 '; --",
	      "....// <scr<script>ipt> DROP TABLE R&D $5 '; --");
	shows("a\r\nb\rc\td\n", "a\r\nb[U+000D]c\td\n");
	/* family, heart with variation, keycap, flag of Scotland */
	shows("\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
	      "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9");
	shows("\xE2\x9D\xA4\xEF\xB8\x8F 1\xEF\xB8\x8F\xE2\x83\xA3",
	      "\xE2\x9D\xA4\xEF\xB8\x8F 1\xEF\xB8\x8F\xE2\x83\xA3");
	shows("\xF0\x9F\x8F\xB4\xF3\xA0\x81\xA7\xF3\xA0\x81\xA2\xF3\xA0\x81\xB3\xF3\xA0\x81\xA3\xF3\xA0"
	      "\x81\xB4\xF3\xA0\x81\xBF",
	      "\xF0\x9F\x8F\xB4\xF3\xA0\x81\xA7\xF3\xA0\x81\xA2\xF3\xA0\x81\xB3\xF3\xA0\x81\xA3\xF3\xA0"
	      "\x81\xB4\xF3\xA0\x81\xBF");
	/* tags that spell a message are shown */
	shows("hi\xF3\xA0\x81\xA8\xF3\xA0\x81\xA9", "hi[U+E0068][U+E0069]");
	/* Persian needs the non-joiner */
	shows("\xD9\x85\xDB\x8C\xE2\x80\x8C\xD8\xB1", "\xD9\x85\xDB\x8C\xE2\x80\x8C\xD8\xB1");
	shows("pass\xE2\x80\x8Cword", "pass[U+200C]word");
	/* isolates: balanced in the line, or shown */
	shows("\xE2\x81\xA7x\xE2\x81\xA9", "\xE2\x81\xA7x\xE2\x81\xA9");
	shows("\xE2\x81\xA7x\n\xE2\x81\xA9", "[U+2067]x\n[U+2069]");
	closed_set();
	idempotent();
	return unit_done();
}
