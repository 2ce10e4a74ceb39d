/* SPDX-License-Identifier: PostgreSQL */
/*
 * Shows what people cannot see. A hazardous character is replaced by its name in brackets; no word,
 * tag or sign is ever deleted, so nothing dangerous can be built by deleting, and honest text stays
 * as it is. The result is not "safe": for that a context has to be named.
 */
#include "sanitize.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "goldenarch/compat.h"
#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "hazard.h"
#include "limits.h"
#include "schema_program.h"

char *
ga_sanitize(const char *text, Size bytes, Size *shown_bytes)
{
	StringInfoData out;
	GaHazardScan scan;
	GaHazard hazard;
	Size copied = 0;

	initStringInfo(&out);
	ga_hazard_begin(&scan, text, bytes);
	while (ga_hazard_next(&scan, &hazard))
	{
		char shown[GA_HAZARD_SHOWN_MAX];
		Size length = ga_hazard_show(hazard.code, shown);

		CHECK_FOR_INTERRUPTS();
		appendBinaryStringInfo(&out, text + copied, (int) (hazard.offset - copied));
		appendBinaryStringInfo(&out, shown, (int) length);
		copied = hazard.offset + hazard.bytes;
	}
	appendBinaryStringInfo(&out, text + copied, (int) (bytes - copied));
	*shown_bytes = (Size) out.len;
	return out.data;
}

static text *
raw_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ga_bad_argument("raw", "It must not be null.");
	return PG_GETARG_TEXT_PP(0);
}

GA_FUNCTION(ga_sanitize_llm_response);
Datum
ga_sanitize_llm_response(PG_FUNCTION_ARGS)
{
	text *raw = raw_argument(fcinfo);
	Size bytes;
	char *shown = ga_sanitize(VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw), &bytes);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(shown, (int) bytes));
}

GA_FUNCTION(ga_sanitize_findings);
Datum
ga_sanitize_findings(PG_FUNCTION_ARGS)
{
	text *raw = raw_argument(fcinfo);
	GaHazardScan scan;
	GaHazard hazard;

	ga_set_begin(fcinfo);
	ga_hazard_begin(&scan, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw));
	while (ga_hazard_next(&scan, &hazard))
	{
		char shown[GA_HAZARD_SHOWN_MAX];
		Datum values[4];
		bool nulls[4] = {false};

		CHECK_FOR_INTERRUPTS();
		ga_hazard_show(hazard.code, shown);
		values[0] = CStringGetTextDatum(hazard.kind);
		values[1] = Int32GetDatum((int32) hazard.offset);
		values[2] = Int32GetDatum((int32) hazard.bytes);
		values[3] = CStringGetTextDatum(shown);
		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* Letters to lower case, what is neither letter nor digit to '_': ASCII only. */
static char *
metric_key(const Value *name)
{
	char *key = palloc(name->length + 1);

	for (uint32 i = 0; i < name->length; i++)
	{
		char c = name->at[i];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			c = '_';
		key[i] = c;
	}
	key[name->length] = '\0';
	return key;
}

static Numeric
clamped(const Value *number)
{
	Datum value = NumericGetDatum(value_numeric(number));
	Datum most = DirectFunctionCall1(int8_numeric, Int64GetDatum(INT64CONST(1000000000)));
	Datum least = DirectFunctionCall1(int8_numeric, Int64GetDatum(-INT64CONST(1000000000)));

	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, value, most)) > 0)
		value = most;
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, value, least)) < 0)
		value = least;
	return DatumGetNumeric(value);
}

/* A metric's value, or false where there is none to keep. */
static bool
metric_value(const Value *from, JsonbValue *to)
{
	switch ((ValueType) from->type)
	{
		case VALUE_NUMBER:
			to->type = jbvNumeric;
			to->val.numeric = clamped(from);
			return true;
		case VALUE_BOOL:
			to->type = jbvBool;
			to->val.boolean = from->truth;
			return true;
		case VALUE_STRING:
		{
			Size bytes;

			to->type = jbvString;
			to->val.string.val = ga_sanitize(from->at, from->length, &bytes);
			to->val.string.len =
			    pg_mbcharcliplen(to->val.string.val, (int) bytes, GA_METRIC_TEXT_MAX_CHARS);
			return true;
		}
		default:
			return false;
	}
}

GA_FUNCTION(ga_sanitize_metrics);
Datum
ga_sanitize_metrics(PG_FUNCTION_ARGS)
{
	JsonbParseState *state = NULL;
	JsonbValue *result;
	Value object;

	if (PG_ARGISNULL(0))
		ga_bad_argument("metrics", "It must not be null.");
	ga_value_of_jsonb(&object, PG_GETARG_JSONB_P(0));
	if (object.type != VALUE_OBJECT)
		ga_bad_argument("metrics", "It must be a JSON object.");
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint32 i = 0; i < object.length; i++)
	{
		JsonbValue key;
		JsonbValue member;
		Value name;
		Value value;

		CHECK_FOR_INTERRUPTS();
		ga_value_name(&object, i, &name);
		ga_value_child(&object, i, &value);
		if (!metric_value(&value, &member))
			continue;
		key.type = jbvString;
		key.val.string.val = metric_key(&name);
		key.val.string.len = (int) name.length;
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &member);
	}
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

GA_FUNCTION(ga_validate_agent_name);
Datum
ga_validate_agent_name(PG_FUNCTION_ARGS)
{
	text *name;
	const char *at;
	Size bytes;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	name = PG_GETARG_TEXT_PP(0);
	at = VARDATA_ANY(name);
	bytes = VARSIZE_ANY_EXHDR(name);
	if (bytes < 2 || bytes > 51 || !is_name_start(at[0]))
		PG_RETURN_BOOL(false);
	for (Size i = 1; i < bytes; i++)
	{
		if (!is_name_start(at[i]) && !(at[i] >= '0' && at[i] <= '9') && at[i] != '-')
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

GA_FUNCTION(ga_validate_task_id);
Datum
ga_validate_task_id(PG_FUNCTION_ARGS)
{
	text *id;
	const char *at;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	id = PG_GETARG_TEXT_PP(0);
	at = VARDATA_ANY(id);
	if (VARSIZE_ANY_EXHDR(id) != 36)
		PG_RETURN_BOOL(false);
	for (int i = 0; i < 36; i++)
	{
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? at[i] != '-'
		         : !((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'a' && at[i] <= 'f')))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
