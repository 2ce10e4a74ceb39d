/* SPDX-License-Identifier: PostgreSQL */
/*
 * approval_decide.c: vote, reject, withdraw, use once.
 *
 * Every decision locks the request's row and updates it: under REPEATABLE READ a concurrent one
 * ends in 40001, never in a decision on old votes. Expiry and a changed policy are judged when the
 * row is read; expiry is never consent. Nobody decides his own: checked at the vote and, since who
 * is whom may change, again at consumption. A refusal is an error (durably recorded for 42501 and
 * ZG007) and changes nothing; everything else commits or rolls back with the caller's transaction.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "approval_row.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"

GA_FUNCTION(ga_approve);
GA_FUNCTION(ga_reject);
GA_FUNCTION(ga_cancel_approval);
GA_FUNCTION(ga_consume_approval);

/* ---- refusals ---- */

static void refuse(int sqlstate, const char *action, const char *id, const char *message,
                   const char *detail, const char *hint) GA_NORETURN;

static void
refuse(int sqlstate, const char *action, const char *id, const char *message, const char *detail,
       const char *hint)
{
	GaDenial denial = {.sqlstate = sqlstate,
	                   .action = action,
	                   .resource_type = "approval",
	                   .resource_id = id,
	                   .message = message,
	                   .detail = detail,
	                   .hint = hint};

	ga_deny(&denial);
}

static const char *
id_text(const GaApproval *a)
{
	return psprintf("%lld", (long long) a->id);
}

/* The request must still be open by the clock and by today's policy, whatever its row says. */
static void
require_open(const GaApproval *a, const GaApprovalPolicy *policy, TimestampTz at,
             const char *action, bool approved_too)
{
	bool open =
	    strcmp(a->state, "pending") == 0 || (approved_too && strcmp(a->state, "approved") == 0);

	if (!open && strcmp(a->state, "expired") != 0 && strcmp(a->state, "superseded") != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("approval request %lld is %s already", (long long) a->id, a->state),
		                errhint("A decision is final: make a new request.")));
	if (strcmp(a->state, "expired") == 0 || (open && a->expires_at <= at))
		refuse(GA_ERR_APPROVAL_REQUIRED, action, id_text(a),
		       psprintf("approval request %lld has expired", (long long) a->id),
		       psprintf("It could be decided until %s.", timestamptz_to_str(a->expires_at)),
		       "Expiry is never consent: make a new request.");
	if (!open || policy->version != a->policy_version)
		refuse(GA_ERR_APPROVAL_REQUIRED, action, id_text(a),
		       psprintf("approval request %lld is superseded", (long long) a->id),
		       psprintf("The policy of kind \"%s\", or what the request builds on, has changed.",
		                a->kind),
		       "Make a new request.");
}

static void
require_content(const GaApproval *a, const char *digest, const char *action)
{
	if (!ga_approval_intact(a))
		refuse(GA_ERR_APPROVAL_REQUIRED, action, id_text(a),
		       psprintf("approval request %lld is not what was requested", (long long) a->id),
		       "Its stored content does not have its digest.",
		       "Reject it, find out who changed it, and make a new request.");
	if (digest != NULL && pg_strcasecmp(digest, a->digest) != 0)
		refuse(GA_ERR_APPROVAL_REQUIRED, action, id_text(a),
		       psprintf("approval request %lld has another content than the one named",
		                (long long) a->id),
		       psprintf("Its digest is %s.", a->digest),
		       "Look at the request in goldenarch.pending_approvals and name its digest.");
}

/*
 * Whose seat it is: the owner's for an agent that has one, else the subject's own. Asked each time,
 * since an agent may get an owner after the vote.
 */
static const char *
person_of(const GaApproval *a, const char *subject, bool *agent)
{
	static GaStmt find =
	    GA_STMT("SELECT COALESCE(owner, id)::pg_catalog.text FROM goldenarch.agents"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_text(a->tenant), ga_text(subject));

	if (agent != NULL)
		*agent = rows.count > 0;
	return rows.count > 0 ? ga_row_text_present(&rows, 0, 1) : subject;
}

/* The person who decides: not the one who asked, and a person where only a person will do. */
static const char *
require_judge(const GaPrincipal *who, const GaApproval *a, const char *action)
{
	const GaApprovalHooks *hooks = ga_approval_hooks(a->kind);
	const char *author = person_of(a, a->requested_by, NULL);
	bool agent;
	const char *person = person_of(a, who->subject, &agent);

	if (strcmp(who->subject, a->requested_by) == 0 || strcmp(person, author) == 0 ||
	    strcmp(who->subject, author) == 0)
		refuse(ERRCODE_INSUFFICIENT_PRIVILEGE, action, id_text(a),
		       psprintf("approval request %lld is the caller's own", (long long) a->id),
		       psprintf("\"%s\" requested it; nobody decides his own request, nor one of an agent "
		                "that he owns.",
		                a->requested_by),
		       "Have another person decide it, or withdraw it with cancel_approval().");
	if (agent && hooks != NULL && hooks->human)
		refuse(ERRCODE_INSUFFICIENT_PRIVILEGE, action, id_text(a),
		       psprintf("approval request %lld needs a human", (long long) a->id),
		       psprintf("\"%s\" is an agent.", who->subject),
		       "Have a person decide it with a token, or a role, of his own.");
	return person;
}

