/* SPDX-License-Identifier: PostgreSQL */
/*
 * with_breaker(): a query of the caller's behind a circuit breaker. The query runs as the caller,
 * outside the switch of user; its error is recorded in shared memory before it goes on, so that the
 * rollback it causes cannot take the record back.
 */
#include "goldenarch/query.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "limiters.h"

/* The row as a jsonb object, keyed by column name. */
static void
add_row(HeapTuple row, TupleDesc desc, void *arg)
{
	FunctionCallInfo fcinfo = arg;
	TupleDesc blessed = BlessTupleDesc(CreateTupleDescCopy(desc));
	Datum record = heap_copy_tuple_as_datum(row, blessed);
	Datum json = DirectFunctionCall1(row_to_json, record);
	Datum values[1];
	bool nulls[1] = {false};

	values[0] = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
	ga_set_add(fcinfo, values, nulls);
}

GA_FUNCTION(ga_with_breaker);
Datum
ga_with_breaker(PG_FUNCTION_ARGS)
{
	GaBreakerUse use;
	Jsonb *params;
	char *query;
	int64 start;

	ga_breaker_begin(fcinfo, &use);
	query = ga_arg_text(fcinfo, 1, "query");
	if (PG_ARGISNULL(2))
		ga_bad_argument("params", "It must not be null.");
	params = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_ARRAY(params) || JB_ROOT_IS_SCALAR(params))
		ga_bad_argument("params", "It is a JSON array of at most 1000 values.");
	ga_set_begin(fcinfo);
	ga_breaker_require(&use);
	start = ga_monotonic_ns();
	PG_TRY();
	{
		ga_query_as_caller(query, params, add_row, fcinfo);
	}
	PG_CATCH();
	{
		(void) ga_breaker_finish(&use, false, ga_monotonic_ns() - start);
		PG_RE_THROW();
	}
	PG_END_TRY();
	(void) ga_breaker_finish(&use, true, ga_monotonic_ns() - start);
	return (Datum) 0;
}
