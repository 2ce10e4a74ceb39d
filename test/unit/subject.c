/* SPDX-License-Identifier: PostgreSQL */
/* subject.c: what may be published to, subscribed to, and what matches what. */
#include "subject.h"

#include <stdint.h>

#include "unit.h"

static bool
subject_ok(const char *s)
{
	return ga_subject_problem(s, strlen(s)) == NULL;
}

static bool
pattern_ok(const char *s)
{
	return ga_subject_pattern_problem(s, strlen(s)) == NULL;
}

static bool
matches(const char *pattern, const char *subject)
{
	return ga_subject_matches(pattern, strlen(pattern), subject, strlen(subject));
}

int
main(void)
{
	char longest[257];

	CHECK(subject_ok("prc.agent.created"));
	CHECK(subject_ok("a"));
	CHECK(!subject_ok(""));
	CHECK(!subject_ok("."));
	CHECK(!subject_ok("a..b"));
	CHECK(!subject_ok("a."));
	CHECK(!subject_ok(".a"));
	CHECK(!subject_ok("a b"));
	CHECK(!subject_ok("a\r\nPUB x 0"));
	CHECK(!subject_ok("a\tb"));
	CHECK(!subject_ok("a.\xc3\xa9"));
	CHECK(!subject_ok("a.*"));
	CHECK(!subject_ok("a.>"));
	CHECK(!subject_ok("$JS.API.STREAM.DELETE.PRC"));
	CHECK(!subject_ok("$SYS.x"));
	CHECK(!subject_ok("_INBOX.abc"));
	CHECK(ga_subject_problem("a\0b", 3) != NULL);
	memset(longest, 'a', sizeof(longest));
	CHECK(ga_subject_problem(longest, 255) == NULL);
	CHECK(ga_subject_problem(longest, 256) != NULL);

	CHECK(pattern_ok("prc.*.*"));
	CHECK(pattern_ok("dlq.>"));
	CHECK(pattern_ok(">"));
	CHECK(!pattern_ok("a.>.b"));
	CHECK(!pattern_ok("a.b*"));
	CHECK(!pattern_ok("a.>>"));

	CHECK(matches("prc.*.*", "prc.a.b"));
	CHECK(!matches("prc.*.*", "prc.a"));
	CHECK(!matches("prc.*.*", "prc.a.b.c"));
	CHECK(matches("dlq.>", "dlq.a.b"));
	CHECK(!matches("dlq.>", "dlq"));
	CHECK(matches(">", "x"));
	CHECK(matches("a.b", "a.b"));
	CHECK(!matches("a.b", "a.bc"));
	CHECK(!matches("a.b", "a"));
	CHECK(!matches("a", "a.b"));
	return unit_done();
}
