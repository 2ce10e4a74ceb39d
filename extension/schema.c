/* SPDX-License-Identifier: PostgreSQL */
/*
 * JSON Schema in SQL: the registry of named, versioned schemas, and the functions that check a
 * value against a schema given as a value (as pg_jsonschema has them) or by name.
 *
 * A version never changes. What its references mean is fixed with it: registering records which
 * version each reference found. Registrations are serialised by a lock on the table, which readers
 * do not feel. The four functions of a schema given as a value are pure; a duplicate member name in
 * a schema makes it wrong, and in an instance invalid, since readers differ on which one counts.
 */
#include "schema.h"

#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/memutils.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "limits.h"
#include "reply.h"
#include "schema_cache.h"

static text *
json_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ga_bad_argument(name, "It must not be null.");
	return PG_GETARG_TEXT_PP(n);
}

GA_FUNCTION(ga_jsonschema_is_valid);
Datum
ga_jsonschema_is_valid(PG_FUNCTION_ARGS)
{
	text *schema = json_argument(fcinfo, 0, "schema");
	GaReply reply;
	GaSchemaFault fault;
	MemoryContext context;
	bool ok;

	ga_reply_strict(&reply, VARDATA_ANY(schema), VARSIZE_ANY_EXHDR(schema));
	if (reply.value == NULL)
	{
		ereport(NOTICE, (errmsg("not a JSON schema: %s", reply.fault.message)));
		PG_RETURN_BOOL(false);
	}
	context =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch schema", ALLOCSET_DEFAULT_SIZES);
	ok = ga_schema_compile(context, reply.value, "", NULL, NULL, &fault) != NULL;
	if (!ok)
		ereport(NOTICE, (errmsg("not a JSON schema: at %s: %s",
		                        fault.pointer[0] == '\0' ? "/" : fault.pointer, fault.message)));
	MemoryContextDelete(context);
	PG_RETURN_BOOL(ok);
}

GA_FUNCTION(ga_json_matches_schema);
Datum
ga_json_matches_schema(PG_FUNCTION_ARGS)
{
	text *schema = json_argument(fcinfo, 0, "schema");
	text *instance = json_argument(fcinfo, 1, "instance");
	const GaSchema *program = ga_schema_of_json(VARDATA_ANY(schema), VARSIZE_ANY_EXHDR(schema));
	GaReply reply;

	ga_reply_strict(&reply, VARDATA_ANY(instance), VARSIZE_ANY_EXHDR(instance));
	PG_RETURN_BOOL(reply.value != NULL && ga_schema_valid(program, reply.value));
}

GA_FUNCTION(ga_jsonb_matches_schema);
Datum
ga_jsonb_matches_schema(PG_FUNCTION_ARGS)
{
	text *schema = json_argument(fcinfo, 0, "schema");

	if (PG_ARGISNULL(1))
		ga_bad_argument("instance", "It must not be null.");
	PG_RETURN_BOOL(ga_schema_valid(
	    ga_schema_of_json(VARDATA_ANY(schema), VARSIZE_ANY_EXHDR(schema)), PG_GETARG_JSONB_P(1)));
}

GA_FUNCTION(ga_jsonschema_validation_errors);
Datum
ga_jsonschema_validation_errors(PG_FUNCTION_ARGS)
{
	text *schema = json_argument(fcinfo, 0, "schema");
	text *instance = json_argument(fcinfo, 1, "instance");
	const GaSchema *program = ga_schema_of_json(VARDATA_ANY(schema), VARSIZE_ANY_EXHDR(schema));
	ArrayBuildState *out = initArrayResult(TEXTOID, CurrentMemoryContext, true);
	GaSchemaErrors errors = {0};
	GaReply reply;

	ga_reply_strict(&reply, VARDATA_ANY(instance), VARSIZE_ANY_EXHDR(instance));
	if (reply.value == NULL)
		accumArrayResult(out,
		                 CStringGetTextDatum(
		                     psprintf("%s at byte %zu", reply.fault.message, reply.fault.offset)),
		                 false, TEXTOID, CurrentMemoryContext);
	else
		errors = ga_schema_errors(program, reply.value);
	for (int i = 0; i < errors.count; i++)
		accumArrayResult(out,
		                 CStringGetTextDatum(psprintf("%s: %s", errors.items[i].instance_path,
		                                              errors.items[i].message)),
		                 false, TEXTOID, CurrentMemoryContext);
	PG_RETURN_DATUM(makeArrayResult(out, CurrentMemoryContext));
}

GA_FUNCTION(ga_validate_json);
Datum
ga_validate_json(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *name;
	bool ok;

	ga_enter(&call, NULL);
	name = ga_arg_text(fcinfo, 0, "schema_name");
	if (PG_ARGISNULL(1))
		ga_bad_argument("instance", "It must not be null.");
	ok = ga_schema_valid(ga_schema_registered(name), PG_GETARG_JSONB_P(1));
	ga_leave(&call);
	PG_RETURN_BOOL(ok);
}

