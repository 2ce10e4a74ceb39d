/* SPDX-License-Identifier: PostgreSQL */
/*
 * The shipped shapes as SQL types: synthesis, patterns, consensus. The schema of that name, in its
 * current version, decides; a member that a newer version lets be something else than the type can
 * hold is rejected here, never read as what it is not.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "parse.h"
#include "schema_program.h"

/* One column: a member of the object, or null where it is absent or JSON null. */
static bool
member(const Value *object, const char *name, ValueType type, Value *value)
{
	if (ga_value_find(object, name, strlen(name), value) < 0 || value->type == VALUE_NULL)
		return false;
	if (value->type != type)
		ga_parse_reject(psprintf("/%s", name), "type", "the value does not fit its SQL type");
	return true;
}

static Datum
text_member(const Value *object, const char *name, bool *isnull)
{
	Value value;

	*isnull = !member(object, name, VALUE_STRING, &value);
	return *isnull ? (Datum) 0
	               : PointerGetDatum(cstring_to_text_with_len(value.at, (int) value.length));
}

static Datum
float_member(const Value *object, const char *name, double absent, bool *isnull)
{
	Value value;

	*isnull = false;
	if (!member(object, name, VALUE_NUMBER, &value))
		return Float8GetDatum(absent);
	return DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value_numeric(&value)));
}

static Datum
int_member(const Value *object, const char *name, bool *isnull)
{
	Value value;
	bool overflow = false;
	int32 number = 0;

	*isnull = !member(object, name, VALUE_NUMBER, &value);
	if (!*isnull)
		number = numeric_int4_opt_error(value_numeric(&value), &overflow);
	if (overflow || (!*isnull && !ga_value_is_integer(&value)))
		ga_parse_reject(psprintf("/%s", name), "type", "the value does not fit its SQL type");
	return Int32GetDatum(number);
}

static Datum
texts_member(const Value *object, const char *name, bool *isnull)
{
	ArrayBuildState *out;
	Value list;
	Walk walk;

	*isnull = false;
	if (!member(object, name, VALUE_ARRAY, &list))
		return PointerGetDatum(construct_empty_array(TEXTOID));
	out = initArrayResult(TEXTOID, CurrentMemoryContext, true);
	walk = walk_array(&list);
	for (uint32 i = 0; i < list.length; i++)
	{
		Value item;

		walk_next(&walk, &item);
		if (item.type != VALUE_STRING)
			ga_parse_reject(psprintf("/%s/%u", name, i), "type",
			                "the value does not fit its SQL type");
		accumArrayResult(out, PointerGetDatum(cstring_to_text_with_len(item.at, (int) item.length)),
		                 false, TEXTOID, CurrentMemoryContext);
	}
	return makeArrayResult(out, CurrentMemoryContext);
}

/* The reply as the registered schema approves it, in the caller's context. */
static Value
approved(FunctionCallInfo fcinfo, const char *schema_name, ValueType type)
{
	GaCall call;
	text *raw;
	Value root;

	ga_enter(&call, "llm.parse");
	if (PG_ARGISNULL(0))
		ga_bad_argument("raw", "It must not be null.");
	MemoryContextSwitchTo(call.result_context);
	raw = PG_GETARG_TEXT_PP(0);
	ga_value_of_jsonb(&root,
	                  ga_parse_or_raise(schema_name, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw)));
	ga_leave(&call);
	if (root.type != type)
		ga_parse_reject("", "type", "the value does not fit its SQL type");
	return root;
}

/*
 * A row type whose first "n" columns have these types; the catalog's word is checked, not
 * trusted.
 */
static TupleDesc
row_type(Oid type, const Oid *columns, int n)
{
	TupleDesc row = lookup_rowtype_tupdesc_copy(type, -1);

	if (row->natts != n)
		elog(ERROR, "row type %u has %d columns instead of %d", type, row->natts, n);
	for (int i = 0; i < n; i++)
	{
		if (TupleDescAttr(row, i)->atttypid != columns[i])
			elog(ERROR, "column %d of row type %u has another type", i + 1, type);
	}
	return row;
}

