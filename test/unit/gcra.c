/* SPDX-License-Identifier: PostgreSQL */
/* gcra.c: the rate is never exceeded in any window, and no number wraps a limit open. */
#include "gcra.h"

#include "unit.h"

#define SECOND INT64_C(1000000000)

static void
test_parse(void)
{
	int64_t count;
	int64_t period;

#define PARSES(text, c, p)                                                      \
	CHECK(ga_rate_parse(text, strlen(text), &count, &period) && count == (c) && \
	      period == (p) *SECOND)
#define REFUSES(text) CHECK(!ga_rate_parse(text, strlen(text), &count, &period))
	PARSES("30/minute", 30, 60);
	PARSES("10/s", 10, 1);
	PARSES(" 5 / Hour ", 5, 3600);
	PARSES("1/days", 1, 86400);
	REFUSES("");
	REFUSES("/s");
	REFUSES("10/");
	REFUSES("0/s");
	REFUSES("-1/s");
	REFUSES("1.5/s");
	REFUSES("10");
	REFUSES("10/fortnight");
	REFUSES("10/s/s");
	REFUSES("99999999999/s");
	REFUSES("10/minutesss");
}

static void
test_flow(void)
{
	GaRate rate;
	GaGcraDecision d;
	int64_t tat = 0;
	int64_t now = 1000 * SECOND;

	CHECK(ga_rate_make(10, SECOND, 0, &rate));
	for (int i = 0; i < 10; i++)
	{
		d = ga_gcra(&rate, tat, now, 1);
		CHECK(d.allowed);
		CHECK_INT(d.remaining, 9 - i);
		tat = d.tat;
	}
	d = ga_gcra(&rate, tat, now, 1);
	CHECK(!d.allowed && !d.never);
	CHECK_INT(d.tat, tat);
	CHECK_INT(d.retry_after_ns, SECOND / 10);
	CHECK_INT(d.reset_after_ns, SECOND);
	CHECK_INT(d.remaining, 0);
	CHECK(!ga_gcra(&rate, tat, now + d.retry_after_ns - 1, 1).allowed);
	CHECK(ga_gcra(&rate, tat, now + d.retry_after_ns, 1).allowed);
	CHECK_INT(ga_gcra(&rate, tat, now + 2 * SECOND, 0).remaining, 10);

	d = ga_gcra(&rate, 0, now, 11);
	CHECK(!d.allowed && d.never);
	CHECK(ga_gcra(&rate, 0, now, -1).never);
	CHECK(!ga_gcra(&rate, 0, now, INT64_MAX).allowed);
	CHECK(!ga_gcra(&rate, 0, now, INT64_MIN).allowed);
	CHECK(!ga_gcra(&rate, INT64_MAX, now, 1).allowed);
	CHECK(ga_gcra(&rate, INT64_MIN, now, 10).allowed);
}

static void
test_debt(void)
{
	GaRate rate;
	int64_t now = 1000 * SECOND;
	int64_t tat;

	CHECK(ga_rate_make(10, SECOND, 10, &rate));
	tat = ga_gcra(&rate, 0, now, 1).tat;
	tat = ga_gcra_correct(&rate, tat, now, 29); /* 20 more than the burst */
	CHECK_INT(ga_gcra(&rate, tat, now, 1).retry_after_ns, 21 * SECOND / 10);
	tat = ga_gcra_correct(&rate, tat, now, -30);
	CHECK_INT(ga_gcra(&rate, tat, now, 0).remaining, 10);
	tat = ga_gcra_correct(&rate, tat, now, -1000); /* never richer than idle */
	CHECK_INT(ga_gcra(&rate, tat, now, 0).remaining, 10);
	CHECK_INT(ga_gcra_correct(&rate, tat, now, INT64_MAX), INT64_MAX);
	CHECK_INT(ga_gcra_correct(&rate, tat, now, INT64_MIN), now);
}

/* 7 a second does not divide a nanosecond: over a long run it must still not be exceeded */
static void
test_never_exceeded(void)
{
	GaRate rate;
	int64_t tat = 0;
	int64_t now = SECOND;
	int64_t taken = 0;
	uint64_t random = 3;

	CHECK(ga_rate_make(7, SECOND, 3, &rate));
	while (now < 1001 * SECOND)
	{
		GaGcraDecision d = ga_gcra(&rate, tat, now, 1);

		taken += d.allowed;
		tat = d.tat;
		now += (int64_t) (unit_random(&random) % (SECOND / 50));
	}
	CHECK(taken <= 7 * 1000 + 3);
	CHECK(taken >= 7 * 1000 - 3);
	CHECK(!ga_rate_make(0, SECOND, 1, &rate));
	CHECK(!ga_rate_make(1, 0, 1, &rate));
	CHECK(!ga_rate_make(1, SECOND, -1, &rate));
}

int
main(void)
{
	test_parse();
	test_flow();
	test_debt();
	test_never_exceeded();
	return unit_done();
}
