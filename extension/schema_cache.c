/* SPDX-License-Identifier: PostgreSQL */
/*
 * Compiled schemas of this backend, least recently used first out, bounded by number and bytes.
 *
 * A program is keyed by what it was compiled from: the id of a registered version, which never
 * changes its content, or the bytes of a schema given as a value, compared whole. Only the map from
 * name to current version can go stale; a trigger of the table sends its relcache invalidation,
 * which reaches every backend with the commit and this one at the end of the command, and
 * then map and registered programs are dropped.
 */
#include "schema_cache.h"

#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "limits.h"
#include "reply.h"

typedef struct Entry
{
	uint32 hash;
	int64 version_id; /* 0: keyed by text */
	char *text;
	Size bytes;
	uint64 used;
	GaSchema *schema; /* null: free */
	MemoryContext context;
} Entry;

typedef struct Current
{
	char name[GA_SCHEMA_NAME_MAX_BYTES + 1];
	int64 version_id;
} Current;

static Entry entries[GA_SCHEMA_CACHE_ENTRIES];
static uint64 clock_hand;
static HTAB *current;
static Oid watched = InvalidOid;
static bool stale;

static void
drop_entry(Entry *entry)
{
	if (entry->schema == NULL)
		return;
	entry->schema = NULL;
	MemoryContextDelete(entry->context);
}

static void
on_relation_change(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == watched || !OidIsValid(relation))
		stale = true;
}

/* Dropping happens here, not in the callback, which may come while a program runs. */
static void
start_lookup(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
		registered = true;
	}
	if (stale)
	{
		for (int i = 0; i < GA_SCHEMA_CACHE_ENTRIES; i++)
		{
			if (entries[i].version_id != 0)
				drop_entry(&entries[i]);
		}
		if (current != NULL)
			hash_destroy(current);
		current = NULL;
		stale = false;
	}
}

static Entry *
find_entry(uint32 hash, int64 version_id, const char *text, Size bytes)
{
	for (int i = 0; i < GA_SCHEMA_CACHE_ENTRIES; i++)
	{
		Entry *entry = &entries[i];

		if (entry->schema != NULL && entry->hash == hash && entry->version_id == version_id &&
		    entry->bytes == bytes && (bytes == 0 || memcmp(entry->text, text, bytes) == 0))
		{
			entry->used = ++clock_hand;
			return entry;
		}
	}
	return NULL;
}

/* A free entry, made by dropping what was used longest ago. */
static Entry *
free_entry(Size wanted)
{
	Size total = wanted;
	Entry *oldest;

	for (;;)
	{
		Entry *empty = NULL;

		total = wanted;
		oldest = NULL;
		for (int i = 0; i < GA_SCHEMA_CACHE_ENTRIES; i++)
		{
			Entry *entry = &entries[i];

			if (entry->schema == NULL)
			{
				empty = entry;
				continue;
			}
			total += MemoryContextMemAllocated(entry->context, true);
			if (oldest == NULL || entry->used < oldest->used)
				oldest = entry;
		}
		if (oldest == NULL || (empty != NULL && total <= GA_SCHEMA_CACHE_MAX_BYTES))
			return empty;
		drop_entry(oldest);
	}
}

static const GaSchema *
keep(uint32 hash, int64 version_id, const char *text, Size bytes, GaSchema *schema,
     MemoryContext context)
{
	Entry *entry = free_entry(MemoryContextMemAllocated(context, true));
	char *copy = bytes == 0 ? NULL : MemoryContextAllocHuge(context, bytes);

	if (bytes > 0)
		memcpy(copy, text, bytes);
	MemoryContextSetParent(context, CacheMemoryContext);
	*entry = (Entry){hash, version_id, copy, bytes, ++clock_hand, schema, context};
	return schema;
}

void
ga_schema_refused(const GaSchemaFault *fault)
{
	const char *where = fault->pointer[0] == '\0' ? "/" : fault->pointer;

	if (fault->unsupported)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		                errmsg("the JSON schema needs what this version does not check"),
		                errdetail("At %s: %s.", where, fault->message),
		                errhint("A schema is checked whole or refused, never in part.")));
	ereport(ERROR,
	        (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the JSON schema is not valid"),
	         errdetail("At %s: %s.", where, fault->message)));
}

static GaSchema *
compile(MemoryContext *context, const Jsonb *schema, const char *name, GaSchemaLoader loader,
        void *loader_context)
{
	GaSchemaFault fault;
	GaSchema *program;

	*context =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch schema", ALLOCSET_DEFAULT_SIZES);
	program = ga_schema_compile(*context, schema, name, loader, loader_context, &fault);
	if (program == NULL)
		ga_schema_refused(&fault);
	return program;
}