GA_FUNCTION(ga_validation_errors);
Datum
ga_validation_errors(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *name;
	GaSchemaErrors errors;

	ga_enter(&call, NULL);
	name = ga_arg_text(fcinfo, 0, "schema_name");
	if (PG_ARGISNULL(1))
		ga_bad_argument("instance", "It must not be null.");
	MemoryContextSwitchTo(call.result_context);
	errors = ga_schema_errors(ga_schema_registered(name), PG_GETARG_JSONB_P(1));
	ga_leave(&call);
	ga_set_begin(fcinfo);
	for (int i = 0; i < errors.count; i++)
	{
		const GaSchemaError *error = &errors.items[i];
		Datum values[4] = {
		    CStringGetTextDatum(error->instance_path), CStringGetTextDatum(error->schema_path),
		    CStringGetTextDatum(error->keyword), CStringGetTextDatum(error->message)};
		bool nulls[4] = {false};

		ga_set_add(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* Collects, while compiling, which version each reference finds. */
typedef struct Pins
{
	int count;
	const char *uris[GA_SCHEMA_PINS_MAX];
	int64 ids[GA_SCHEMA_PINS_MAX];
} Pins;

static const Jsonb *
load_current(void *context, const char *uri)
{
	static GaStmt find = GA_STMT(
	    "SELECT s.id::pg_catalog.int8, s.schema::pg_catalog.jsonb FROM goldenarch.schemas s "
	    "WHERE s.name OPERATOR(pg_catalog.=) $1 OR s.uri OPERATOR(pg_catalog.=) $1 "
	    "ORDER BY (s.name OPERATOR(pg_catalog.=) $1) DESC, s.version DESC, s.id DESC LIMIT 1",
	    TEXTOID);
	Pins *pins = context;
	GaRows rows = ga_query(&find, ga_text(uri));

	if (rows.count == 0)
		return NULL;
	if (pins->count >= GA_SCHEMA_PINS_MAX)
		ereport(ERROR,
		        (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		         errmsg("the JSON schema refers to more than %d others", GA_SCHEMA_PINS_MAX)));
	pins->uris[pins->count] = pstrdup(uri);
	pins->ids[pins->count++] = ga_row_int8(&rows, 0, 1);
	return ga_row_jsonb_present(&rows, 0, 2);
}

/* Compiles to see that it can be; what it refers to comes back in *pins. */
static Jsonb *
check_schema(const char *name, const Jsonb *schema)
{
	MemoryContext context =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch schema", ALLOCSET_DEFAULT_SIZES);
	Pins *pins = palloc0(sizeof(Pins));
	GaSchemaFault fault;
	GaJson json;

	if (ga_schema_compile(context, schema, name, load_current, pins, &fault) == NULL)
		ga_schema_refused(&fault);
	MemoryContextDelete(context);
	ga_json_begin_object(&json);
	for (int i = 0; i < pins->count; i++)
		ga_json_int8(&json, pins->uris[i], pins->ids[i]);
	return ga_json_end(&json);
}

/* The version that already has this content and is current, or 0. */
static int32
same_version(const char *name, const Jsonb *schema, const Jsonb *pins)
{
	static GaStmt find =
	    GA_STMT("SELECT c.version::pg_catalog.int4, (c.schema OPERATOR(pg_catalog.=) $2 AND "
	            "c.pins OPERATOR(pg_catalog.=) $3)::pg_catalog.bool FROM goldenarch.schemas c "
	            "WHERE c.name OPERATOR(pg_catalog.=) $1 ORDER BY c.version DESC LIMIT 1",
	            TEXTOID, JSONBOID, JSONBOID);
	GaRows rows = ga_query(&find, ga_text(name), ga_jsonb(schema), ga_jsonb(pins));

	return rows.count > 0 && ga_row_bool(&rows, 0, 2) ? ga_row_int4(&rows, 0, 1) : 0;
}

static int32
insert_version(const char *name, const Jsonb *schema, const Jsonb *pins)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.schemas (id, name, version, uri, schema, pins, registered_by) "
	    "SELECT pg_catalog.nextval('goldenarch.schemas_id_seq'::pg_catalog.regclass), $1, "
	    "COALESCE((SELECT pg_catalog.max(s.version) FROM goldenarch.schemas s "
	    "WHERE s.name OPERATOR(pg_catalog.=) $1), 0) OPERATOR(pg_catalog.+) 1, $2, $3, $4, $5 "
	    "RETURNING version::pg_catalog.int4",
	    TEXTOID, TEXTOID, JSONBOID, JSONBOID, TEXTOID);
	GaRows rows = ga_query(&insert, ga_text(name), ga_text(ga_json_get_text(schema, "$id")),
	                       ga_jsonb(schema), ga_jsonb(pins), ga_text(ga_principal()->subject));

	return ga_row_int4(&rows, 0, 1);
}

GA_FUNCTION(ga_register_schema);
Datum
ga_register_schema(PG_FUNCTION_ARGS)
{
	GaCall call;
	char *name;
	Jsonb *schema;
	Jsonb *pins;
	int32 version;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("register_schema");
	name = ga_arg_text(fcinfo, 0, "name");
	if (PG_ARGISNULL(1))
		ga_bad_argument("schema", "It must not be null.");
	schema = PG_GETARG_JSONB_P(1);
	if (strlen(name) > GA_SCHEMA_NAME_MAX_BYTES)
		ga_bad_argument("name", "It must have at most 255 bytes.");
	if (VARSIZE(schema) > GA_SCHEMA_MAX_BYTES)
		ga_bad_argument("schema", "It must have at most 256 kB.");
	ga_execute("LOCK TABLE goldenarch.schemas IN SHARE ROW EXCLUSIVE MODE");
	pins = check_schema(name, schema);
	version = same_version(name, schema, pins);
	if (version == 0)
	{
		version = insert_version(name, schema, pins);
		ga_audit("schema.register", "schema", name,
		         ga_json_pairs("version", psprintf("%d", version), NULL));
	}
	ga_leave(&call);
	PG_RETURN_INT32(version);
}

/* AFTER STATEMENT trigger of the table of schemas. */
GA_FUNCTION(ga_schemas_changed);
Datum
ga_schemas_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("schemas_changed must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
