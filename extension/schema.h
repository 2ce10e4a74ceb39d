/* SPDX-License-Identifier: PostgreSQL */
/*
 * schema.h: JSON Schema as the rest of the extension uses it: compile once, evaluate often.
 *
 * A GaSchema is immutable and lives in the memory context it was compiled into. Nothing here needs
 * a permission or touches a table, but what says so.
 */
#ifndef GA_SCHEMA_H
#define GA_SCHEMA_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct GaSchema GaSchema;

/* Finds the document a $ref names: jsonb that stays while compiling, or null. */
typedef const Jsonb *(*GaSchemaLoader)(void *context, const char *uri);

typedef struct GaSchemaFault
{
	const char *pointer; /* of the keyword, in the schema */
	const char *message;
	bool unsupported; /* a right schema, with something this version does not check yet */
} GaSchemaFault;

typedef struct GaSchemaError
{
	const char *instance_path; /* RFC 6901 */
	const char *schema_path;
	const char *keyword;
	const char *message; /* tells of the schema, never of the instance's values */
} GaSchemaError;

typedef struct GaSchemaErrors
{
	int count;
	bool capped; /* there are more */
	GaSchemaError *items;
} GaSchemaErrors;

/*
 * Null with *fault set where the schema is wrong or not supported; all in "context". name: the URI
 * it is known by, "" for none. loader null: $ref finds nothing but the schema itself.
 */
extern GaSchema *ga_schema_compile(MemoryContext context, const Jsonb *schema, const char *name,
                                   GaSchemaLoader loader, void *loader_context,
                                   GaSchemaFault *fault);

/* Whether an object (or array) may be valid, as far as the root's "type" tells. */
extern bool ga_schema_accepts_type(const GaSchema *schema, bool object);

/* What cannot be decided within the limits is invalid. */
extern bool ga_schema_valid(const GaSchema *schema, const Jsonb *instance);
extern GaSchemaErrors ga_schema_errors(const GaSchema *schema, const Jsonb *instance);

/*
 * The cached program of the current version of a registered schema: 42704 where there is none.
 * Inside ga_enter. Valid until the next call of a function of this file.
 */
extern const GaSchema *ga_schema_registered(const char *name);
/* The cached program of a schema given as a value; 22023 where it does not compile. */
extern const GaSchema *ga_schema_of_json(const char *text, size_t bytes);

#endif /* GA_SCHEMA_H */
