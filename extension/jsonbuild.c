/* SPDX-License-Identifier: PostgreSQL */
/* Building jsonb: see goldenarch/jsonbuild.h. */
#include "goldenarch/jsonbuild.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

static void
push(GaJson *json, JsonbIteratorToken token, JsonbValue *value)
{
	json->result = pushJsonbValue(&json->state, token, value);
}

static void
push_text_n(GaJson *json, JsonbIteratorToken token, const char *text, size_t bytes)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.len = (int) bytes;
	value.val.string.val = pnstrdup(text, bytes);
	push(json, token, &value);
}

static void
push_text(GaJson *json, JsonbIteratorToken token, const char *text)
{
	push_text_n(json, token, text, strlen(text));
}

/* Pushes the key, if there is one, and tells which token the value that follows takes. */
static JsonbIteratorToken
member(GaJson *json, const char *key)
{
	if (!key)
		return WJB_ELEM;
	push_text(json, WJB_KEY, key);
	return WJB_VALUE;
}

void
ga_json_begin_object(GaJson *json)
{
	*json = (GaJson){0};
	push(json, WJB_BEGIN_OBJECT, NULL);
}

void
ga_json_begin_array(GaJson *json)
{
	*json = (GaJson){.array = true};
	push(json, WJB_BEGIN_ARRAY, NULL);
}

Jsonb *
ga_json_end(GaJson *json)
{
	push(json, json->array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(json->result);
}

void
ga_json_null(GaJson *json, const char *key)
{
	JsonbIteratorToken token = member(json, key);
	JsonbValue value;

	value.type = jbvNull;
	push(json, token, &value);
}

void
ga_json_text(GaJson *json, const char *key, const char *value)
{
	if (value)
		push_text(json, member(json, key), value);
	else
		ga_json_null(json, key);
}

void
ga_json_text_n(GaJson *json, const char *key, const char *value, size_t bytes)
{
	push_text_n(json, member(json, key), value, bytes);
}

static void
push_numeric(GaJson *json, const char *key, Datum numeric)
{
	JsonbIteratorToken token = member(json, key);
	JsonbValue value;

	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(numeric);
	push(json, token, &value);
}

void
ga_json_int8(GaJson *json, const char *key, int64 value)
{
	push_numeric(json, key, DirectFunctionCall1(int8_numeric, Int64GetDatum(value)));
}

void
ga_json_numeric(GaJson *json, const char *key, Numeric value)
{
	if (numeric_is_nan(value) || numeric_is_inf(value))
		ga_json_text(json, key,
		             DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value))));
	else
		push_numeric(json, key, NumericGetDatum(value));
}

void
ga_json_bool(GaJson *json, const char *key, bool boolean)
{
	JsonbIteratorToken token = member(json, key);
	JsonbValue value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	push(json, token, &value);
}

void
ga_json_timestamp(GaJson *json, const char *key, TimestampTz value)
{
	char buffer[MAXDATELEN + 1];

	JsonEncodeDateTime(buffer, TimestampTzGetDatum(value), TIMESTAMPTZOID, NULL);
	ga_json_text(json, key, buffer);
}

/* Copies a whole value by its tokens; a scalar is stored as an array of one. */
static void
push_container(GaJson *json, JsonbIteratorToken first, const Jsonb *source)
{
	JsonbIterator *it = JsonbIteratorInit((JsonbContainer *) &source->root);
	JsonbValue value;
	JsonbIteratorToken token;
	bool scalar = JB_ROOT_IS_SCALAR(source);

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (scalar)
		{
			if (token == WJB_ELEM)
				push(json, first, &value);
		}
		else
			push(json, token, token < WJB_BEGIN_ARRAY ? &value : NULL);
	}
}

void
ga_json_jsonb(GaJson *json, const char *key, const Jsonb *value)
{
	if (!value)
		ga_json_null(json, key);
	else
		push_container(json, member(json, key), value);
}

void
ga_json_begin_object_in(GaJson *json, const char *key)
{
	(void) member(json, key);
	push(json, WJB_BEGIN_OBJECT, NULL);
}

void
ga_json_end_object(GaJson *json)
{
	push(json, WJB_END_OBJECT, NULL);
}

void
ga_json_begin_array_in(GaJson *json, const char *key)
{
	(void) member(json, key);
	push(json, WJB_BEGIN_ARRAY, NULL);
}

void
ga_json_end_array(GaJson *json)
{
	push(json, WJB_END_ARRAY, NULL);
}

Jsonb *
ga_json_pairs(const char *first_key, ...)
{
	GaJson json;
	const char *key = first_key;
	va_list args;

	ga_json_begin_object(&json);
	va_start(args, first_key);
	while (key)
	{
		ga_json_text(&json, key, va_arg(args, const char *));
		key = va_arg(args, const char *);
	}
	va_end(args);
	return ga_json_end(&json);
}

char *
ga_json_get_text(const Jsonb *object, const char *key)
{
	JsonbValue *value;

	if (!object || !JB_ROOT_IS_OBJECT(object))
		return NULL;
	value = getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, strlen(key), NULL);
	if (!value || value->type == jbvNull)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	return JsonbToCString(NULL, &JsonbValueToJsonb(value)->root, 0);
}
