/* SPDX-License-Identifier: PostgreSQL */
/*
 * approval.c: policies and requests: their content, their rows and their states. Who decides them
 * is approval_decide.c's.
 *
 * What is approved is a digest of (kind, subject, payload, policy version, expiry). It is computed
 * when the request is made and again from the stored columns at each vote and at consumption, so
 * content that changed underneath is refused. A state changes along an edge of core/fsm alone, with
 * one audit row and one event prc.approval.<state>, all in the caller's transaction.
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/builtins.h"

#include "approval_row.h"
#include "digest.h"
#include "fsm.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "rbac.h"

#define PAYLOAD_MAX (1024 * 1024) /* bytes of jsonb */
#define PENDING_MAX 1000          /* requests of one person that wait */
#define DEFAULT_LIFE (7 * USECS_PER_DAY)
#define QUORUM_MAX 100 /* seats */
#define BATCH_MAX 1000 /* rows of one maintenance pass */

static const GaApprovalHooks *const owned_kinds[] = {&ga_prompt_approvals};

GA_FUNCTION(ga_set_approval_policy);
GA_FUNCTION(ga_request_approval);

const GaApprovalHooks *
ga_approval_hooks(const char *kind)
{
	for (size_t i = 0; i < lengthof(owned_kinds); i++)
		if (strcmp(owned_kinds[i]->kind, kind) == 0)
			return owned_kinds[i];
	return NULL;
}

const Jsonb *
ga_approval_payload(FunctionCallInfo fcinfo, int n)
{
	const Jsonb *payload;

	if (PG_ARGISNULL(n))
		ga_bad_argument("payload", "It must not be null.");
	payload = PG_GETARG_JSONB_P(n);
	if (VARSIZE(payload) > PAYLOAD_MAX)
		ga_bad_argument("payload", "It may have at most 1 MiB.");
	return payload;
}

/* ---- the digest ---- */

/*
 * SHA-256 over a version line and five fields, each after its length as 8 bytes, most significant
 * first: kind, subject, payload (jsonb's text), policy version and expiry (8 bytes each; the expiry
 * in microseconds since 2000-01-01 UTC). In hexadecimal.
 */
static char *
content_digest(const char *kind, const char *subject, const Jsonb *payload, int64 policy_version,
               TimestampTz expires_at)
{
	static const char format[] = "goldenarch approval v1\n";
	Jsonb *value = unconstify(Jsonb *, payload);
	char *text = JsonbToCString(NULL, &value->root, VARSIZE(value));
	uint64 numbers[] = {pg_hton64((uint64) policy_version), pg_hton64((uint64) expires_at)};
	GaBytes fields[] = {{kind, strlen(kind)},
	                    {subject, strlen(subject)},
	                    {text, strlen(text)},
	                    {&numbers[0], sizeof(numbers[0])},
	                    {&numbers[1], sizeof(numbers[1])}};
	uint64 lengths[lengthof(fields)];
	GaBytes pieces[1 + 2 * lengthof(fields)] = {{format, strlen(format)}};
	uint8_t hash[GA_HASH_BYTES];
	char *hex = palloc0(GA_APPROVAL_DIGEST_HEX_LEN + 1);

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		lengths[i] = pg_hton64((uint64) fields[i].bytes);
		pieces[1 + 2 * i] = (GaBytes){&lengths[i], sizeof(lengths[i])};
		pieces[2 + 2 * i] = fields[i];
	}
	if (!ga_sha256(pieces, lengthof(pieces), hash))
		elog(ERROR, "could not compute the digest of an approval");
	hex_encode((const char *) hash, sizeof(hash), hex);
	return hex;
}

GaArg
ga_approval_digest(const char *hex)
{
	char bytes[GA_HASH_BYTES];

	hex_decode(hex, GA_APPROVAL_DIGEST_HEX_LEN, bytes);
	return ga_bytea(bytes, GA_HASH_BYTES);
}

bool
ga_approval_intact(const GaApproval *a)
{
	return strcmp(a->digest, content_digest(a->kind, a->subject, a->payload, a->policy_version,
	                                        a->expires_at)) == 0;
}

/* ---- reading ---- */

