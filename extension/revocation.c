/* SPDX-License-Identifier: PostgreSQL */
/*
 * revoke_token(), and whether a token is revoked.
 *
 * A backend keeps the revocations, sorted, as long as none is added or forgotten (relcache
 * invalidation, heard at each look-up), so that a token costs no query here. Where there are too
 * many to keep, each token asks the table. The table is read as it stands now, whatever snapshot
 * the caller has; where that cannot be, nothing is kept. No locks.
 */
#include "revocation.h"

#include "catalog/pg_type_d.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/maintenance.h"
#include "goldenarch/query.h"
#include "ground.h"
#include "limits.h"
#include "rbac.h"

#define KEPT_MAX 1000

typedef struct Revocation
{
	const char *token_id;
	TimestampTz until;
} Revocation;

static MemoryContext kept_context;
static Revocation *kept; /* sorted; null: not known */
static int nkept;
static bool too_many;
static uint64 kept_generation;

/* token_id null: all of them, one more than are kept. */
static GaRows
read_table(const char *token_id, bool *perhaps_old)
{
	static GaStmt find =
	    GA_READ("SELECT r.token_id::pg_catalog.text, r.until::pg_catalog.timestamptz "
	            "FROM goldenarch.revoked_tokens r WHERE $1 IS NULL OR r.token_id "
	            "OPERATOR(pg_catalog.=) $1 ORDER BY r.token_id COLLATE \"C\" LIMIT $2",
	            TEXTOID, INT8OID);
	bool latest = ga_push_latest_snapshot();
	GaRows rows = ga_query(&find, ga_text(token_id), ga_int8(KEPT_MAX + 1));

	if (latest)
		PopActiveSnapshot();
	else
		*perhaps_old = true;
	return rows;
}

static void
forget_kept(void)
{
	kept = NULL;
	too_many = false;
	if (kept_context)
		MemoryContextReset(kept_context);
	else
		kept_context =
		    AllocSetContextCreate(TopMemoryContext, "goldenarch revocations", ALLOCSET_SMALL_SIZES);
}

static void
load(uint64 generation)
{
	bool perhaps_old = false;
	GaCall call;
	GaRows rows;
	Revocation *list;

	forget_kept();
	ga_enter_as(&call, &ga_system_principal);
	rows = read_table(NULL, &perhaps_old);
	if (!perhaps_old && rows.count <= KEPT_MAX)
	{
		list = MemoryContextAlloc(kept_context, sizeof(Revocation) * (rows.count + 1));
		for (uint64 i = 0; i < rows.count; i++)
			list[i] =
			    (Revocation){MemoryContextStrdup(kept_context, ga_row_text_present(&rows, i, 1)),
			                 ga_row_timestamp(&rows, i, 2)};
		nkept = (int) rows.count;
		kept = list;
	}
	too_many = !perhaps_old && rows.count > KEPT_MAX;
	ga_leave(&call);
	kept_generation = generation;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const Revocation *) a)->token_id, ((const Revocation *) b)->token_id);
}

bool
ga_token_revoked(const char *token_id, bool *perhaps_old)
{
	uint64 generation = ga_identity_generation();
	Revocation wanted = {token_id, DT_NOEND};
	const Revocation *found;
	GaCall call;
	GaRows rows;
	bool revoked;

	if (kept_generation != generation || (!kept && !too_many))
		load(generation);
	if (kept && kept_generation == ga_identity_generation())
	{
		found = bsearch(&wanted, kept, (size_t) nkept, sizeof(Revocation), compare);
		return found && found->until > ga_now();
	}
	ga_enter_as(&call, &ga_system_principal);
	rows = read_table(token_id, perhaps_old);
	revoked = rows.count > 0 && ga_row_timestamp(&rows, 0, 2) > ga_now();
	ga_leave(&call);
	return revoked;
}

GA_FUNCTION(ga_revoke_token);
Datum
ga_revoke_token(PG_FUNCTION_ARGS)
{
	static GaStmt revoke = GA_STMT(
	    "INSERT INTO goldenarch.revoked_tokens AS r (token_id, until, revoked_by) VALUES ($1, $2, "
	    "$3) ON CONFLICT (token_id) DO UPDATE SET until = GREATEST(r.until, EXCLUDED.until)",
	    TEXTOID, TIMESTAMPTZOID, TEXTOID);
	GaCall call;
	char *token_id;

	ga_enter_global(&call, "system.admin");
	token_id = ga_arg_text(fcinfo, 0, "token_id");
	if (strlen(token_id) > GA_NAME_MAX_BYTES)
		ga_bad_argument("token_id", "A token id has at most 128 bytes.");
	if (PG_ARGISNULL(1))
		ga_bad_argument("until", "Name a time not before the token's expiry; infinity will do.");
	(void) ga_query(&revoke, ga_text(token_id), ga_timestamp(PG_GETARG_TIMESTAMPTZ(1)),
	                ga_text(call.principal->subject));
	(void) ga_audit("revoke_token", "token", token_id, NULL);
	ga_leave(&call);
	PG_RETURN_VOID();
}

int64
ga_forget_revocations(void)
{
	static GaStmt forget =
	    GA_STMT("DELETE FROM goldenarch.revoked_tokens r WHERE r.token_id OPERATOR(pg_catalog.=) "
	            "ANY (ARRAY(SELECT o.token_id FROM goldenarch.revoked_tokens o WHERE o.until "
	            "OPERATOR(pg_catalog.<) $1 LIMIT $2))",
	            TIMESTAMPTZOID, INT8OID);

	return (int64) ga_query(&forget, ga_timestamp(ga_now()), ga_int8(GA_MAINTENANCE_BATCH)).count;
}
