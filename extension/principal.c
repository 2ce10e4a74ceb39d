/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who calls: from the PostgreSQL role at our entry. Cached per backend and role; forgotten when a
 * mapping (relcache of role_mappings) or a role (pg_authid, pg_auth_members) changes. What was
 * handed out stays as it is to the end of the transaction, since a running call may hold it.
 */
#include "goldenarch/principal.h"

#include "access/parallel.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "goldenarch/error.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "identity.h"
#include "rbac.h"

static const char *no_roles[] = {NULL};
static const char *admin_roles[] = {"admin", NULL};
static const char *anonymous_roles[] = {"anonymous", NULL};

const GaPrincipal ga_system_principal = {.kind = GA_SYSTEM,
                                         .subject = "goldenarch",
                                         .tenant = "",
                                         .roles = no_roles,
                                         .expires_at = DT_NOEND};

typedef struct Entry
{
	struct Entry *next;
	GaPrincipal principal;
	uint64 generation; /* in date while it is the current one */
	uint64 snapshot;   /* and, where it was read under a snapshot, while that is still in use */
} Entry;

static MemoryContext cache_context;
static Entry *entries;
static uint64 generation = 1;
static bool outdated; /* some entry is */

void
ga_principal_forget(void)
{
	generation++;
	outdated = true;
}

uint64
ga_identity_generation(void)
{
	ga_rbac_watch();
	return generation;
}

uint64
ga_new_principal_id(void)
{
	static uint64 last = 1; /* of the anonymous principal */

	return ++last;
}

void
ga_principal_end_transaction(void)
{
	if (!outdated)
		return;
	if (cache_context)
		MemoryContextReset(cache_context);
	entries = NULL;
	outdated = false;
}

bool
ga_push_latest_snapshot(void)
{
	if (IsInParallelMode())
		return false;
	PushActiveSnapshot(GetLatestSnapshot());
	return true;
}

uint64
ga_snapshot_mark(void)
{
	Snapshot snapshot;

	if (!IsInParallelMode() || !ActiveSnapshotSet())
		return 0;
	snapshot = GetActiveSnapshot();
	return (snapshot->snapXactCompletionCount << 32 | snapshot->curcid) + 1;
}

static void
set_roles(GaPrincipal *who, const char *const *roles, int n)
{
	int i;

	who->roles = MemoryContextAllocZero(cache_context, sizeof(char *) * (n + 1));
	who->nroles = n;
	for (i = 0; i < n; i++)
		who->roles[i] = MemoryContextStrdup(cache_context, roles[i]);
}

/* The mapping of this role, if map_role made one. Read as the system: no rights yet. */
static bool
load_mapping(GaPrincipal *who, const char *role_name, bool *latest)
{
	static GaStmt find = GA_READ(
	    "SELECT m.subject::pg_catalog.text, m.tenant::pg_catalog.text, m.roles::pg_catalog.text[] "
	    "FROM goldenarch.role_mappings m WHERE m.pg_role OPERATOR(pg_catalog.=) $1",
	    TEXTOID);
	GaCall call;
	GaRows rows;
	bool found;

	ga_enter_as(&call, &ga_system_principal);
	*latest = ga_push_latest_snapshot();
	rows = ga_query(&find, ga_text(role_name));
	if (*latest)
		PopActiveSnapshot();
	found = rows.count == 1;
	if (found)
	{
		int n;
		char **roles = ga_row_text_array(&rows, 0, 3, &n);

		who->kind = GA_MAPPED;
		who->subject = MemoryContextStrdup(cache_context, ga_row_text_present(&rows, 0, 1));
		who->tenant = MemoryContextStrdup(cache_context, ga_row_text_present(&rows, 0, 2));
		set_roles(who, (const char *const *) roles, n);
	}
	ga_leave(&call);
	return found;
}

