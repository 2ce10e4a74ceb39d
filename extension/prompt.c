/* SPDX-License-Identifier: PostgreSQL */
/*
 * prompt.c: the prompts that roles live by: propose, approve, roll back.
 *
 * A prompt goes live in one place, go_live(), which is reached with a decision of learning.c made
 * in the same transaction under the role's lock, or by a rollback to what was approved before. What
 * needs a human is a request of kind "prompt" (approval.c) whose payload carries the text: what is
 * approved is what was read. When anything goes live, proposals that built on what it replaces are
 * superseded. A refusal stores nothing but its audit row.
 */
#include "postgres.h"

#include "fmgr.h"

#include "utils/builtins.h"

#include "approval.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "learning.h"

#define PROMPT_MAX (256 * 1024) /* bytes */
#define NOTE_MAX 10000          /* bytes of a pattern, a note or a reason */
#define WAITING_MAX 20          /* proposals of one role that wait for a human */

#define KIND "prompt"

typedef struct Proposal
{
	const char *tenant;
	const char *agent_role;
	const char *text;
	const char *pattern; /* null: none */
	bool auto_learned;
	int64 id;
	int32 version;
	bool has_base;
	int32 base; /* the version live when it was proposed */
	int64 approval_id;
} Proposal;

GA_FUNCTION(ga_propose_prompt);
GA_FUNCTION(ga_approve_prompt_update);
GA_FUNCTION(ga_reject_prompt_update);
GA_FUNCTION(ga_active_prompt);
GA_FUNCTION(ga_rollback_prompt);

/* ---- going live ---- */

static bool
live_version(const char *tenant, const char *agent_role, int32 *version)
{
	static GaStmt find = GA_STMT("SELECT version::pg_catalog.int4 FROM goldenarch.prompt_history"
	                             " WHERE tenant OPERATOR(pg_catalog.=) $1"
	                             " AND agent_role OPERATOR(pg_catalog.=) $2"
	                             " AND pg_catalog.upper_inf(live)",
	                             TEXTOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_text(tenant), ga_text(agent_role));

	if (rows.count > 0)
		*version = ga_row_int4(&rows, 0, 1);
	return rows.count > 0;
}

static void
tell(const Proposal *p, const char *action, GaOutcome outcome, const GaPrincipal *who,
     TimestampTz at, const char *reason)
{
	GaJson json;
	Jsonb *details;

	ga_json_begin_object(&json);
	ga_json_text(&json, "agent_role", p->agent_role);
	if (p->version > 0)
	{
		ga_json_int8(&json, "prompt_id", p->id);
		ga_json_int8(&json, "version", p->version);
	}
	ga_json_text(&json, "by", who->subject);
	ga_json_text(&json, "reason", reason);
	details = ga_json_end(&json);
	ga_audit_as(who, at, outcome, psprintf("learning.%s", action), "agent_role", p->agent_role,
	            details);
	if (outcome == GA_OUTCOME_OK)
		ga_outbox_publish(p->tenant, psprintf("prc.prompt.%s", action), details, NULL, NULL);
}

/*
 * At this moment the prompt replaces what is live. counted: it takes a slot of the 24 hours. "at"
 * comes from a verdict of this transaction, so it is later than every change before.
 */
