/* SPDX-License-Identifier: PostgreSQL */
/*
 * Model replies in SQL: extract_json, parse_llm, try_parse_llm. Order: strict reading (with
 * lossless repair), then the schema; jsonb, which would hide a duplicate member, comes only in
 * between. A rejected reply is counted, and each reason names its place in the value and in the
 * raw reply.
 */
#include "parse.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "reply.h"
#include "schema.h"

static void
add_reason(GaJson *json, const char *pointer, const char *code, const char *message, int64 offset,
           const char *schema_path)
{
	ga_json_begin_object_in(json, NULL);
	ga_json_text(json, "pointer", pointer);
	ga_json_text(json, "code", code);
	ga_json_text(json, "message", message);
	if (offset >= 0)
		ga_json_int8(json, "offset", offset);
	if (schema_path != NULL)
		ga_json_text(json, "schema_path", schema_path);
	ga_json_end_object(json);
}

static Jsonb *
fault_reasons(const GaJsonFault *fault)
{
	GaJson json;

	ga_json_begin_array(&json);
	add_reason(&json, fault->pointer, fault->code, fault->message, (int64) fault->offset, NULL);
	return ga_json_end(&json);
}

static Jsonb *
schema_reasons(const GaReply *reply, const GaSchemaErrors *errors)
{
	GaJson json;

	ga_json_begin_array(&json);
	for (int i = 0; i < errors->count; i++)
	{
		const GaSchemaError *error = &errors->items[i];

		add_reason(&json, error->instance_path, error->keyword, error->message,
		           (int64) ga_reply_offset(reply, error->instance_path), error->schema_path);
	}
	if (errors->capped)
		add_reason(&json, "", "more", "there are more errors", -1, NULL);
	return ga_json_end(&json);
}

static Jsonb *
list_edits(const GaReply *reply)
{
	GaJson json;

	ga_json_begin_array(&json);
	for (const GaJsonEdit *edit = reply->edits; edit != NULL; edit = edit->next)
	{
		ga_json_begin_object_in(&json, NULL);
		ga_json_text(&json, "kind", edit->kind);
		ga_json_int8(&json, "offset", edit->offset);
		ga_json_int8(&json, "length", edit->bytes);
		ga_json_end_object(&json);
	}
	return ga_json_end(&json);
}

static void
raise_rejected(Jsonb *reasons)
{
	ereport(ERROR, (errcode(GA_ERR_RESPONSE_REJECTED), errmsg("LLM response rejected"),
	                errdetail("%s", JsonbToCString(NULL, &reasons->root, VARSIZE(reasons))),
	                errhint("Ask the model again, with these reasons.")));
}

void
ga_parse_reject(const char *pointer, const char *code, const char *message)
{
	GaJson json;

	ga_json_begin_array(&json);
	add_reason(&json, pointer, code, message, -1, NULL);
	raise_rejected(ga_json_end(&json));
	pg_unreachable();
}

/* Which kinds of value the schema could accept: "[1]" in the prose is no answer to an object. */
static unsigned
wanted_kinds(const GaSchema *schema)
{
	return (ga_schema_accepts_type(schema, true) ? GA_REPLY_OBJECT : 0) |
	       (ga_schema_accepts_type(schema, false) ? GA_REPLY_ARRAY : 0);
}

GaParsed
ga_parse(const char *schema_name, const char *raw, Size bytes)
{
	const GaSchema *schema = ga_schema_registered(schema_name);
	GaParsed parsed = {0};
	GaSchemaErrors errors;
	GaReply reply;

	ga_reply_repair(&reply, raw, bytes, wanted_kinds(schema));
	parsed.edits = list_edits(&reply);
	parsed.repaired = reply.value != NULL && reply.edits != NULL;
	if (reply.value == NULL)
		parsed.errors = fault_reasons(&reply.fault);
	else
	{
		errors = ga_schema_errors(schema, reply.value);
		parsed.errors = schema_reasons(&reply, &errors);
		if (errors.count == 0)
			parsed.value = reply.value;
	}
	ga_count(parsed.value != NULL ? GA_COUNT_LLM_ACCEPTED : GA_COUNT_LLM_REJECTED);
	return parsed;
}

Jsonb *
ga_parse_or_raise(const char *schema_name, const char *raw, Size bytes)
{
	GaParsed parsed = ga_parse(schema_name, raw, bytes);

	if (parsed.value == NULL)
		raise_rejected(parsed.errors);
	return parsed.value;
}

static text *
raw_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ga_bad_argument("raw", "It must not be null.");
	return PG_GETARG_TEXT_PP(n);
}

GA_FUNCTION(ga_extract_json);
Datum
ga_extract_json(PG_FUNCTION_ARGS)
{
	text *raw = raw_argument(fcinfo, 0);
	GaReply reply;

	ga_reply_repair(&reply, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw),
	                GA_REPLY_OBJECT | GA_REPLY_ARRAY | GA_REPLY_FIRST);
	if (reply.value == NULL)
		raise_rejected(fault_reasons(&reply.fault));
	PG_RETURN_JSONB_P(reply.value);
}

GA_FUNCTION(ga_parse_llm);
Datum
ga_parse_llm(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *name;
	text *raw;
	Jsonb *value;

	ga_enter(&call, "llm.parse");
	name = ga_arg_text(fcinfo, 0, "schema_name");
	raw = raw_argument(fcinfo, 1);
	MemoryContextSwitchTo(call.result_context);
	value = ga_parse_or_raise(name, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw));
	ga_leave(&call);
	PG_RETURN_JSONB_P(value);
}

GA_FUNCTION(ga_try_parse_llm);
Datum
ga_try_parse_llm(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *name;
	text *raw;
	GaParsed parsed;
	Datum values[5];
	bool nulls[5] = {false};

	ga_enter(&call, "llm.parse");
	name = ga_arg_text(fcinfo, 0, "schema_name");
	raw = raw_argument(fcinfo, 1);
	MemoryContextSwitchTo(call.result_context);
	parsed = ga_parse(name, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw));
	ga_leave(&call);
	values[0] = BoolGetDatum(parsed.value != NULL);
	values[1] = JsonbPGetDatum(parsed.value);
	nulls[1] = parsed.value == NULL;
	values[2] = JsonbPGetDatum(parsed.errors);
	values[3] = BoolGetDatum(parsed.repaired);
	values[4] = JsonbPGetDatum(parsed.edits);
	return ga_return_record(fcinfo, values, nulls, 5);
}
