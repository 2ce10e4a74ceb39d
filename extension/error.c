/* SPDX-License-Identifier: PostgreSQL */
/* Argument readers and the refusals every function shares: see goldenarch/error.h. */
#include "goldenarch/error.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "goldenarch/shmem.h"

void
ga_bad_argument(const char *name, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
	                errmsg("invalid value for argument \"%s\"", name), errdetail("%s", detail)));
}

static void
refuse_null(const char *name)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
	                errmsg("argument \"%s\" must not be null", name)));
}

char *
ga_arg_text_or_null(FunctionCallInfo fcinfo, int n, const char *name)
{
	char *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (value[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("argument \"%s\" must not be empty", name)));
	return value;
}

char *
ga_arg_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		refuse_null(name);
	return ga_arg_text_or_null(fcinfo, n, name);
}

char *
ga_arg_text_max(FunctionCallInfo fcinfo, int n, const char *name, size_t max, bool null_ok)
{
	char *value = null_ok ? ga_arg_text_or_null(fcinfo, n, name) : ga_arg_text(fcinfo, n, name);

	if (value != NULL && strlen(value) > max)
		ga_bad_argument(name, psprintf("It may have at most %zu bytes.", max));
	return value;
}

static void
check_range(const char *name, int64 value, int64 min, int64 max)
{
	if (value < min || value > max)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("argument \"%s\" is out of range", name),
		                errdetail("%lld is not between %lld and %lld.", (long long) value,
		                          (long long) min, (long long) max)));
}

int64
ga_arg_int8(FunctionCallInfo fcinfo, int n, const char *name, int64 min, int64 max)
{
	int64 value;

	if (PG_ARGISNULL(n))
		refuse_null(name);
	value = PG_GETARG_INT64(n);
	check_range(name, value, min, max);
	return value;
}

int32
ga_arg_int4(FunctionCallInfo fcinfo, int n, const char *name, int32 min, int32 max)
{
	int32 value;

	if (PG_ARGISNULL(n))
		refuse_null(name);
	value = PG_GETARG_INT32(n);
	check_range(name, value, min, max);
	return value;
}

bool
ga_arg_bool(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		refuse_null(name);
	return PG_GETARG_BOOL(n);
}

int64
ga_arg_interval_us(FunctionCallInfo fcinfo, int n, const char *name, bool zero_ok)
{
	Interval *value;
	int64 us;

	if (PG_ARGISNULL(n))
		refuse_null(name);
	value = PG_GETARG_INTERVAL_P(n);
	if (value->month != 0)
		ga_bad_argument(name, "An interval with months or years has no fixed length.");
	/* Bounded far inside int64, so that adding it to a timestamp cannot overflow. */
	if (value->day < 0 || value->day > 36500 || value->time > 36500 * USECS_PER_DAY)
		ga_bad_argument(name, "The interval must be between zero and 100 years.");
	us = value->time + value->day * USECS_PER_DAY;
	if (us < 0 || (us == 0 && !zero_ok))
		ga_bad_argument(name, zero_ok ? "The interval must not be negative."
		                              : "The interval must be longer than zero.");
	return us;
}

char **
ga_arg_text_array(FunctionCallInfo fcinfo, int n, const char *name, bool null_ok, int *count)
{
	Datum *items;
	bool *nulls;
	char **result;
	int i;

	*count = 0;
	if (PG_ARGISNULL(n))
	{
		if (!null_ok)
			refuse_null(name);
		return NULL;
	}
	if (ARR_NDIM(PG_GETARG_ARRAYTYPE_P(n)) > 1)
		ga_bad_argument(name, "The array must have one dimension.");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls,
	                  count);
	result = palloc(sizeof(char *) * (*count + 1));
	for (i = 0; i < *count; i++)
	{
		if (nulls[i])
			ga_bad_argument(name, "The array must not hold a null.");
		result[i] = TextDatumGetCString(items[i]);
		if (result[i][0] == '\0')
			ga_bad_argument(name, "The array must not hold an empty string.");
	}
	result[*count] = NULL;
	return result;
}

void
ga_require_preload(const char *what)
{
	if (!ga_preloaded())
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("%s need goldenarch in shared_preload_libraries", what),
		         errdetail("They live in shared memory, which is reserved at server start."),
		         errhint("Add goldenarch to shared_preload_libraries and restart the server.")));
}

void
ga_require_writable(const char *function_name)
{
	PreventCommandDuringRecovery(function_name);
	PreventCommandIfReadOnly(function_name);
}
