/* SPDX-License-Identifier: PostgreSQL */
/*
 * gcra.c: see gcra.h. All arithmetic saturates, so that neither a hostile cost nor a clock that
 * jumped can wrap a limit open.
 */
#include "gcra.h"

#include <string.h>

#define NS_PER_SECOND INT64_C(1000000000)

static int64_t
add_saturating(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

static int64_t
mul_saturating(int64_t a, int64_t b)
{
	int64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return (a > 0) == (b > 0) ? INT64_MAX : INT64_MIN;
	return product;
}

static bool
match_unit(const char *text, size_t bytes, int64_t *period_ns)
{
	static const struct
	{
		const char *name;
		int64_t seconds;
	} units[] = {
	    {"s", 1},        {"sec", 1},     {"second", 1},   {"seconds", 1},  {"m", 60},
	    {"min", 60},     {"minute", 60}, {"minutes", 60}, {"h", 3600},     {"hour", 3600},
	    {"hours", 3600}, {"d", 86400},   {"day", 86400},  {"days", 86400},
	};
	char lower[8];

	if (bytes == 0 || bytes >= sizeof(lower))
		return false;
	for (size_t i = 0; i < bytes; i++)
		lower[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
	lower[bytes] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strcmp(lower, units[i].name) == 0)
		{
			*period_ns = units[i].seconds * NS_PER_SECOND;
			return true;
		}
	}
	return false;
}

static void
trim(const char **text, size_t *bytes)
{
	while (*bytes > 0 && **text == ' ')
	{
		(*text)++;
		(*bytes)--;
	}
	while (*bytes > 0 && (*text)[*bytes - 1] == ' ')
		(*bytes)--;
}

bool
ga_rate_parse(const char *text, size_t bytes, int64_t *count, int64_t *period_ns)
{
	const char *slash = memchr(text, '/', bytes);
	const char *unit;
	size_t number_bytes;
	size_t unit_bytes;

	if (slash == NULL)
		return false;
	number_bytes = (size_t) (slash - text);
	unit = slash + 1;
	unit_bytes = bytes - number_bytes - 1;
	trim(&text, &number_bytes);
	trim(&unit, &unit_bytes);
	if (number_bytes == 0 || number_bytes > 10)
		return false;
	*count = 0;
	for (size_t i = 0; i < number_bytes; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		*count = *count * 10 + (text[i] - '0');
	}
	return *count > 0 && match_unit(unit, unit_bytes, period_ns);
}

bool
ga_rate_make(int64_t count, int64_t period_ns, int64_t burst, GaRate *rate)
{
	if (count < 1 || period_ns < 1 || burst < 0)
		return false;
	rate->interval_ns = period_ns / count + (period_ns % count != 0);
	rate->burst = burst > 0 ? burst : count;
	return true;
}

GaGcraDecision
ga_gcra(const GaRate *rate, int64_t tat, int64_t now, int64_t cost)
{
	GaGcraDecision decision = {.tat = tat};
	int64_t base = tat > now ? tat : now;
	int64_t window = mul_saturating(rate->burst, rate->interval_ns);
	int64_t next = add_saturating(base, mul_saturating(cost, rate->interval_ns));
	int64_t room;

	decision.never = cost < 0 || cost > rate->burst;
	decision.allowed = !decision.never && next <= add_saturating(now, window);
	if (decision.allowed && cost > 0)
		decision.tat = next;
	else if (!decision.allowed && !decision.never)
		decision.retry_after_ns = add_saturating(next, -add_saturating(now, window));

	decision.reset_after_ns = decision.tat > now ? add_saturating(decision.tat, -now) : 0;
	room = window - decision.reset_after_ns;
	decision.remaining = room > 0 ? room / rate->interval_ns : 0;
	return decision;
}

int64_t
ga_gcra_correct(const GaRate *rate, int64_t tat, int64_t now, int64_t units)
{
	int64_t base = tat > now ? tat : now;
	int64_t next = add_saturating(base, mul_saturating(units, rate->interval_ns));

	/* what is given back never makes a key richer than an idle one */
	return next > now ? next : now;
}
