/* SPDX-License-Identifier: PostgreSQL */
/*
 * Building a jsonb value in the current memory context, without text in between.
 *
 *	GaJson json;
 *
 *	ga_json_begin_object(&json);
 *	ga_json_text(&json, "status", status);       -- key null inside an array
 *	ga_json_begin_array_in(&json, "actions"); ... ga_json_end_array(&json);
 *	details = ga_json_end(&json);
 */
#ifndef GOLDENARCH_JSONBUILD_H
#define GOLDENARCH_JSONBUILD_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "goldenarch/compat.h"

typedef struct GaJson
{
	JsonbParseState *state;
	JsonbValue *result;
	bool array; /* the outermost is an array */
} GaJson;

extern GA_EXPORT void ga_json_begin_object(GaJson *json);
extern GA_EXPORT void ga_json_begin_array(GaJson *json);
extern GA_EXPORT Jsonb *ga_json_end(GaJson *json);

/* Members. key null: an element of the innermost array. A null value pointer is JSON null. */
extern GA_EXPORT void ga_json_text(GaJson *json, const char *key, const char *value);
/* bytes of UTF-8 without a zero byte */
extern GA_EXPORT void ga_json_text_n(GaJson *json, const char *key, const char *value,
                                     size_t bytes);
extern GA_EXPORT void ga_json_int8(GaJson *json, const char *key, int64 value);
/* NaN and the infinities, which JSON has not, become strings. */
extern GA_EXPORT void ga_json_numeric(GaJson *json, const char *key, Numeric value);
extern GA_EXPORT void ga_json_bool(GaJson *json, const char *key, bool value);
extern GA_EXPORT void ga_json_null(GaJson *json, const char *key);
extern GA_EXPORT void ga_json_timestamp(GaJson *json, const char *key, TimestampTz value);
extern GA_EXPORT void ga_json_jsonb(GaJson *json, const char *key, const Jsonb *value);
extern GA_EXPORT void ga_json_begin_object_in(GaJson *json, const char *key);
extern GA_EXPORT void ga_json_end_object(GaJson *json);
extern GA_EXPORT void ga_json_begin_array_in(GaJson *json, const char *key);
extern GA_EXPORT void ga_json_end_array(GaJson *json);

/* One flat object of text members: ga_json_pairs("role", role, "reason", reason, NULL). */
extern GA_EXPORT Jsonb *ga_json_pairs(const char *first_key, ...);

/* A member of an object as text (strings unquoted, others rendered); null where absent or null. */
extern GA_EXPORT char *ga_json_get_text(const Jsonb *object, const char *key);

#endif