static void
go_live(const Proposal *p, const GaPrincipal *who, TimestampTz at, bool counted)
{
	static GaStmt end =
	    GA_STMT("UPDATE goldenarch.prompt_history SET"
	            " live = pg_catalog.tstzrange(pg_catalog.lower(live), $3::pg_catalog.timestamptz)"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2"
	            " AND pg_catalog.upper_inf(live)",
	            TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static GaStmt begin = GA_STMT(
	    "INSERT INTO goldenarch.prompt_history"
	    " (tenant, agent_role, live, prompt_id, version, counted, applied_by)"
	    " VALUES ($1, $2, pg_catalog.tstzrange($3::pg_catalog.timestamptz, NULL), $4, $5, $6, $7)",
	    TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT4OID, BOOLOID, TEXTOID);
	static GaStmt mark =
	    GA_STMT("UPDATE goldenarch.learning_state SET last_change_at = $3"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2",
	            TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaArg tenant = ga_text(p->tenant);
	GaArg role = ga_text(p->agent_role);

	ga_query(&end, tenant, role, ga_timestamp(at));
	ga_query(&begin, tenant, role, ga_timestamp(at), ga_int8(p->id), ga_int4(p->version),
	         ga_bool(counted), ga_text(who->subject));
	ga_query(&mark, tenant, role, ga_timestamp(at));
	ga_approval_supersede(p->tenant, KIND, "agent_role", p->agent_role, p->approval_id,
	                      psprintf("version %d went live", p->version));
	ga_count(GA_COUNT_PROMPTS_APPLIED);
}

/* ---- what an approval does ---- */

static const char *
payload_member(const GaApproval *a, const char *key)
{
	const char *value = ga_json_get_text(a->payload, key);

	if (value == NULL)
		elog(ERROR, "approval %lld lacks \"%s\"", (long long) a->id, key);
	return value;
}

static void
lock_role(const GaApproval *a)
{
	ga_learning_lock(a->tenant, payload_member(a, "agent_role"));
}

/* Rare and retryable, so an error: the vote is not kept, and may be cast again after the wait. */
static void
refuse_approval(const GaLearningVerdict *v, const char *agent_role)
{
	const char *wait = "it allows none";

	if (v->has_retry)
		wait = psprintf("wait until %s", timestamptz_to_str(v->retry));
	ga_count(GA_COUNT_PROMPTS_REFUSED);
	ereport(ERROR,
	        (errcode(GA_ERR_RATE_LIMITED), errmsg("learning limit of role \"%s\"", agent_role),
	         errdetail("%s; %s.", ga_learning_reason(v, agent_role), wait),
	         errhint("Approve it then, or change the limit in goldenarch.learning_governance.")));
}

static void
prompt_approved(const GaApproval *a, const GaPrincipal *by, TimestampTz at)
{
	static GaStmt update = GA_STMT(
	    "UPDATE goldenarch.prompts SET approval_status = 'human_approved', approved_by = $4,"
	    " approved_at = $5 WHERE tenant OPERATOR(pg_catalog.=) $1"
	    " AND approval_id OPERATOR(pg_catalog.=) $2"
	    " AND approval_status OPERATOR(pg_catalog.=) 'pending_review'"
	    " AND prompt_text OPERATOR(pg_catalog.=) $3"
	    " RETURNING id::pg_catalog.int8, version::pg_catalog.int4, base_version::pg_catalog.int4",
	    TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	Proposal p = {.tenant = a->tenant, .approval_id = a->id};
	GaLearningVerdict v;
	GaRows rows;
	int32 live = 0;

	p.agent_role = payload_member(a, "agent_role");
	v = ga_learning_decide(p.tenant, p.agent_role);
	if (v.over_limit || v.cooling)
		refuse_approval(&v, p.agent_role);
	rows =
	    ga_query(&update, ga_text(p.tenant), ga_int8(a->id),
	             ga_text(payload_member(a, "prompt_text")), ga_text(by->subject), ga_timestamp(at));
	if (rows.count != 1 ||
	    live_version(p.tenant, p.agent_role, &live) == ga_row_isnull(&rows, 0, 3) ||
	    (live > 0 && live != ga_row_int4(&rows, 0, 3)))
		ereport(ERROR, (errcode(GA_ERR_APPROVAL_REQUIRED),
		                errmsg("approval request %lld is superseded", (long long) a->id),
		                errdetail("The prompt, or the version it builds on, has changed."),
		                errhint("Make a new proposal with propose_prompt().")));
	p.id = ga_row_int8(&rows, 0, 1);
	p.version = ga_row_int4(&rows, 0, 2);
	go_live(&p, by, v.at, true);
	tell(&p, "live", GA_OUTCOME_OK, by, v.at, "human_approved");
}

static void
prompt_closed(const GaApproval *a, const char *state, const char *by, const char *reason)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.prompts SET approval_status = $3, rejection_reason = $4"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND approval_id OPERATOR(pg_catalog.=) $2"
	            " AND approval_status OPERATOR(pg_catalog.=) 'pending_review'",
	            TEXTOID, INT8OID, TEXTOID, TEXTOID);
	bool superseded = strcmp(state, "superseded") == 0;

	(void) by;
	ga_query(&update, ga_text(a->tenant), ga_int8(a->id),
	         ga_text(superseded ? "superseded" : "rejected"),
	         ga_text(strcmp(state, "rejected") == 0 || superseded ? reason : state));
}

const GaApprovalHooks ga_prompt_approvals = {.kind = KIND,
                                             .human = true,
                                             .prepare = lock_role,
                                             .approved = prompt_approved,
                                             .closed = prompt_closed};

/* ---- proposing ---- */

/* A text that was rolled back comes back only by a human's decision. */
static bool
was_rolled_back(const Proposal *p)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM goldenarch.prompts WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND agent_role OPERATOR(pg_catalog.=) $2 AND content OPERATOR(pg_catalog.=)"
	            " pg_catalog.sha256(pg_catalog.convert_to($3, 'UTF8'))"
	            " AND rolled_back_at IS NOT NULL LIMIT 1",
	            TEXTOID, TEXTOID, TEXTOID);

	return ga_query(&find, ga_text(p->tenant), ga_text(p->agent_role), ga_text(p->text)).count > 0;
}