GaApprovalPolicy
ga_approval_policy(const char *kind, TimestampTz at)
{
	/* share-locked: a decision by a policy that just changed must not happen, at any isolation */
	static GaStmt find =
	    GA_STMT("SELECT permission::pg_catalog.text, quorum::pg_catalog.int4,"
	            " version::pg_catalog.int8,"
	            " ($2 OPERATOR(pg_catalog.+) expires)::pg_catalog.timestamptz,"
	            " ($2 OPERATOR(pg_catalog.+) escalate_after)::pg_catalog.timestamptz"
	            " FROM goldenarch.approval_policies WHERE kind OPERATOR(pg_catalog.=) $1 FOR SHARE",
	            TEXTOID, TIMESTAMPTZOID);
	GaRows rows = ga_query(&find, ga_text(kind), ga_timestamp(at));
	/* a kind that nobody configured: as set_approval_policy(kind) would make it */
	GaApprovalPolicy policy = {.permission = "approval.decide",
	                           .quorum = 1,
	                           .expires_at = at + DEFAULT_LIFE,
	                           .never_escalates = true};

	if (rows.count == 0)
		return policy;
	policy.permission = ga_row_text_present(&rows, 0, 1);
	policy.quorum = ga_row_int4(&rows, 0, 2);
	policy.version = ga_row_int8(&rows, 0, 3);
	policy.expires_at = ga_row_timestamp(&rows, 0, 4);
	policy.escalate_at = ga_row_datum(&rows, 0, 5, TIMESTAMPTZOID, &policy.never_escalates);
	return policy;
}

#define IN_TENANTS(low, high) \
	" tenant OPERATOR(pg_catalog.>=) " low " AND tenant OPERATOR(pg_catalog.<=) " high

GaApproval *
ga_approval_of_row(const GaRows *rows, uint64 row)
{
	GaApproval *a = palloc0(sizeof(GaApproval));

	a->id = ga_row_int8(rows, row, 1);
	a->tenant = ga_row_text_present(rows, row, 2);
	a->kind = ga_row_text_present(rows, row, 3);
	a->subject = ga_row_text_present(rows, row, 4);
	a->requested_by = ga_row_text_present(rows, row, 6);
	a->expires_at = ga_row_timestamp(rows, row, 7);
	a->policy_version = ga_row_int8(rows, row, 8);
	a->revision = ga_row_int4(rows, row, 9);
	a->digest = ga_row_text_present(rows, row, 10);
	a->state = ga_row_text_present(rows, row, 11);
	a->payload = ga_row_jsonb(rows, row, 5);
	if (a->payload == NULL || strlen(a->digest) != GA_APPROVAL_DIGEST_HEX_LEN)
		elog(ERROR, "approval %lld is damaged", (long long) a->id);
	return a;
}

/* The request, its row locked last; another tenant's is answered as one that does not exist. */
GaApproval *
ga_approval_lock(const GaPrincipal *who, int64 id, GaApprovalPolicy *policy)
{
	static GaStmt look =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE" IN_TENANTS(
	                "$1", "$2") " AND id OPERATOR(pg_catalog.=) $3",
	            TEXTOID, TEXTOID, INT8OID);
	static GaStmt lock =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE" IN_TENANTS(
	                "$1", "$2") " AND id OPERATOR(pg_catalog.=) $3 FOR UPDATE",
	            TEXTOID, TEXTOID, INT8OID);
	GaArg low = ga_text(ga_tenant_floor(who));
	GaArg high = ga_text(ga_tenant_ceiling(who));
	GaRows rows = ga_query(&look, low, high, ga_int8(id));

	if (rows.count > 0)
	{
		GaApproval *seen = ga_approval_of_row(&rows, 0);
		const GaApprovalHooks *hooks = ga_approval_hooks(seen->kind);

		if (hooks != NULL)
			hooks->prepare(seen);
		*policy = ga_approval_policy(seen->kind, ga_now());
		rows = ga_query(&lock, low, high, ga_int8(id));
	}
	if (rows.count == 0)
		ereport(
		    ERROR,
		    (errcode(ERRCODE_UNDEFINED_OBJECT),
		     errmsg("approval request %lld does not exist", (long long) id),
		     errhint("List the open requests with SELECT * FROM goldenarch.pending_approvals.")));
	return ga_approval_of_row(&rows, 0);
}