/* Before anything is read: who holds no permission of any policy decides nothing. */
static void
require_some_decider(const GaPrincipal *who)
{
	static GaStmt permissions =
	    GA_STMT("SELECT DISTINCT permission::pg_catalog.text FROM goldenarch.approval_policies");
	GaRows rows;

	if (ga_has_permission(who, "approval.decide"))
		return;
	rows = ga_query(&permissions);
	for (uint64 i = 0; i < rows.count; i++)
		if (ga_has_permission(who, ga_row_text_present(&rows, i, 1)))
			return;
	ga_require_permission(who, "approval.decide");
}

/* ---- votes ---- */

static bool
has_seat(const GaApproval *a, const char *person)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM goldenarch.approval_votes WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND approval_id OPERATOR(pg_catalog.=) $2 AND revision OPERATOR(pg_catalog.=) $3"
	            " AND person OPERATOR(pg_catalog.=) $4",
	            TEXTOID, INT8OID, INT4OID, TEXTOID);

	return ga_query(&find, ga_text(a->tenant), ga_int8(a->id), ga_int4(a->revision),
	                ga_text(person))
	           .count > 0;
}

static void
take_seat(const GaApproval *a, const char *person, const GaPrincipal *who, const char *vote,
          const char *comment, TimestampTz at)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.approval_votes"
	    " (tenant, approval_id, revision, person, subject, vote, comment, digest, at)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	    " ON CONFLICT (tenant, approval_id, revision, person) DO UPDATE"
	    " SET vote = EXCLUDED.vote, comment = EXCLUDED.comment, at = EXCLUDED.at",
	    TEXTOID, INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID);

	ga_query(&insert, ga_text(a->tenant), ga_int8(a->id), ga_int4(a->revision), ga_text(person),
	         ga_text(who->subject), ga_text(vote), ga_text(comment), ga_approval_digest(a->digest),
	         ga_timestamp(at));
}

/*
 * Seats in favour that count: of this revision, for this digest, a person once by what is known of
 * agents now, none the requester's own.
 */
static int32
count_seats(const GaApproval *a)
{
	static GaStmt count = GA_STMT(
	    "SELECT pg_catalog.count(DISTINCT COALESCE(g.owner, v.person))::pg_catalog.int4"
	    " FROM goldenarch.approval_votes v LEFT JOIN goldenarch.agents g"
	    " ON g.tenant OPERATOR(pg_catalog.=) v.tenant AND g.id OPERATOR(pg_catalog.=) v.subject"
	    " WHERE v.tenant OPERATOR(pg_catalog.=) $1 AND v.approval_id OPERATOR(pg_catalog.=) $2"
	    " AND v.revision OPERATOR(pg_catalog.=) $3 AND v.vote OPERATOR(pg_catalog.=) 'approve'"
	    " AND v.digest OPERATOR(pg_catalog.=) $4 AND v.subject OPERATOR(pg_catalog.<>) $5"
	    " AND COALESCE(g.owner, v.person) OPERATOR(pg_catalog.<>) ALL (ARRAY[$5, $6])",
	    TEXTOID, INT8OID, INT4OID, BYTEAOID, TEXTOID, TEXTOID);
	GaRows rows = ga_query(&count, ga_text(a->tenant), ga_int8(a->id), ga_int4(a->revision),
	                       ga_approval_digest(a->digest), ga_text(a->requested_by),
	                       ga_text(person_of(a, a->requested_by, NULL)));

	return ga_row_int4(&rows, 0, 1);
}

static void
store_seats(const GaApproval *a, int32 seats)
{
	static GaStmt update = GA_STMT("UPDATE goldenarch.approvals SET approvals = $3 WHERE"
	                               " tenant OPERATOR(pg_catalog.=) $1"
	                               " AND id OPERATOR(pg_catalog.=) $2",
	                               TEXTOID, INT8OID, INT4OID);

	ga_query(&update, ga_text(a->tenant), ga_int8(a->id), ga_int4(seats));
}