static int64
count_waiting(const Proposal *p, TimestampTz at)
{
	static GaStmt count =
	    GA_STMT("SELECT pg_catalog.count(*)::pg_catalog.int8 FROM goldenarch.prompts"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2"
	            " AND approval_status OPERATOR(pg_catalog.=) 'pending_review'"
	            " AND review_until OPERATOR(pg_catalog.>) $3",
	            TEXTOID, TEXTOID, TIMESTAMPTZOID);
	GaRows rows = ga_query(&count, ga_text(p->tenant), ga_text(p->agent_role), ga_timestamp(at));

	return ga_row_int8(&rows, 0, 1);
}

static void
take_version(Proposal *p)
{
	static GaStmt next = GA_STMT(
	    "UPDATE goldenarch.learning_state SET"
	    " last_version = last_version OPERATOR(pg_catalog.+) 1"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2"
	    " RETURNING last_version::pg_catalog.int4,"
	    " pg_catalog.nextval('goldenarch.prompt_ids'::pg_catalog.regclass)::pg_catalog.int8",
	    TEXTOID, TEXTOID);
	GaRows rows = ga_query(&next, ga_text(p->tenant), ga_text(p->agent_role));

	p->version = ga_row_int4(&rows, 0, 1);
	p->id = ga_row_int8(&rows, 0, 2);
	p->has_base = live_version(p->tenant, p->agent_role, &p->base);
}

/* request null: it is approved by the limits alone. */
static void
store(const Proposal *p, const GaPrincipal *who, TimestampTz at, const GaApproval *request)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.prompts (tenant, id, agent_role, version, base_version,"
	    " prompt_text, content, auto_learned, learned_from_pattern, approval_status, approval_id,"
	    " review_until, proposed_by, created_at, approved_by, approved_at)"
	    " VALUES ($1, $2, $3, $4, $5, $6,"
	    " pg_catalog.sha256(pg_catalog.convert_to($6, 'UTF8')), $7, $8, $9, $10, $11, $12, $13,"
	    " $14, $15)",
	    TEXTOID, INT8OID, TEXTOID, INT4OID, INT4OID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, INT8OID,
	    TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID);
	bool live = request == NULL;
	int64 request_id = live ? 0 : request->id;
	TimestampTz until = live ? 0 : request->expires_at;

	ga_query(&insert, ga_text(p->tenant), ga_int8(p->id), ga_text(p->agent_role),
	         ga_int4(p->version), p->has_base ? ga_int4(p->base) : ga_null(), ga_text(p->text),
	         ga_bool(p->auto_learned), ga_text(p->pattern),
	         ga_text(live ? "auto_approved" : "pending_review"),
	         live ? ga_null() : ga_int8(request_id), live ? ga_null() : ga_timestamp(until),
	         ga_text(who->subject), ga_timestamp(at), live ? ga_text("policy") : ga_null(),
	         live ? ga_timestamp(at) : ga_null());
}

static GaApproval *
ask_human(const Proposal *p, const GaPrincipal *who, TimestampTz at, const char *reason)
{
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "agent_role", p->agent_role);
	ga_json_int8(&json, "prompt_id", p->id);
	ga_json_int8(&json, "version", p->version);
	if (p->has_base)
		ga_json_int8(&json, "base_version", p->base);
	else
		ga_json_null(&json, "base_version");
	ga_json_text(&json, "prompt_text", p->text);
	ga_json_text(&json, "learned_from_pattern", p->pattern);
	return ga_approval_open(who, KIND, psprintf("%s/%d", p->agent_role, p->version),
	                        ga_json_end(&json), reason, at);
}

typedef struct Answer
{
	const char *status;
	char *reason;
	bool has_retry;
	TimestampTz retry;
} Answer;

