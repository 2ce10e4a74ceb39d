/* SPDX-License-Identifier: PostgreSQL */
/*
 * Debug points (see goldenarch/debug.h) and the movable clock: debug builds only.
 */
#include "goldenarch/compat.h"

#include <limits.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/debug.h"
#include "debug_point.h"

#ifdef GA_DEBUG

int ga_debug_clock_offset;
static char *debug_point;

void
ga_debug_define(void)
{
	DefineCustomStringVariable("goldenarch.debug_point", "Points at which this session stops.",
	                           NULL, &debug_point, "", PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("goldenarch.debug_clock_offset", "Added to the wall clock.", NULL,
	                        &ga_debug_clock_offset, 0, INT_MIN / 2, INT_MAX / 2, PGC_SUSET,
	                        GUC_UNIT_S, NULL, NULL, NULL);
}

static void
act(const char *name, const char *action)
{
	if (strncmp(action, "wait:", 5) == 0)
	{
		Datum key = Int64GetDatum(strtoll(action + 5, NULL, 10));

		DirectFunctionCall1(pg_advisory_lock_shared_int8, key);
		DirectFunctionCall1(pg_advisory_unlock_shared_int8, key);
	}
	else if (strncmp(action, "sleep:", 6) == 0)
		pg_usleep(strtol(action + 6, NULL, 10) * 1000L);
	else if (strncmp(action, "crash", 5) == 0)
		_exit(2);
	else if (strncmp(action, "error", 5) == 0)
		ereport(ERROR,
		        (errcode(ERRCODE_INTERNAL_ERROR), errmsg("debug point \"%s\" was hit", name)));
}

void
ga_debug_point(const char *name)
{
	const char *at = debug_point;
	size_t len = strlen(name);

	while (at && *at)
	{
		if (strncmp(at, name, len) == 0 && at[len] == '=')
		{
			act(name, at + len + 1);
			return;
		}
		at = strchr(at, ',');
		if (at)
			at++;
	}
}

#endif