const char *
ga_approval_approve(const GaPrincipal *who, int64 id, const char *comment, const char *digest)
{
	GaApprovalPolicy policy;
	GaApproval *a = ga_approval_lock(who, id, &policy);
	TimestampTz at = ga_now();
	const GaApprovalHooks *hooks = ga_approval_hooks(a->kind);
	const char *person;
	bool seated;
	int32 seats;

	ga_require_permission(who, policy.permission);
	person = require_judge(who, a, "approval.approve");
	seated = has_seat(a, person);
	require_open(a, &policy, at, "approval.approve", seated);
	require_content(a, digest, "approval.approve");
	if (seated)
	{
		ereport(NOTICE, (errmsg("you have approved request %lld already", (long long) id),
		                 errdetail("One person has one seat.")));
		return a->state;
	}
	take_seat(a, person, who, "approve", comment, at);
	seats = count_seats(a);
	store_seats(a, seats);
	if (seats < policy.quorum)
	{
		ga_approval_trace(a, "vote", who->subject, comment);
		return a->state;
	}
	ga_count(GA_COUNT_APPROVALS_DECIDED);
	ga_approval_move(a, "approved", who->subject, comment, at);
	if (hooks != NULL)
	{
		hooks->approved(a, who, at);
		ga_approval_move(a, "consumed", who->subject, NULL, at);
		return "approved";
	}
	return a->state;
}

const char *
ga_approval_reject(const GaPrincipal *who, int64 id, const char *reason)
{
	GaApprovalPolicy policy;
	GaApproval *a = ga_approval_lock(who, id, &policy);
	TimestampTz at = ga_now();
	const char *person;

	ga_require_permission(who, policy.permission);
	person = require_judge(who, a, "approval.reject");
	require_open(a, &policy, at, "approval.reject", true);
	take_seat(a, person, who, "reject", reason, at);
	store_seats(a, count_seats(a));
	ga_count(GA_COUNT_APPROVALS_DECIDED);
	ga_approval_move(a, "rejected", who->subject, reason, at);
	return a->state;
}

/* ---- consumption ---- */

/* Why nothing could be consumed: the newest request for the same thing tells. */
static void
refuse_consumption(const char *tenant, const char *kind, const char *subject, const Jsonb *payload,
                   const GaApprovalPolicy *policy, TimestampTz at)
{
	static GaStmt newest =
	    GA_STMT("SELECT id::pg_catalog.int8, state::pg_catalog.text,"
	            " (payload OPERATOR(pg_catalog.=) $4)::pg_catalog.bool,"
	            " (expires_at OPERATOR(pg_catalog.<=) $5)::pg_catalog.bool,"
	            " (policy_version OPERATOR(pg_catalog.=) $6)::pg_catalog.bool,"
	            " approvals::pg_catalog.int4, quorum::pg_catalog.int4 FROM goldenarch.approvals"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND kind OPERATOR(pg_catalog.=) $2"
	            " AND subject OPERATOR(pg_catalog.=) $3"
	            " ORDER BY payload OPERATOR(pg_catalog.=) $4 DESC, id DESC LIMIT 1",
	            TEXTOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID, INT8OID);
	GaRows rows = ga_query(&newest, ga_text(tenant), ga_text(kind), ga_text(subject),
	                       ga_jsonb(payload), ga_timestamp(at), ga_int8(policy->version));
	const char *detail;
	const char *hint = "Make a new request with request_approval() and have it approved.";

	if (rows.count == 0)
		detail = "Nobody has asked for it.";
	else
	{
		long long id = (long long) ga_row_int8(&rows, 0, 1);
		const char *state = ga_row_text_present(&rows, 0, 2);
		bool open = strcmp(state, "pending") == 0 || strcmp(state, "approved") == 0;

		if (!ga_row_bool(&rows, 0, 3))
			detail = psprintf("Request %lld is for another payload.", id);
		else if (open && ga_row_bool(&rows, 0, 4))
			detail = psprintf("Request %lld has expired.", id);
		else if (open && !ga_row_bool(&rows, 0, 5))
			detail = psprintf("The policy has changed since request %lld.", id);
		else if (strcmp(state, "pending") == 0)
		{
			detail = psprintf("Request %lld has %d of %d approvals.", id, ga_row_int4(&rows, 0, 6),
			                  ga_row_int4(&rows, 0, 7));
			hint = psprintf("Wait until request %lld is approved.", id);
		}
		else
			detail = psprintf("Request %lld is %s.", id, state);
	}
	refuse(GA_ERR_APPROVAL_REQUIRED, "approval.consume", psprintf("%s/%s", kind, subject),
	       psprintf("no approval of kind \"%s\" for \"%s\" can be used", kind, subject), detail,
	       hint);
}