/* The actions of a plan as an array of the row type that the result declares. */
static Datum
plan_array(const Value *plan, Oid item_type)
{
	static const Oid columns[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	TupleDesc row = row_type(item_type, columns, lengthof(columns));
	ArrayBuildState *out = initArrayResult(item_type, CurrentMemoryContext, true);
	Walk walk = walk_array(plan);

	for (uint32 i = 0; i < plan->length; i++)
	{
		Datum values[4];
		bool nulls[4];
		Value action;

		walk_next(&walk, &action);
		if (action.type != VALUE_OBJECT)
			ga_parse_reject(psprintf("/action_plan/%u", i), "type",
			                "the value does not fit its SQL type");
		values[0] = int_member(&action, "priority", &nulls[0]);
		values[1] = text_member(&action, "type", &nulls[1]);
		values[2] = text_member(&action, "issue", &nulls[2]);
		values[3] = text_member(&action, "agent", &nulls[3]);
		accumArrayResult(out, HeapTupleGetDatum(heap_form_tuple(row, values, nulls)), false,
		                 item_type, CurrentMemoryContext);
	}
	return makeArrayResult(out, CurrentMemoryContext);
}

GA_FUNCTION(ga_safe_parse_synthesis);
Datum
ga_safe_parse_synthesis(PG_FUNCTION_ARGS)
{
	Value root = approved(fcinfo, "synthesis", VALUE_OBJECT);
	Value plan = {.type = VALUE_ARRAY};
	Datum values[2];
	bool nulls[2] = {false};
	TupleDesc row;
	Oid item_type = InvalidOid;

	if (get_call_result_type(fcinfo, NULL, &row) == TYPEFUNC_COMPOSITE && row->natts == 2)
		item_type = get_element_type(TupleDescAttr(row, 1)->atttypid);
	if (!OidIsValid(item_type) || TupleDescAttr(row, 0)->atttypid != TEXTOID)
		elog(ERROR, "type synthesis does not have its shape");
	values[0] = text_member(&root, "synthesis_reasoning", &nulls[0]);
	if (member(&root, "action_plan", VALUE_ARRAY, &plan))
		values[1] = plan_array(&plan, item_type);
	else
		nulls[1] = true;
	return ga_return_record(fcinfo, values, nulls, 2);
}

GA_FUNCTION(ga_safe_parse_patterns);
Datum
ga_safe_parse_patterns(PG_FUNCTION_ARGS)
{
	Value root = approved(fcinfo, "patterns", VALUE_ARRAY);
	Walk walk = walk_array(&root);

	ga_set_begin(fcinfo);
	for (uint32 i = 0; i < root.length; i++)
	{
		Datum values[5];
		bool nulls[5];
		Value item;

		walk_next(&walk, &item);
		if (item.type != VALUE_OBJECT)
			ga_parse_reject(psprintf("/%u", i), "type", "the value does not fit its SQL type");
		values[0] = text_member(&item, "pattern_type", &nulls[0]);
		values[1] = text_member(&item, "root_cause", &nulls[1]);
		values[2] = text_member(&item, "suggested_fix", &nulls[2]);
		values[3] = texts_member(&item, "agents_involved", &nulls[3]);
		values[4] = float_member(&item, "confidence", 0.5, &nulls[4]);
		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

GA_FUNCTION(ga_safe_parse_consensus);
Datum
ga_safe_parse_consensus(PG_FUNCTION_ARGS)
{
	Value root = approved(fcinfo, "consensus", VALUE_OBJECT);
	Datum values[4];
	bool nulls[4];

	values[0] = text_member(&root, "decision", &nulls[0]);
	values[1] = float_member(&root, "confidence", 0.5, &nulls[1]);
	values[2] = text_member(&root, "reasoning", &nulls[2]);
	values[3] = texts_member(&root, "concerns", &nulls[3]);
	return ga_return_record(fcinfo, values, nulls, 4);
}
