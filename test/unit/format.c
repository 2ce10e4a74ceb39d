/* SPDX-License-Identifier: PostgreSQL */
/*
 * Formats: a few of each kind (the public suite has hundreds: make check-conformance), and that no
 * text, whole or cut, makes a checker read outside its bounds.
 */
#include "unit.h"

#include <stdlib.h>

#include "format.h"

static bool
ok(const char *name, const char *text, size_t bytes)
{
	char *exact = malloc(bytes > 0 ? bytes : 1);
	bool verdict;

	memcpy(exact, text, bytes);
	verdict = ga_format_ok(ga_format_find(name, strlen(name)), exact, bytes);
	free(exact);
	return verdict;
}

int
main(void)
{
	static const struct
	{
		const char *name;
		const char *text;
		bool wanted;
	} cases[] = {
	    {"date", "2024-02-29", true},
	    {"date", "2023-02-29", false},
	    {"date-time", "1998-12-31T15:59:60.123-08:00", true},
	    {"date-time", "1998-12-31T22:59:60Z", false},
	    {"duration", "P1Y2M3DT4H5M6S", true},
	    {"duration", "P1Y2D", false},
	    {"duration", "P", false},
	    {"email", "\"joe bloggs\"@example.com", true},
	    {"email", "a..b@example.com", false},
	    {"email", "joe@[127.0.0.1]", true},
	    {"ipv4", "127.0.0.01", false},
	    {"ipv6", "1::d6:192.168.0.1", true},
	    {"ipv6", "1:2:3:4:5:::8", false},
	    {"uri", "http://[::1]:80/a%20b?c#d", true},
	    {"uri", "//a", false},
	    {"uri", "http://a/%zz", false},
	    {"uri-reference", "a/b#c", true},
	    {"uri-reference", "\\\\a", false},
	    {"uri-template", "http://x/{term:1}/{term*}", true},
	    {"uri-template", "http://x/{term", false},
	    {"uuid", "2EB8AA08-aa98-11ea-b4aa-73b441d16380", true},
	    {"json-pointer", "/a~1b", true},
	    {"json-pointer", "/a~", false},
	    {"relative-json-pointer", "01/a", false},
	};
	uint64_t seed = 5;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool verdict = ok(cases[i].name, cases[i].text, strlen(cases[i].text));

		CHECK(verdict == cases[i].wanted);
		if (verdict != cases[i].wanted)
			printf("%s: %s\n", cases[i].name, cases[i].text);
		for (int format = 0;
		     ga_format_find(cases[i].name, strlen(cases[i].name)) >= 0 && format < 16; format++)
		{
			for (size_t cut = 0; cut <= strlen(cases[i].text); cut++)
				(void) ok(ga_format_name(format), cases[i].text + cut, strlen(cases[i].text) - cut),
				    (void) ok(ga_format_name(format), cases[i].text, cut);
		}
	}
	for (int round = 0; round < 100000; round++)
	{
		static const char alphabet[] = ":/?#[]@%+-.{}~09afPTZW\"\\,*\xc3\xa9";
		char text[16];
		size_t bytes = unit_random(&seed) % sizeof(text);

		for (size_t i = 0; i < bytes; i++)
			text[i] = alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)];
		(void) ok(ga_format_name((int) (unit_random(&seed) % 16)), text, bytes);
	}
	CHECK(ga_format_find("hostname", 8) == -1);
	return unit_done();
}