/* ---- traces ---- */

void
ga_approval_trace(const GaApproval *a, const char *what, const char *by, const char *reason)
{
	GaJson json;
	Jsonb *details;

	ga_json_begin_object(&json);
	ga_json_int8(&json, "approval_id", a->id);
	ga_json_text(&json, "kind", a->kind);
	ga_json_text(&json, "subject", a->subject);
	ga_json_text(&json, "digest", a->digest);
	ga_json_text(&json, "state", what);
	ga_json_text(&json, "by", by);
	ga_json_text(&json, "reason", reason);
	details = ga_json_end(&json);
	ga_audit(psprintf("approval.%s", what), "approval", psprintf("%lld", (long long) a->id),
	         details);
	ga_outbox_publish(a->tenant, psprintf("prc.approval.%s", what), details, NULL, NULL);
}

/* One edge of the machine, with its audit row, its event and the owner's hook. */
void
ga_approval_move(GaApproval *a, const char *to, const char *by, const char *reason, TimestampTz at)
{
	static GaStmt update = GA_STMT(
	    "UPDATE goldenarch.approvals SET state = $4,"
	    " decided_at = CASE WHEN $4 OPERATOR(pg_catalog.=) 'consumed' THEN decided_at ELSE $5 END,"
	    " decided_by = CASE WHEN $4 OPERATOR(pg_catalog.=) 'consumed' THEN decided_by ELSE $6 END,"
	    " decision_reason = COALESCE($7, decision_reason),"
	    " consumed_at = CASE WHEN $4 OPERATOR(pg_catalog.=) 'consumed' THEN $5 END,"
	    " consumed_by = CASE WHEN $4 OPERATOR(pg_catalog.=) 'consumed' THEN $6 END"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2"
	    " AND state OPERATOR(pg_catalog.=) $3",
	    TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID);
	const GaApprovalHooks *hooks = ga_approval_hooks(a->kind);

	if (!ga_fsm_edge_by_names(GA_MACHINE_APPROVAL, a->state, to))
		elog(ERROR, "approval %lld cannot go from %s to %s", (long long) a->id, a->state, to);
	if (ga_query(&update, ga_text(a->tenant), ga_int8(a->id), ga_text(a->state), ga_text(to),
	             ga_timestamp(at), ga_text(by), ga_text(reason))
	        .count != 1)
		elog(ERROR, "approval %lld is no longer %s", (long long) a->id, a->state);
	a->state = unconstify(char *, to);
	ga_approval_trace(a, to, by, reason);
	if (hooks != NULL && strcmp(to, "approved") != 0 && strcmp(to, "consumed") != 0)
		hooks->closed(a, to, by, reason);
}

/* ---- requests ---- */

static void
require_room(const GaPrincipal *who, const char *tenant)
{
	static GaStmt count = GA_STMT(
	    "SELECT pg_catalog.count(*)::pg_catalog.int8 FROM goldenarch.approvals"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND requested_by OPERATOR(pg_catalog.=) $2"
	    " AND state OPERATOR(pg_catalog.=) 'pending' AND expires_at OPERATOR(pg_catalog.>) $3",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaRows rows = ga_query(&count, ga_text(tenant), ga_text(who->subject), ga_timestamp(ga_now()));

	if (ga_row_int8(&rows, 0, 1) >= PENDING_MAX)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		                errmsg("too many approval requests of \"%s\" wait", who->subject),
		                errdetail("At most %d may be pending at a time.", PENDING_MAX),
		                errhint("Have them decided, or withdraw some with cancel_approval().")));
}

