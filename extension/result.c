/* SPDX-License-Identifier: PostgreSQL */
/*
 * Results of SQL functions: one row, or a set in a materialized tuplestore. The row types belong to
 * the bootstrap superuser, so nobody can alter one under a C result; counts are checked anyway.
 */
#include "goldenarch/query.h"

#include "access/htup_details.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"

Datum
ga_return_record(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int n)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != n)
		elog(ERROR, "result is not a row of %d columns", n);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

void
ga_set_begin(FunctionCallInfo fcinfo)
{
	TupleDesc desc;
	Oid type;

	InitMaterializedSRF(fcinfo, get_call_result_type(fcinfo, &type, &desc) == TYPEFUNC_SCALAR
	                                ? MAT_SRF_USE_EXPECTED_DESC
	                                : 0);
}

void
ga_set_add(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void
ga_set_add_rows(FunctionCallInfo fcinfo, const GaRows *rows)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int n = result->setDesc->natts;
	Datum *values = palloc(sizeof(Datum) * n);
	bool *nulls = palloc(sizeof(bool) * n);
	uint64 row;
	int col;

	if (rows->count > 0 && rows->table->tupdesc->natts != n)
		elog(ERROR, "result of %d columns where %d are declared", rows->table->tupdesc->natts, n);
	for (row = 0; row < rows->count; row++)
	{
		for (col = 0; col < n; col++)
		{
			if (TupleDescAttr(rows->table->tupdesc, col)->atttypid !=
			    TupleDescAttr(result->setDesc, col)->atttypid)
				elog(ERROR, "column %d of the result has another type than declared", col + 1);
			values[col] =
			    heap_getattr(rows->table->vals[row], col + 1, rows->table->tupdesc, &nulls[col]);
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