const GaPrincipal *
ga_role_principal(void)
{
	Oid role = GetUserId();
	bool latest = true;
	GaPrincipal who = {.kind = GA_ANONYMOUS,
	                   .subject = "anonymous", /* never a name that a token could have */
	                   .tenant = "",
	                   .expires_at = DT_NOEND,
	                   .pg_role = role};
	uint64 before;
	Entry *entry;
	char *name;

	ga_rbac_watch();
	for (entry = entries; entry; entry = entry->next)
	{
		if (entry->principal.pg_role == role && entry->generation == generation &&
		    (entry->snapshot == 0 || entry->snapshot == ga_snapshot_mark()))
			return &entry->principal;
	}
	if (!cache_context)
		cache_context =
		    AllocSetContextCreate(TopMemoryContext, "goldenarch principal", ALLOCSET_SMALL_SIZES);
	before = generation;
	name = GetUserNameFromId(role, false);
	if (superuser_arg(role) || has_privs_of_role(role, ga_owner()))
	{
		who.kind = GA_ADMIN;
		who.subject = MemoryContextStrdup(cache_context, name);
		set_roles(&who, admin_roles, 1);
	}
	else if (!load_mapping(&who, name, &latest))
		set_roles(&who, anonymous_roles, 1);
	/* a change that was told while this was read makes the entry old at once */
	who.id = ga_new_principal_id();
	entry = MemoryContextAlloc(cache_context, sizeof(Entry));
	*entry = (Entry){entries, who, before, latest ? 0 : ga_snapshot_mark()};
	outdated = outdated || !latest;
	entries = entry;
	return &entry->principal;
}

const GaPrincipal *
ga_compute_principal(void)
{
	const GaPrincipal *who;

	if (IsParallelWorker())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
		                errmsg("the caller's identity is not known in a parallel worker")));
	/* code of an index, a view or a statistic that another's REFRESH, ANALYZE or REINDEX runs */
	if (InSecurityRestrictedOperation())
		return ga_anonymous_principal();
	who = ga_token_principal();
	return who ? who : ga_role_principal();
}

static bool
sees_all(const GaPrincipal *who)
{
	return who->kind == GA_SYSTEM ||
	       (who->tenant[0] == '\0' && ga_has_permission(who, "system.admin"));
}

const char *
ga_tenant_floor(const GaPrincipal *who)
{
	return sees_all(who) ? "" : who->tenant;
}

const char *
ga_tenant_ceiling(const GaPrincipal *who)
{
	return sees_all(who) ? "\x7f" : who->tenant;
}

bool
ga_tenant_visible(const GaPrincipal *who, const char *tenant)
{
	return sees_all(who) || strcmp(who->tenant, tenant) == 0;
}

const char *
ga_tenant_for_new_row(const GaPrincipal *who, const char *named)
{
	const char *c;

	if (!named)
		return who->tenant;
	for (c = named; *c; c++)
		if ((unsigned char) *c < 0x21 || (unsigned char) *c > 0x7e)
			ga_bad_argument("tenant", "A tenant is made of visible ASCII characters.");
	if (!ga_tenant_visible(who, named))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("permission denied for tenant \"%s\"", named),
		                errdetail("The caller acts in tenant \"%s\".", who->tenant),
		                errhint("Leave the tenant out, or act with system.admin.")));
	return named;
}

static Datum
tenant_bound(FunctionCallInfo fcinfo, const char *(*bound)(const GaPrincipal *) )
{
	const GaPrincipal *who = ga_principal();

	/* A function of ours has checked its own permission; the range alone counts inside it. */
	if (!ga_inside_call())
	{
		if (PG_ARGISNULL(0) || !ga_has_permission(who, text_to_cstring(PG_GETARG_TEXT_PP(0))))
			PG_RETURN_NULL();
	}
	return CStringGetTextDatum(bound(who));
}

GA_FUNCTION(ga_sql_tenant_floor);
Datum
ga_sql_tenant_floor(PG_FUNCTION_ARGS)
{
	return tenant_bound(fcinfo, ga_tenant_floor);
}

GA_FUNCTION(ga_sql_tenant_ceiling);
Datum
ga_sql_tenant_ceiling(PG_FUNCTION_ARGS)
{
	return tenant_bound(fcinfo, ga_tenant_ceiling);
}