GaApproval *
ga_approval_open(const GaPrincipal *who, const char *kind, const char *subject,
                 const Jsonb *payload, const char *reason, TimestampTz at)
{
	static GaStmt insert =
	    GA_STMT("INSERT INTO goldenarch.approvals (tenant, id, kind, subject, payload, reason,"
	            " requested_by, requested_at, expires_at, escalate_at, policy_version, quorum,"
	            " digest, state) VALUES ($1,"
	            " pg_catalog.nextval('goldenarch.approval_ids'::pg_catalog.regclass),"
	            " $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'pending')"
	            " RETURNING" GA_APPROVAL_COLUMNS,
	            TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
	            TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT4OID, BYTEAOID);
	const char *tenant = ga_tenant_for_new_row(who, NULL);
	GaApprovalPolicy policy = ga_approval_policy(kind, at);
	GaApproval *a;
	GaRows rows;

	require_room(who, tenant);
	rows = ga_query(&insert, ga_text(tenant), ga_text(kind), ga_text(subject), ga_jsonb(payload),
	                ga_text(reason), ga_text(who->subject), ga_timestamp(at),
	                ga_timestamp(policy.expires_at),
	                ga_datum(policy.escalate_at, policy.never_escalates), ga_int8(policy.version),
	                ga_int4(policy.quorum),
	                ga_approval_digest(
	                    content_digest(kind, subject, payload, policy.version, policy.expires_at)));
	a = ga_approval_of_row(&rows, 0);
	ga_approval_trace(a, "requested", who->subject, reason);
	return a;
}

static int64
close_all(GaStmt *stmt, const GaArg *args, int nargs, const char *state, const char *reason)
{
	GaRows rows = ga_query_args(stmt, args, nargs);
	TimestampTz at = ga_now();

	for (uint64 i = 0; i < rows.count; i++)
		ga_approval_move(ga_approval_of_row(&rows, i), state, NULL, reason, at);
	return (int64) rows.count;
}

void
ga_approval_supersede(const char *tenant, const char *kind, const char *key, const char *value,
                      int64 except, const char *reason)
{
	static GaStmt find =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE"
	            " tenant OPERATOR(pg_catalog.=) $1 AND kind OPERATOR(pg_catalog.=) $2"
	            " AND state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'approved'])"
	            " AND (payload OPERATOR(pg_catalog.->>) $3) OPERATOR(pg_catalog.=) $4"
	            " AND id OPERATOR(pg_catalog.<>) $5 ORDER BY id FOR UPDATE",
	            TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID);
	const GaArg args[] = {ga_text(tenant), ga_text(kind), ga_text(key), ga_text(value),
	                      ga_int8(except)};

	close_all(&find, args, lengthof(args), "superseded", reason);
}

/* A day late or a second: what is due is found by the index, a bounded batch a pass. */
int64
ga_approval_expire(void)
{
	static GaStmt find =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE"
	            " tenant OPERATOR(pg_catalog.>=) '' AND"
	            " state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'approved'])"
	            " AND expires_at OPERATOR(pg_catalog.<=) $1 LIMIT $2 FOR UPDATE SKIP LOCKED",
	            TIMESTAMPTZOID, INT8OID);
	const GaArg args[] = {ga_timestamp(ga_now()), ga_int8(BATCH_MAX)};

	return close_all(&find, args, lengthof(args), "expired", "it was not decided and used in time");
}

int64
ga_approval_escalate(void)
{
	static GaStmt find =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE"
	            " tenant OPERATOR(pg_catalog.>=) '' AND state OPERATOR(pg_catalog.=) 'pending'"
	            " AND escalated_at IS NULL AND escalate_at OPERATOR(pg_catalog.<=) $1"
	            " AND expires_at OPERATOR(pg_catalog.>) $1 LIMIT $2 FOR UPDATE SKIP LOCKED",
	            TIMESTAMPTZOID, INT8OID);
	static GaStmt mark =
	    GA_STMT("UPDATE goldenarch.approvals SET escalated_at = $3 WHERE"
	            " tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, INT8OID, TIMESTAMPTZOID);
	TimestampTz at = ga_now();
	GaRows rows = ga_query(&find, ga_timestamp(at), ga_int8(BATCH_MAX));

	for (uint64 i = 0; i < rows.count; i++)
	{
		GaApproval *a = ga_approval_of_row(&rows, i);

		ga_query(&mark, ga_text(a->tenant), ga_int8(a->id), ga_timestamp(at));
		ga_approval_trace(a, "escalated", NULL, "it waits for a decision");
	}
	return (int64) rows.count;
}

/* ---- the SQL functions ---- */