/* Decides under the role's lock and does what was decided. */
static Answer
propose(Proposal *p, const GaPrincipal *who)
{
	GaLearningVerdict v = ga_learning_decide(p->tenant, p->agent_role);
	Answer answer = {.has_retry = v.has_retry, .retry = v.retry};
	bool human = v.human || was_rolled_back(p);
	bool crowded = human && count_waiting(p, v.at) >= WAITING_MAX;

	answer.reason = ga_learning_reason(&v, p->agent_role);
	if (v.over_limit || v.cooling || crowded)
	{
		if (!v.over_limit && !v.cooling)
			answer.reason = psprintf("too_many_pending: %d proposals for role %s wait for a human",
			                         WAITING_MAX, p->agent_role);
		answer.status = "refused";
		ga_count(GA_COUNT_PROMPTS_REFUSED);
		tell(p, "refuse", GA_OUTCOME_DENIED, who, v.at, answer.reason);
		return answer;
	}
	take_version(p);
	if (human)
	{
		GaApproval *request;

		if (!v.human)
			answer.reason = pstrdup("requires_approval: this text was rolled back before");
		request = ask_human(p, who, v.at, answer.reason);
		p->approval_id = request->id;
		store(p, who, v.at, request);
		answer.status = "pending_review";
		tell(p, "proposed", GA_OUTCOME_OK, who, v.at, answer.reason);
		return answer;
	}
	store(p, who, v.at, NULL);
	go_live(p, who, v.at, true);
	answer.status = "auto_approved";
	tell(p, "live", GA_OUTCOME_OK, who, v.at, answer.status);
	return answer;
}

/* ---- the SQL functions ---- */

Datum
ga_propose_prompt(PG_FUNCTION_ARGS)
{
	GaCall call;
	Proposal p = {0};
	Answer answer;
	Datum values[6] = {0};
	bool nulls[6] = {false};
	MemoryContext inside;

	ga_enter(&call, "learning.propose");
	p.agent_role = ga_learning_role(fcinfo, 0);
	p.text = ga_arg_text_max(fcinfo, 1, "prompt_text", PROMPT_MAX, false);
	p.pattern = ga_arg_text_max(fcinfo, 2, "learned_from_pattern", NOTE_MAX, true);
	p.auto_learned = ga_arg_bool(fcinfo, 3, "auto_learned");
	p.tenant = ga_tenant_for_new_row(call.principal, NULL);
	answer = propose(&p, call.principal);
	inside = MemoryContextSwitchTo(call.result_context);
	values[2] = CStringGetTextDatum(answer.status);
	values[4] = CStringGetTextDatum(answer.reason);
	MemoryContextSwitchTo(inside);
	ga_leave(&call);
	values[0] = Int64GetDatum(p.id);
	values[1] = Int32GetDatum(p.version);
	nulls[0] = nulls[1] = p.version == 0;
	values[3] = Int64GetDatum(p.approval_id);
	nulls[3] = p.approval_id == 0;
	values[5] = TimestampTzGetDatum(answer.retry);
	nulls[5] = !answer.has_retry;
	return ga_return_record(fcinfo, values, nulls, lengthof(values));
}

/* The request a prompt waits for: 42704 for no such prompt, 55000 for one that asks nobody. */
static int64
request_of_prompt(const GaPrincipal *who, int64 prompt_id)
{
	static GaStmt find =
	    GA_STMT("SELECT approval_id::pg_catalog.int8, approval_status::pg_catalog.text"
	            " FROM goldenarch.prompts WHERE tenant OPERATOR(pg_catalog.>=) $1"
	            " AND tenant OPERATOR(pg_catalog.<=) $2 AND id OPERATOR(pg_catalog.=) $3",
	            TEXTOID, TEXTOID, INT8OID);
	GaRows rows = ga_query(&find, ga_text(ga_tenant_floor(who)), ga_text(ga_tenant_ceiling(who)),
	                       ga_int8(prompt_id));

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("prompt %lld does not exist", (long long) prompt_id),
		                errhint("List the prompts with SELECT * FROM goldenarch.agent_prompts.")));
	if (ga_row_isnull(&rows, 0, 1))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("prompt %lld waits for nobody", (long long) prompt_id),
		                errdetail("It is %s.", ga_row_text_present(&rows, 0, 2)),
		                errhint("rollback_prompt() makes an earlier version live again.")));
	return ga_row_int8(&rows, 0, 1);
}