const GaSchema *
ga_schema_of_json(const char *text, Size bytes)
{
	static Entry *last = NULL; /* a query asks for the same schema row after row */
	uint32 hash;
	Entry *entry;
	GaReply reply;
	GaSchema *program;
	MemoryContext context;

	start_lookup();
	if (last != NULL && last->schema != NULL && last->version_id == 0 && last->bytes == bytes &&
	    memcmp(last->text, text, bytes) == 0)
	{
		last->used = ++clock_hand;
		return last->schema;
	}
	hash = hash_bytes((const unsigned char *) text, (int) bytes);
	entry = find_entry(hash, 0, text, bytes);
	if (entry != NULL)
	{
		last = entry;
		return entry->schema;
	}
	ga_reply_strict(&reply, text, bytes);
	if (reply.value == NULL)
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the JSON schema is not valid"),
		         errdetail("At byte %zu: %s.", reply.fault.offset, reply.fault.message)));
	program = compile(&context, reply.value, "", NULL, NULL);
	return keep(hash, 0, text, bytes, program, context);
}

/* What a stored version may refer to was fixed when it was registered. */
static const Jsonb *
load_pinned(void *context, const char *uri)
{
	static GaStmt by_id = GA_READ("SELECT s.schema::pg_catalog.jsonb FROM goldenarch.schemas s "
	                              "WHERE s.id OPERATOR(pg_catalog.=) $1",
	                              INT8OID);
	char *id = ga_json_get_text(context, uri);
	GaRows rows;

	if (id == NULL)
		return NULL;
	rows = ga_query(&by_id, ga_int8(pg_strtoint64(id)));
	return rows.count == 0 ? NULL : ga_row_jsonb_present(&rows, 0, 1);
}

static int64
current_version(const char *name)
{
	static GaStmt find =
	    GA_READ("SELECT s.id::pg_catalog.int8 FROM goldenarch.schemas s "
	            "WHERE s.name OPERATOR(pg_catalog.=) $1 ORDER BY s.version DESC LIMIT 1",
	            TEXTOID);
	HASHCTL control = {.keysize = GA_SCHEMA_NAME_MAX_BYTES + 1, .entrysize = sizeof(Current)};
	Current *known = NULL;
	GaRows rows;
	int64 id;

	if (strlen(name) > GA_SCHEMA_NAME_MAX_BYTES)
		return 0;
	if (current != NULL)
		known = hash_search(current, name, HASH_FIND, NULL);
	if (known != NULL)
		return known->version_id;
	watched = get_relname_relid("schemas", get_namespace_oid("goldenarch", false));
	rows = ga_query(&find, ga_text(name));
	if (rows.count == 0)
		return 0;
	id = ga_row_int8(&rows, 0, 1);
	/* a change that arrived meanwhile must not be forgotten */
	if (stale)
		return id;
	if (current == NULL)
		current = hash_create("goldenarch schema names", 32, &control, HASH_ELEM | HASH_STRINGS);
	if (hash_get_num_entries(current) < GA_SCHEMA_NAMES_CACHED_MAX)
	{
		known = hash_search(current, name, HASH_ENTER, NULL);
		known->version_id = id;
	}
	return id;
}

const GaSchema *
ga_schema_registered(const char *name)
{
	static GaStmt load = GA_READ("SELECT s.schema::pg_catalog.jsonb, s.pins::pg_catalog.jsonb "
	                             "FROM goldenarch.schemas s WHERE s.id OPERATOR(pg_catalog.=) $1",
	                             INT8OID);
	MemoryContext before = CurrentMemoryContext; /* a query leaves another one current */
	int64 id;
	Entry *entry;
	GaRows rows;
	GaSchema *program;
	MemoryContext context;

	start_lookup();
	id = current_version(name);
	MemoryContextSwitchTo(before);
	entry = id == 0 ? NULL : find_entry((uint32) id, id, NULL, 0);
	if (entry != NULL)
		return entry->schema;
	if (id != 0)
		rows = ga_query(&load, ga_int8(id));
	if (id == 0 || rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("JSON schema \"%s\" is not registered", name),
		                errhint("Register it with goldenarch.register_schema().")));
	program = compile(&context, ga_row_jsonb_present(&rows, 0, 1), name, load_pinned,
	                  ga_row_jsonb_present(&rows, 0, 2));
	MemoryContextSwitchTo(before);
	return keep((uint32) id, id, NULL, 0, program, context);
}