/* What was pending or approved under the policy that changed; its version tells. */
static void
supersede_kind(const char *kind, int64 version)
{
	static GaStmt find =
	    GA_STMT("SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE"
	            " tenant OPERATOR(pg_catalog.>=) '' AND kind OPERATOR(pg_catalog.=) $1"
	            " AND state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'approved'])"
	            " AND policy_version OPERATOR(pg_catalog.<>) $2 ORDER BY id FOR UPDATE",
	            TEXTOID, INT8OID);
	const GaArg args[] = {ga_text(kind), ga_int8(version)};

	close_all(&find, args, lengthof(args), "superseded", "the approval policy changed");
}

Datum
ga_set_approval_policy(PG_FUNCTION_ARGS)
{
	/* an identical policy is no change: it supersedes nothing and leaves no audit row */
	static GaStmt upsert = GA_STMT(
	    "INSERT INTO goldenarch.approval_policies AS p"
	    " (kind, permission, quorum, expires, escalate_after) VALUES ($1, $2, $3, $4, $5)"
	    " ON CONFLICT (kind) DO UPDATE SET permission = EXCLUDED.permission,"
	    " quorum = EXCLUDED.quorum, expires = EXCLUDED.expires,"
	    " escalate_after = EXCLUDED.escalate_after,"
	    " version = p.version OPERATOR(pg_catalog.+) 1::pg_catalog.int8"
	    " WHERE p.permission OPERATOR(pg_catalog.<>) EXCLUDED.permission"
	    " OR p.quorum OPERATOR(pg_catalog.<>) EXCLUDED.quorum"
	    " OR p.expires OPERATOR(pg_catalog.<>) EXCLUDED.expires"
	    " OR (p.escalate_after IS NULL) OPERATOR(pg_catalog.<>) (EXCLUDED.escalate_after IS NULL)"
	    " OR p.escalate_after OPERATOR(pg_catalog.<>) EXCLUDED.escalate_after"
	    " RETURNING version::pg_catalog.int8",
	    TEXTOID, TEXTOID, INT4OID, INTERVALOID, INTERVALOID);
	GaCall call;
	const char *kind;
	const char *permission;
	int32 quorum;
	int64 expires;
	GaRows rows;

	ga_enter_global(&call, "system.admin");
	kind = ga_arg_text_max(fcinfo, 0, "kind", GA_APPROVAL_KIND_MAX, false);
	permission = ga_arg_text_max(fcinfo, 1, "permission", GA_APPROVAL_KIND_MAX, false);
	if (!ga_is_permission(permission))
		ga_bad_argument("permission", "It is of the form part.verb.");
	quorum = ga_arg_int4(fcinfo, 2, "quorum", 1, QUORUM_MAX);
	expires = ga_arg_interval_us(fcinfo, 3, "expires", false);
	if (!PG_ARGISNULL(4) && ga_arg_interval_us(fcinfo, 4, "escalate_after", false) >= expires)
		ga_bad_argument("escalate_after", "It must be less than expires.");
	rows = ga_query(&upsert, ga_text(kind), ga_text(permission), ga_int4(quorum), ga_passed(3),
	                ga_passed(4));
	if (rows.count > 0)
		supersede_kind(kind, ga_row_int8(&rows, 0, 1));
	ga_leave(&call);
	PG_RETURN_VOID();
}

Datum
ga_request_approval(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *kind;
	const char *subject;
	const Jsonb *payload;
	const char *reason;
	int64 id;

	ga_enter(&call, "approval.request");
	kind = ga_arg_text_max(fcinfo, 0, "kind", GA_APPROVAL_KIND_MAX, false);
	subject = ga_arg_text_max(fcinfo, 1, "subject", GA_APPROVAL_SUBJECT_MAX, false);
	payload = ga_approval_payload(fcinfo, 2);
	reason = ga_arg_text_max(fcinfo, 3, "reason", GA_APPROVAL_TEXT_MAX, true);
	if (ga_approval_hooks(kind) != NULL)
		ga_bad_argument("kind", "Requests of this kind are made by propose_prompt().");
	id = ga_approval_open(call.principal, kind, subject, payload, reason, ga_now())->id;
	ga_leave(&call);
	PG_RETURN_INT64(id);
}
