/* SPDX-License-Identifier: PostgreSQL */
/* breaker.c: opens at its threshold, probes one lease at a time, and never sticks half open. */
#include "breaker.h"

#include "unit.h"

#define SECOND INT64_C(1000000000)

static GaBreakerSettings settings;
static GaBreaker breaker;

static void
start(void)
{
	settings = ga_breaker_defaults;
	breaker = (GaBreaker){0};
}

static bool
fail_at(int64_t now)
{
	return ga_breaker_outcome(&breaker, &settings, now, false, -1, -1);
}

static bool
succeed_at(int64_t now)
{
	return ga_breaker_outcome(&breaker, &settings, now, true, -1, -1);
}

static void
test_opens_and_closes(void)
{
	int64_t successes;
	int64_t failures;

	start();
	CHECK(ga_breaker_settings_ok(&settings));
	for (int i = 0; i < 4; i++)
		CHECK(!fail_at(SECOND * i));
	CHECK(!succeed_at(SECOND * 4));
	CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 4));
	CHECK(fail_at(SECOND * 5));
	CHECK_INT(breaker.state, GA_BREAKER_OPEN);
	ga_breaker_counts(&breaker, &settings, SECOND * 5, &successes, &failures);
	CHECK_INT(failures, 5);
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 34));
	CHECK_INT(ga_breaker_retry_after_ns(&breaker, &settings, SECOND * 34), SECOND);

	/* three probes, no fourth; three successes close it */
	for (int i = 0; i < 3; i++)
		CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 35));
	CHECK_INT(breaker.state, GA_BREAKER_HALF_OPEN);
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 35));
	CHECK(!succeed_at(SECOND * 36));
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 36));
	CHECK(!succeed_at(SECOND * 36));
	CHECK(!succeed_at(SECOND * 36));
	CHECK_INT(breaker.state, GA_BREAKER_CLOSED);
	CHECK_INT(breaker.total_calls, 9);
}

static void
test_half_open(void)
{
	int64_t old;

	start();
	for (int i = 0; i < 5; i++)
		fail_at(0);
	old = breaker.generation;
	CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 30));
	/* a late result of a call of before moves nothing */
	CHECK(!ga_breaker_outcome(&breaker, &settings, SECOND * 31, false, old - 1, -1));
	CHECK_INT(breaker.state, GA_BREAKER_HALF_OPEN);
	/* one failed probe opens it again */
	CHECK(fail_at(SECOND * 32));
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 61));
	/* probes that never report return by themselves */
	for (int i = 0; i < 3; i++)
		CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 62));
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 91));
	CHECK_INT(ga_breaker_retry_after_ns(&breaker, &settings, SECOND * 91), SECOND);
	CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 92));
}

static void
test_window_and_rate(void)
{
	start();
	/* failures spread wider than the window never open it */
	for (int i = 0; i < 100; i++)
		CHECK(!fail_at(SECOND * 16 * i));
	start();
	settings.failure_rate = 0.5;
	settings.failure_threshold = 4;
	CHECK(!fail_at(0) && !fail_at(0) && !succeed_at(0));
	CHECK(fail_at(0));
	start();
	settings.slow_ns = SECOND;
	settings.failure_threshold = 1;
	CHECK(!ga_breaker_outcome(&breaker, &settings, 0, true, -1, SECOND - 1));
	CHECK(ga_breaker_outcome(&breaker, &settings, 0, true, -1, SECOND));
	settings.half_open_max_calls = GA_BREAKER_HALF_OPEN_MAX_CALLS + 1;
	CHECK(!ga_breaker_settings_ok(&settings));
}

static void
test_reopen(void)
{
	start();
	ga_breaker_reopen(&breaker, SECOND * 10, 77);
	CHECK(!ga_breaker_admit(&breaker, &settings, SECOND * 9));
	CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 10));
	ga_breaker_close(&breaker);
	CHECK(ga_breaker_admit(&breaker, &settings, SECOND * 10));
}

int
main(void)
{
	test_opens_and_closes();
	test_half_open();
	test_window_and_rate();
	test_reopen();
	return unit_done();
}