Datum
ga_approve_prompt_update(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *notes;
	const char *digest;
	const char *state;
	int64 id;

	ga_enter(&call, "learning.approve");
	id = ga_arg_int8(fcinfo, 0, "prompt_id", PG_INT64_MIN, PG_INT64_MAX);
	notes = ga_arg_text_max(fcinfo, 1, "notes", NOTE_MAX, true);
	digest = ga_arg_text_or_null(fcinfo, 2, "digest");
	state =
	    ga_approval_approve(call.principal, request_of_prompt(call.principal, id), notes, digest);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

Datum
ga_reject_prompt_update(PG_FUNCTION_ARGS)
{
	GaCall call;
	const char *reason;
	const char *state;
	int64 id;

	ga_enter(&call, "learning.approve");
	id = ga_arg_int8(fcinfo, 0, "prompt_id", PG_INT64_MIN, PG_INT64_MAX);
	reason = ga_arg_text_max(fcinfo, 1, "reason", NOTE_MAX, false);
	state = ga_approval_reject(call.principal, request_of_prompt(call.principal, id), reason);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

Datum
ga_active_prompt(PG_FUNCTION_ARGS)
{
	static GaStmt find = GA_READ(
	    "SELECT p.prompt_text::pg_catalog.text FROM goldenarch.prompt_history h"
	    " JOIN goldenarch.prompts p ON p.tenant OPERATOR(pg_catalog.=) h.tenant"
	    " AND p.id OPERATOR(pg_catalog.=) h.prompt_id"
	    " WHERE h.tenant OPERATOR(pg_catalog.=) $1 AND h.agent_role OPERATOR(pg_catalog.=) $2"
	    " AND pg_catalog.upper_inf(h.live)",
	    TEXTOID, TEXTOID);
	GaCall call;
	GaRows rows;
	char *text = NULL;

	ga_enter(&call, "agent.view");
	rows = ga_query(&find, ga_text(call.principal->tenant), ga_text(ga_learning_role(fcinfo, 0)));
	if (rows.count > 0)
		text = ga_row_text_present(&rows, 0, 1);
	ga_leave(&call);
	if (text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

/* The version to return to: it must have been approved once, and be another than the live one. */
static void
find_version(Proposal *p, int32 version)
{
	static GaStmt find = GA_STMT(
	    "SELECT id::pg_catalog.int8, approval_status::pg_catalog.text FROM goldenarch.prompts"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2"
	    " AND version OPERATOR(pg_catalog.=) $3",
	    TEXTOID, TEXTOID, INT4OID);
	GaRows rows = ga_query(&find, ga_text(p->tenant), ga_text(p->agent_role), ga_int4(version));
	const char *status;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("role \"%s\" has no prompt version %d", p->agent_role, version),
		                errhint("List the prompts with SELECT * FROM goldenarch.agent_prompts.")));
	status = ga_row_text_present(&rows, 0, 2);
	if (strcmp(status, "auto_approved") != 0 && strcmp(status, "human_approved") != 0)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("version %d of role \"%s\" was never approved", version, p->agent_role),
		         errdetail("It is %s.", status),
		         errhint("Only what was live before can be made live again.")));
	p->has_base = live_version(p->tenant, p->agent_role, &p->base);
	if (p->has_base && p->base == version)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("version %d of role \"%s\" is live", version, p->agent_role),
		                errhint("Name an earlier version.")));
	p->id = ga_row_int8(&rows, 0, 1);
	p->version = version;
}

static void
mark_rolled_back(const Proposal *p, TimestampTz at)
{
	static GaStmt mark =
	    GA_STMT("UPDATE goldenarch.prompts SET rolled_back_at = CASE"
	            " WHEN version OPERATOR(pg_catalog.=) $3 THEN $5::pg_catalog.timestamptz END"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND agent_role OPERATOR(pg_catalog.=) $2"
	            " AND version OPERATOR(pg_catalog.=) ANY (ARRAY[$3, $4])",
	            TEXTOID, TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID);

	ga_query(&mark, ga_text(p->tenant), ga_text(p->agent_role), ga_int4(p->base),
	         ga_int4(p->version), ga_timestamp(at));
}

Datum
ga_rollback_prompt(PG_FUNCTION_ARGS)
{
	GaCall call;
	Proposal p = {0};
	GaLearningVerdict v;
	int32 version;

	ga_enter(&call, "learning.approve");
	p.agent_role = ga_learning_role(fcinfo, 0);
	version = ga_arg_int4(fcinfo, 1, "version", 1, PG_INT32_MAX);
	p.tenant = ga_tenant_for_new_row(call.principal, NULL);
	v = ga_learning_decide(p.tenant, p.agent_role);
	find_version(&p, version);
	mark_rolled_back(&p, v.at);
	go_live(&p, call.principal, v.at, false);
	tell(&p, "rolled_back", GA_OUTCOME_OK, call.principal, v.at,
	     psprintf("from version %d", p.base));
	ga_leave(&call);
	PG_RETURN_INT64(p.id);
}