/* The oldest approved request for exactly this, locked; waits for one that another consumes. */
static GaApproval *
lock_approved(const char *tenant, const char *kind, const char *subject, const Jsonb *payload,
              TimestampTz at, int64 policy_version)
{
	static GaStmt find = GA_STMT(
	    "SELECT" GA_APPROVAL_COLUMNS " FROM goldenarch.approvals WHERE"
	    " tenant OPERATOR(pg_catalog.=) $1 AND kind OPERATOR(pg_catalog.=) $2"
	    " AND subject OPERATOR(pg_catalog.=) $3"
	    " AND payload::pg_catalog.text OPERATOR(pg_catalog.=) $4::pg_catalog.text"
	    " AND state OPERATOR(pg_catalog.=) 'approved' AND expires_at OPERATOR(pg_catalog.>) $5"
	    " AND policy_version OPERATOR(pg_catalog.=) $6 ORDER BY id LIMIT 1 FOR UPDATE",
	    TEXTOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID, INT8OID);
	GaRows rows = ga_query(&find, ga_text(tenant), ga_text(kind), ga_text(subject),
	                       ga_jsonb(payload), ga_timestamp(at), ga_int8(policy_version));

	return rows.count > 0 ? ga_approval_of_row(&rows, 0) : NULL;
}

static int64
consume(const GaPrincipal *who, const char *kind, const char *subject, const Jsonb *payload)
{
	const char *tenant = ga_tenant_for_new_row(who, NULL);
	TimestampTz at = ga_now();
	GaApprovalPolicy policy = ga_approval_policy(kind, at);
	GaApproval *a = lock_approved(tenant, kind, subject, payload, at, policy.version);

	/* the lock may have been waited for: the clock is asked again */
	at = ga_now();
	if (a == NULL || a->expires_at <= at)
	{
		refuse_consumption(tenant, kind, subject, payload, &policy, at);
		return 0;
	}
	require_content(a, NULL, "approval.consume");
	if (count_seats(a) < policy.quorum)
		refuse(GA_ERR_APPROVAL_REQUIRED, "approval.consume", id_text(a),
		       psprintf("approval request %lld lacks approvals", (long long) a->id),
		       psprintf("%d of %d persons approve it now.", count_seats(a), policy.quorum),
		       "Make a new request with request_approval() and have it approved.");
	ga_approval_move(a, "consumed", who->subject, NULL, at);
	return a->id;
}

/* ---- the SQL functions ---- */

Datum
ga_approve(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *comment;
	const char *digest;
	const char *state;
	int64 id;

	ga_enter(&call, NULL);
	require_some_decider(call.principal);
	id = ga_arg_int8(fcinfo, 0, "approval_id", PG_INT64_MIN, PG_INT64_MAX);
	comment = ga_arg_text_max(fcinfo, 1, "comment", GA_APPROVAL_TEXT_MAX, true);
	digest = ga_arg_text_or_null(fcinfo, 2, "digest");
	state = ga_approval_approve(call.principal, id, comment, digest);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

Datum
ga_reject(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *reason;
	const char *state;
	int64 id;

	ga_enter(&call, NULL);
	require_some_decider(call.principal);
	id = ga_arg_int8(fcinfo, 0, "approval_id", PG_INT64_MIN, PG_INT64_MAX);
	reason = ga_arg_text_max(fcinfo, 1, "reason", GA_APPROVAL_TEXT_MAX, false);
	state = ga_approval_reject(call.principal, id, reason);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

Datum
ga_cancel_approval(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaApproval *a;
	GaApprovalPolicy policy;
	TimestampTz at;
	int64 id;

	ga_enter(&call, "approval.request");
	id = ga_arg_int8(fcinfo, 0, "approval_id", PG_INT64_MIN, PG_INT64_MAX);
	a = ga_approval_lock(call.principal, id, &policy);
	at = ga_now();
	if (strcmp(call.principal->subject, a->requested_by) != 0 &&
	    !ga_has_permission(call.principal, "system.admin"))
		refuse(ERRCODE_INSUFFICIENT_PRIVILEGE, "approval.cancel", id_text(a),
		       psprintf("approval request %lld is not the caller's own", (long long) id),
		       "Only its requester withdraws a request.", "Have it rejected instead.");
	require_open(a, &policy, at, "approval.cancel", true);
	ga_approval_move(a, "cancelled", call.principal->subject, NULL, at);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text("cancelled"));
}

Datum
ga_consume_approval(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *kind;
	const char *subject;
	const Jsonb *payload;
	int64 id;

	ga_enter(&call, "approval.request");
	kind = ga_arg_text_max(fcinfo, 0, "kind", GA_APPROVAL_KIND_MAX, false);
	subject = ga_arg_text_max(fcinfo, 1, "subject", GA_APPROVAL_SUBJECT_MAX, false);
	payload = ga_approval_payload(fcinfo, 2);
	id = consume(call.principal, kind, subject, payload);
	ga_leave(&call);
	PG_RETURN_INT64(id);
}
