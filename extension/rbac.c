/* SPDX-License-Identifier: PostgreSQL */
/*
 * Permissions: a principal's roles (named by token or mapping, plus those granted to its subject in
 * its tenant) closed over inheritance give a set of allowed and denied permissions; a denial wins,
 * system.admin implies the rest.
 *
 * The set of the last few principals is cached per backend and forgotten when a role table changes
 * (relcache invalidation, sent by the statement triggers of those tables, so that it is
 * transactional and reaches the own backend at the end of the command).
 */
#include "goldenarch/principal.h"

#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "goldenarch/audit.h"
#include "goldenarch/error.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "limits.h"
#include "rbac.h"

#define CACHED_PRINCIPALS 32
#define KEY_BYTES 512

typedef struct PermissionSet
{
	char key[KEY_BYTES]; /* hash key: kind, subject, tenant, roles */
	int n;
	char **permissions; /* '-x.y' denies */
} PermissionSet;

/*
 * What was last decided, found by the permission: a policy or a WHERE asks the same again for each
 * row. It counts for one principal in one generation of the identity tables.
 */
typedef struct Decision
{
	uint64 principal; /* 0: none */
	uint64 generation;
	uint64 snapshot; /* 0, or the one that it was read under and counts with */
	uint32 bytes;
	bool allowed;
	char permission[GA_PERMISSION_MAX_BYTES];
} Decision;
static Decision decisions[64];

static MemoryContext set_context;
static HTAB *sets;
static bool stale;

/* The tables identity is read from; a leaf is written directly only by a restore. */
static const char *const watched_names[] = {
    "roles",    "role_grants",   "role_grants_rows", "role_mappings", "role_mappings_rows",
    "jwt_keys", "revoked_tokens"};
static Oid watched[lengthof(watched_names)];
static int nwatched;
static uint64 catalog_changes;

static void
forget(void)
{
	stale = true;
	ga_principal_forget();
}

static void
on_relation_change(Datum arg, Oid relation)
{
	int i;

	(void) arg;
	for (i = 0; i < nwatched; i++)
		if (relation == watched[i] || !OidIsValid(relation))
		{
			forget();
			return;
		}
}

/* Roles, memberships, and the schema itself: it may have been dropped and made again. */
static void
on_catalog_change(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	nwatched = 0;
	catalog_changes++;
	forget();
}

/* The tables' oids. A catalog change that is heard on the way begins it again. */
static void
find_watched(void)
{
	Oid schema = get_namespace_oid("goldenarch", true);
	uint64 seen;

	do
	{
		Oid found[lengthof(watched_names)];

		seen = catalog_changes;
		if (!OidIsValid(schema))
			return;
		for (int i = 0; i < (int) lengthof(watched_names); i++)
			found[i] = get_relname_relid(watched_names[i], schema);
		memcpy(watched, found, sizeof(watched));
		nwatched = lengthof(watched_names);
		schema = get_namespace_oid("goldenarch", true);
	} while (seen != catalog_changes);
}

void
ga_rbac_watch(void)
{
	static bool watching;

	/* what others committed counts from now on; costs a memory read when there is nothing */
	AcceptInvalidationMessages();
	if (!watching)
	{
		CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, on_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_catalog_change, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, on_catalog_change, (Datum) 0);
		watching = true;
	}
	if (nwatched == 0)
		find_watched();
}

/* False when the principal has too many roles to be a key; it is then not cached. */
static bool
make_key(const GaPrincipal *who, char *key)
{
	StringInfoData text;
	int i;

	initStringInfo(&text);
	appendStringInfo(&text, "%d\x01%s\x01%s", who->kind, who->subject, who->tenant);
	for (i = 0; i < who->nroles; i++)
		appendStringInfo(&text, "\x01%s", who->roles[i]);
	if (text.len >= KEY_BYTES)
		return false;
	memset(key, 0, KEY_BYTES);
	memcpy(key, text.data, text.len);
	return true;
}

static char **
load_permissions(const GaPrincipal *who, int *n)
{
	static GaStmt closure = GA_READ(
	    "WITH RECURSIVE r(role) AS ("
	    "SELECT pg_catalog.unnest($1) "
	    "UNION SELECT g.role::pg_catalog.text FROM goldenarch.role_grants g "
	    "WHERE g.subject OPERATOR(pg_catalog.=) $2 AND g.tenant OPERATOR(pg_catalog.=) $3 AND $4 "
	    "UNION SELECT pg_catalog.unnest(d.inherits::pg_catalog.text[]) FROM r "
	    "JOIN goldenarch.roles d ON d.role OPERATOR(pg_catalog.=) r.role) "
	    "SELECT DISTINCT pg_catalog.unnest(d.permissions::pg_catalog.text[]) FROM r "
	    "JOIN goldenarch.roles d ON d.role OPERATOR(pg_catalog.=) r.role",
	    TEXTARRAYOID, TEXTOID, TEXTOID, BOOLOID);
	GaCall call;
	GaRows rows;
	char **permissions;
	uint64 row;
	bool latest;

	ga_enter_as(&call, &ga_system_principal);
	latest = ga_push_latest_snapshot();
	rows = ga_query(&closure, ga_text_array(who->roles, who->nroles), ga_text(who->subject),
	                ga_text(who->tenant), ga_bool(who->kind != GA_ANONYMOUS));
	if (latest)
		PopActiveSnapshot();
	else
		stale = true; /* true for now, not to be kept */
	permissions = MemoryContextAlloc(call.result_context, sizeof(char *) * (rows.count + 1));
	for (row = 0; row < rows.count; row++)
		permissions[row] = ga_row_text_present(&rows, row, 1);
	*n = (int) rows.count;
	ga_leave(&call);
	return permissions;
}

