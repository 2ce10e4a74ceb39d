/* SPDX-License-Identifier: PostgreSQL */
/*
 * parse.h: a model's reply held against a registered schema.
 */
#ifndef GA_PARSE_H
#define GA_PARSE_H

#include "postgres.h"

#include "goldenarch/compat.h"

#include "utils/jsonb.h"

typedef struct GaParsed
{
	Jsonb *value;  /* null where the reply was rejected */
	Jsonb *errors; /* array of {pointer, code, message, offset, schema_path}; empty: none */
	Jsonb *edits;  /* array of {kind, offset, length}; empty: the reply was JSON as it stood */
	bool repaired;
} GaParsed;

/* Inside ga_enter. 42704 where the schema is not registered. Results in the current context. */
extern GaParsed ga_parse(const char *schema_name, const char *raw, Size bytes);

/* As ga_parse; a rejected reply is ZG005. */
extern Jsonb *ga_parse_or_raise(const char *schema_name, const char *raw, Size bytes);

/* ZG005 with this one reason. */
extern void ga_parse_reject(const char *pointer, const char *code, const char *message) GA_NORETURN;

#endif /* GA_PARSE_H */
