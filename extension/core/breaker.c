/* SPDX-License-Identifier: PostgreSQL */
/*
 * breaker.c: see breaker.h. The window is ten slices of time, so an outcome counts for nine to ten
 * tenths of the window and never longer.
 */
#include "breaker.h"

#include <string.h>

#define NS_PER_SECOND INT64_C(1000000000)

const GaBreakerSettings ga_breaker_defaults = {.failure_threshold = 5,
                                               .half_open_max_calls = 3,
                                               .recovery_ns = 30 * NS_PER_SECOND,
                                               .window_ns = 60 * NS_PER_SECOND};

bool
ga_breaker_settings_ok(const GaBreakerSettings *settings)
{
	return settings->failure_threshold >= 1 && settings->half_open_max_calls >= 1 &&
	       settings->half_open_max_calls <= GA_BREAKER_HALF_OPEN_MAX_CALLS &&
	       settings->recovery_ns >= 1 && settings->window_ns >= GA_BREAKER_SLICES &&
	       settings->failure_rate >= 0 && settings->failure_rate <= 1 && settings->slow_ns >= 0;
}

static void
enter_state(GaBreaker *breaker, GaBreakerState state)
{
	breaker->state = state;
	breaker->generation++;
	breaker->successes = 0;
	breaker->permits = 0;
	memset(breaker->slices, 0, sizeof(breaker->slices));
}

void
ga_breaker_close(GaBreaker *breaker)
{
	enter_state(breaker, GA_BREAKER_CLOSED);
}

void
ga_breaker_reopen(GaBreaker *breaker, int64_t open_until_ns, int64_t opened_at_us)
{
	enter_state(breaker, GA_BREAKER_OPEN);
	breaker->open_until_ns = open_until_ns;
	breaker->opened_at_us = opened_at_us;
}

static void
drop_expired_permits(GaBreaker *breaker, int64_t now_ns)
{
	int32_t kept = 0;

	for (int32_t i = 0; i < breaker->permits; i++)
	{
		if (breaker->permit_until_ns[i] > now_ns)
			breaker->permit_until_ns[kept++] = breaker->permit_until_ns[i];
	}
	breaker->permits = kept;
}

bool
ga_breaker_admit(GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns)
{
	if (breaker->state == GA_BREAKER_CLOSED)
		return true;
	if (breaker->state == GA_BREAKER_OPEN)
	{
		if (now_ns < breaker->open_until_ns)
			return false;
		enter_state(breaker, GA_BREAKER_HALF_OPEN);
	}
	drop_expired_permits(breaker, now_ns);
	if (breaker->permits + breaker->successes >= settings->half_open_max_calls ||
	    breaker->permits >= GA_BREAKER_HALF_OPEN_MAX_CALLS)
		return false;
	breaker->permit_until_ns[breaker->permits++] = now_ns + settings->recovery_ns;
	return true;
}

/* Of the slices that still lie in the window. */
static void
window(const GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns, int64_t *calls,
       int64_t *failures)
{
	int64_t current = now_ns / (settings->window_ns / GA_BREAKER_SLICES);

	*calls = 0;
	*failures = 0;
	for (int i = 0; i < GA_BREAKER_SLICES; i++)
	{
		const GaBreakerSlice *slice = &breaker->slices[i];

		if (slice->index <= current - GA_BREAKER_SLICES || slice->index > current)
			continue;
		*calls += slice->calls;
		*failures += slice->failures;
	}
}

void
ga_breaker_counts(const GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns,
                  int64_t *successes, int64_t *failures)
{
	int64_t calls;

	window(breaker, settings, now_ns, &calls, failures);
	*successes = calls - *failures;
	if (breaker->state == GA_BREAKER_OPEN)
		*failures = breaker->opened_failures;
	else if (breaker->state == GA_BREAKER_HALF_OPEN)
		*successes = breaker->successes;
}

static void
count_in_window(GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns, bool ok)
{
	int64_t current = now_ns / (settings->window_ns / GA_BREAKER_SLICES);
	GaBreakerSlice *slice = &breaker->slices[current % GA_BREAKER_SLICES];

	if (slice->index != current)
		*slice = (GaBreakerSlice){.index = current};
	slice->calls++;
	slice->failures += ok ? 0 : 1;
}

static bool
must_open(GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns)
{
	int64_t calls;
	int64_t failures;

	window(breaker, settings, now_ns, &calls, &failures);
	breaker->opened_failures = failures;
	if (settings->failure_rate > 0)
		return calls >= settings->failure_threshold &&
		       (double) failures >= settings->failure_rate * (double) calls;
	return failures >= settings->failure_threshold;
}

bool
ga_breaker_outcome(GaBreaker *breaker, const GaBreakerSettings *settings, int64_t now_ns, bool ok,
                   int64_t generation, int64_t took_ns)
{
	if (settings->slow_ns > 0 && took_ns >= settings->slow_ns)
		ok = false;
	breaker->total_calls++;
	if (ok)
		breaker->total_successes++;
	else
		breaker->total_failures++;
	if (breaker->state == GA_BREAKER_OPEN || (generation >= 0 && generation != breaker->generation))
		return false;

	if (breaker->state == GA_BREAKER_CLOSED)
	{
		count_in_window(breaker, settings, now_ns, ok);
		if (ok || !must_open(breaker, settings, now_ns))
			return false;
	}
	else if (ok)
	{
		/* the permit that has the least time left is the one most likely to be this call's */
		if (breaker->permits > 0)
			memmove(breaker->permit_until_ns, breaker->permit_until_ns + 1,
			        sizeof(breaker->permit_until_ns[0]) * (size_t) --breaker->permits);
		if (++breaker->successes >= settings->half_open_max_calls)
			ga_breaker_close(breaker);
		return false;
	}
	else
		breaker->opened_failures = 1;
	enter_state(breaker, GA_BREAKER_OPEN);
	breaker->open_until_ns = now_ns + settings->recovery_ns;
	return true;
}

int64_t
ga_breaker_retry_after_ns(const GaBreaker *breaker, const GaBreakerSettings *settings,
                          int64_t now_ns)
{
	int64_t soonest = INT64_MAX;
	int32_t out = 0;

	if (breaker->state == GA_BREAKER_CLOSED)
		return 0;
	if (breaker->state == GA_BREAKER_OPEN)
		return breaker->open_until_ns > now_ns ? breaker->open_until_ns - now_ns : 0;
	for (int32_t i = 0; i < breaker->permits; i++)
	{
		if (breaker->permit_until_ns[i] <= now_ns)
			continue;
		out++;
		if (breaker->permit_until_ns[i] < soonest)
			soonest = breaker->permit_until_ns[i];
	}
	if (out + breaker->successes < settings->half_open_max_calls)
		return 0;
	return out > 0 ? soonest - now_ns : 0;
}