static void
reset_sets(void)
{
	HASHCTL control = {.keysize = KEY_BYTES, .entrysize = sizeof(PermissionSet)};

	if (set_context)
		MemoryContextDelete(set_context);
	set_context =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch permissions", ALLOCSET_SMALL_SIZES);
	control.hcxt = set_context;
	sets = hash_create("goldenarch permissions", CACHED_PRINCIPALS, &control,
	                   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	stale = false;
}

static char **
permissions_of(const GaPrincipal *who, int *n)
{
	char key[KEY_BYTES];
	PermissionSet *set;
	MemoryContext old;
	char **loaded;
	int count;
	int i;

	ga_rbac_watch();
	if (!sets || stale || hash_get_num_entries(sets) >= CACHED_PRINCIPALS)
		reset_sets();
	if (!make_key(who, key))
		return load_permissions(who, n);
	set = hash_search(sets, key, HASH_FIND, NULL);
	if (set)
	{
		*n = set->n;
		return set->permissions;
	}
	loaded = load_permissions(who, &count);
	*n = count;
	/* Loading may itself have processed an invalidation: then use the answer, do not keep it. */
	if (stale)
		return loaded;
	old = MemoryContextSwitchTo(set_context);
	set = hash_search(sets, key, HASH_ENTER, NULL);
	set->n = 0;
	set->permissions = palloc(sizeof(char *) * (count + 1));
	for (i = 0; i < count; i++)
		set->permissions[i] = pstrdup(loaded[i]);
	set->n = count;
	MemoryContextSwitchTo(old);
	return set->permissions;
}

static bool
judge(const GaPrincipal *who, const char *permission, size_t bytes)
{
	bool allowed = false;
	int n;
	char **held = permissions_of(who, &n);

	for (int i = 0; i < n; i++)
	{
		if (held[i][0] == '-' && strlen(held[i]) == bytes + 1 &&
		    memcmp(held[i] + 1, permission, bytes) == 0)
			return false;
		if ((strlen(held[i]) == bytes && memcmp(held[i], permission, bytes) == 0) ||
		    strcmp(held[i], "system.admin") == 0)
			allowed = true;
	}
	return allowed;
}

bool
ga_has_permission_n(const GaPrincipal *who, const char *permission, size_t bytes)
{
	uint64 now = ga_identity_generation();
	uint32 hash = (uint32) bytes;
	Decision *known;
	uint64 snapshot;
	bool allowed;

	if (who->kind == GA_SYSTEM)
		return true;
	if (bytes > GA_PERMISSION_MAX_BYTES || who->id == 0)
		return judge(who, permission, bytes);
	for (size_t i = 0; i < bytes; i++)
		hash = hash * 31 + (unsigned char) permission[i];
	known = &decisions[hash % lengthof(decisions)];
	if (known->principal == who->id && known->generation == now && known->bytes == bytes &&
	    memcmp(known->permission, permission, bytes) == 0 &&
	    (known->snapshot == 0 || known->snapshot == ga_snapshot_mark()))
		return known->allowed;
	allowed = judge(who, permission, bytes);
	/* what changed meanwhile is not remembered */
	snapshot = ga_snapshot_mark();
	if ((!stale || snapshot != 0) && now == ga_identity_generation())
	{
		known->principal = who->id;
		known->snapshot = stale ? snapshot : 0;
		known->generation = now;
		known->bytes = (uint32) bytes;
		known->allowed = allowed;
		memcpy(known->permission, permission, bytes);
	}
	return allowed;
}

bool
ga_has_permission(const GaPrincipal *who, const char *permission)
{
	return ga_has_permission_n(who, permission, strlen(permission));
}

void
ga_require_permission(const GaPrincipal *who, const char *permission)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = "permission.check",
	                   .resource_type = "permission",
	                   .resource_id = permission};

	if (ga_has_permission(who, permission))
		return;
	ga_count(GA_COUNT_DENIED);
	denial.message = psprintf("permission denied: \"%s\" is required", permission);
	denial.detail = who->kind == GA_ANONYMOUS
	                    ? psprintf("The caller is anonymous: PostgreSQL role \"%s\".",
	                               GetUserNameFromId(who->pg_role, false))
	                    : psprintf("The caller is \"%s\".", who->subject);
	denial.hint =
	    psprintf("goldenarch.explain_permission('%s') tells which roles give it.", permission);
	ga_deny(&denial);
}

void
ga_require_global(const GaPrincipal *who, const char *permission)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = "permission.check",
	                   .resource_type = "permission",
	                   .resource_id = permission};

	ga_require_permission(who, permission);
	if (who->tenant[0] == '\0')
		return;
	ga_count(GA_COUNT_DENIED);
	denial.message =
	    psprintf("permission denied: \"%s\" is required outside of any tenant", permission);
	denial.detail = psprintf("The caller is \"%s\" of tenant \"%s\".", who->subject, who->tenant);
	denial.hint = "What concerns every tenant is set by a caller that has none.";
	ga_deny(&denial);
}

/* AFTER STATEMENT trigger of every table that identity is read from. */
GA_FUNCTION(ga_roles_changed);
Datum
ga_roles_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("roles_changed must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
