/* SPDX-License-Identifier: PostgreSQL */
/*
 * Peer reviews: the roster and its weights are fixed when a review is opened, each person votes
 * once and never on work of his own, and the review settles as soon as no vote that is still out
 * can change it. A vote first updates the session's row, so votes are counted one after another at
 * any isolation level. Locks: the task (opening alone), then the session.
 */
#include "review.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/maintenance.h"
#include "goldenarch/metrics.h"

#define REVIEWERS_MAX 100
#define DEADLINE_MAX_US (INT64CONST(30) * USECS_PER_DAY)

/* The author of a task and whoever worked on it, and the persons behind them, do not judge it. */
static bool
is_own_work(const GaTask *task, const char *subject)
{
	char *person = ga_agent_person(task->tenant, subject);

	if (strcmp(task->created_by, subject) == 0 ||
	    strcmp(ga_agent_person(task->tenant, task->created_by), person) == 0 ||
	    ga_task_worked_on_by(task, subject))
		return true;
	for (int i = 0; i < task->nclaimants; i++)
	{
		if (strcmp(ga_agent_person(task->tenant, task->claimants[i]), person) == 0)
			return true;
	}
	return false;
}

static Numeric
weight_of_role(const char *role)
{
	static GaStmt find =
	    GA_STMT("SELECT vote_weight::pg_catalog.numeric"
	            " FROM goldenarch.agent_roles WHERE role OPERATOR(pg_catalog.=) $1",
	            TEXTOID);
	GaRows rows = ga_query(&find, ga_text(role));

	if (rows.count == 0)
		return ga_consensus_number(GA_UNKNOWN_ROLE_WEIGHT);
	return ga_task_row_numeric(&rows, 0, 1);
}

static void
refuse_reviewer(const char *reviewer, const char *why)
{
	ga_bad_argument("reviewers", psprintf("\"%s\" %s.", reviewer, why));
}

/* {"reviewer-1": {"role": ..., "weight": ...}, ...}; *total: the sum of the weights. */
static Jsonb *
declare_roster(const GaTask *task, char **reviewers, int n, Numeric *total)
{
	char **persons = palloc(sizeof(char *) * (n + 1));
	GaVote *seats = palloc0(sizeof(GaVote) * (n + 1));
	GaJson json;
	Numeric none = ga_consensus_number("0");

	ga_json_begin_object(&json);
	for (int i = 0; i < n; i++)
	{
		char *role = ga_agent_role(task->tenant, reviewers[i]);

		if (is_own_work(task, reviewers[i]))
			refuse_reviewer(reviewers[i], "made the task, worked on it, or stands for one who did");
		persons[i] = ga_agent_person(task->tenant, reviewers[i]);
		for (int j = 0; j < i; j++)
		{
			if (strcmp(persons[j], persons[i]) == 0)
				refuse_reviewer(reviewers[i], "stands for a person who has a seat already");
		}
		seats[i] = (GaVote){reviewers[i], role, weight_of_role(role), "approve"};
		ga_json_begin_object_in(&json, reviewers[i]);
		ga_json_text(&json, "role", role);
		ga_consensus_put(&json, "weight", seats[i].weight);
		ga_json_end_object(&json);
	}
	*total = ga_consensus_tally(seats, n, ga_consensus_number("1"), ga_consensus_number("1")).score;
	if (DatumGetInt32(
	        DirectFunctionCall2(numeric_cmp, NumericGetDatum(*total), NumericGetDatum(none))) <= 0)
		ga_bad_argument("reviewers", "No vote of theirs has any weight.");
	return ga_json_end(&json);
}

static void
settle(const GaReview *review, const GaTask *task, const char *status)
{
	static GaStmt end =
	    GA_STMT("UPDATE goldenarch.peer_review_sessions SET status = $3, score = $4,"
	            " settled_at = $5 WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND id OPERATOR(pg_catalog.=) $2 AND status OPERATOR(pg_catalog.=) 'open'",
	            TEXTOID, UUIDOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID);
	GaTally tally =
	    ga_consensus_tally(review->votes, review->nvotes, review->quorum, review->total);
	GaReview settled = *review;
	Jsonb *explained;

	if (ga_query(&end, ga_text(review->tenant), ga_uuid(review->id), ga_text(status),
	             ga_datum(NumericGetDatum(tally.score), false), ga_timestamp(ga_now()))
	        .count == 0)
		return;
	settled.status = status;
	explained = ga_review_explain(&settled);
	ga_count(GA_COUNT_REVIEWS_SETTLED);
	ga_task_publish(task, "settled", explained);
	(void) ga_audit("review.settle", "review", ga_task_uuid_show(review->id), explained);
}

/* A review that is overdue or on work that changed since makes room; a live one does not. */
static void
close_former(const GaTask *task)
{
	static GaStmt find =
	    GA_STMT("SELECT id::pg_catalog.uuid FROM goldenarch.peer_review_sessions"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND task_id OPERATOR(pg_catalog.=) $2"
	            " AND status OPERATOR(pg_catalog.=) 'open' FOR UPDATE",
	            TEXTOID, UUIDOID);
	GaRows rows = ga_query(&find, ga_text(task->tenant), ga_uuid(task->id));
	GaReview *review;

	if (rows.count == 0)
		return;
	review = ga_review_find(ga_task_row_uuid(&rows, 0, 1));
	if (strcmp(review->status, "open") == 0 && review->revision == task->revision)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is being reviewed", ga_task_uuid_show(task->id)),
		                errdetail("Review %s is open.", ga_task_uuid_show(review->id))));
	settle(review, task, "failed");
}

static void
announce_opened(const GaTask *task, const pg_uuid_t *id, Numeric quorum, const Jsonb *roster,
                TimestampTz deadline)
{
	GaJson json;
	Jsonb *event;

	ga_json_begin_object(&json);
	ga_json_text(&json, "review_id", ga_task_uuid_show(id));
	ga_json_text(&json, "task_id", ga_task_uuid_show(task->id));
	ga_json_text(&json, "tenant", task->tenant);
	ga_consensus_put(&json, "quorum", quorum);
	ga_json_jsonb(&json, "roster", roster);
	ga_json_timestamp(&json, "deadline", deadline);
	event = ga_json_end(&json);
	ga_task_publish(task, "opened", event);
	(void) ga_audit("review.open", "review", ga_task_uuid_show(id), event);
}

GA_FUNCTION(ga_sql_open_review);
Datum
ga_sql_open_review(PG_FUNCTION_ARGS)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.peer_review_sessions (tenant, id, task_id, revision, quorum,"
	    " roster, total_weight, opened_by, opened_at, deadline)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	    TEXTOID, UUIDOID, UUIDOID, INT4OID, NUMERICOID, JSONBOID, NUMERICOID, TEXTOID,
	    TIMESTAMPTZOID, TIMESTAMPTZOID);
	GaCall call;
	GaTask *task;
	Numeric quorum;
	Numeric total = ga_consensus_number("1");
	Jsonb *roster = NULL;
	char **reviewers;
	int n;
	int64 within;
	TimestampTz now = ga_now();
	pg_uuid_t *id;

	ga_enter(&call, "task.update");
	quorum = ga_consensus_quorum_arg(fcinfo, 1);
	within = ga_arg_interval_us(fcinfo, 2, "deadline", false);
	if (within > DEADLINE_MAX_US)
		ga_bad_argument("deadline", "It is longer than 30 days.");
	reviewers = ga_arg_text_array(fcinfo, 3, "reviewers", true, &n);
	if (!PG_ARGISNULL(3) && (n == 0 || n > REVIEWERS_MAX))
		ga_bad_argument("reviewers", "It must name from 1 to 100 reviewers.");
	task = ga_task_find(ga_task_uuid_arg(fcinfo, 0, "task_id"), true);
	ga_task_require_unfinished(task);
	if (n > 0)
		roster = declare_roster(task, reviewers, n, &total);
	close_former(task);
	id = ga_task_uuid_new();
	(void) ga_query(&insert, ga_text(task->tenant), ga_uuid(id), ga_uuid(task->id),
	                ga_int4(task->revision), ga_datum(NumericGetDatum(quorum), false),
	                ga_jsonb(roster), ga_datum(NumericGetDatum(total), false),
	                ga_text(call.principal->subject), ga_timestamp(now),
	                ga_timestamp(now + within));
	ga_task_touch(task);
	announce_opened(task, id, quorum, roster, now + within);
	id = memcpy(MemoryContextAlloc(call.result_context, sizeof(*id)), id, sizeof(*id));
	ga_leave(&call);
	PG_RETURN_UUID_P(id);
}

static void
deny_vote(const pg_uuid_t *id, const char *message, const char *detail)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = "review.vote",
	                   .resource_type = "review",
	                   .resource_id = ga_task_uuid_show(id),
	                   .message = message,
	                   .detail = detail};

	ga_deny(&denial);
}

/* The seat the caller votes from: its role and weight. */
static GaVote
take_seat(const GaReview *review, const GaTask *task, const char *subject)
{
	GaVote seat = {.agent = subject};

	ga_agent_require_active(task->tenant, subject, "review.vote");
	if (is_own_work(task, subject))
		deny_vote(review->id, "nobody votes on his own work",
		          "The caller made the task, worked on it, or stands for one who did.");
	if (review->roster == NULL)
	{
		seat.role = ga_agent_role(task->tenant, subject);
		seat.weight = weight_of_role(seat.role);
	}
	else if (!ga_review_seat(review->roster, subject, &seat))
		deny_vote(review->id, psprintf("\"%s\" has no seat in this review", subject),
		          "The roster was declared when the review was opened.");
	return seat;
}

/* Locks the session by updating it; 55000 when it is over or the work has changed. */
static void
lock_session(const GaReview *review, const GaTask *task)
{
	static GaStmt lock =
	    GA_STMT("UPDATE goldenarch.peer_review_sessions SET votes = votes OPERATOR(pg_catalog.+) 1"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2"
	            " AND status OPERATOR(pg_catalog.=) 'open' AND deadline OPERATOR(pg_catalog.>) $3",
	            TEXTOID, UUIDOID, TIMESTAMPTZOID);

	if (review->revision != task->revision)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("review %s is of earlier work", ga_task_uuid_show(review->id)),
		                errdetail("The task went back to developing since."),
		                errhint("Open a new review with open_review().")));
	if (ga_query(&lock, ga_text(review->tenant), ga_uuid(review->id), ga_timestamp(ga_now()))
	        .count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("review %s is over", ga_task_uuid_show(review->id))));
}

static void
write_vote(const GaReview *review, const GaVote *seat, const char *reasoning)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.peer_votes (tenant, review_id, person, voter, role, weight,"
	    " vote, reasoning, voted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	    " ON CONFLICT (tenant, review_id, person) DO NOTHING",
	    TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	char *person = ga_agent_person(review->tenant, seat->agent);

	if (ga_query(&insert, ga_text(review->tenant), ga_uuid(review->id), ga_text(person),
	             ga_text(seat->agent), ga_text(seat->role),
	             ga_datum(NumericGetDatum(seat->weight), false), ga_text(seat->vote),
	             ga_text(reasoning), ga_timestamp(ga_now()))
	        .count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
		                errmsg("\"%s\" has already voted in review %s", person,
		                       ga_task_uuid_show(review->id)),
		                errdetail("Each person votes once, whichever of his agents it is.")));
	(void) ga_audit(
	    "review.vote", "review", ga_task_uuid_show(review->id),
	    ga_json_pairs("vote", seat->vote, "role", seat->role, "reasoning", reasoning, NULL));
}

/* Settled as soon as the votes still out can change nothing. An open panel may always grow. */
static void
settle_if_decided(const GaReview *review, const GaTask *task)
{
	GaTally tally =
	    ga_consensus_tally(review->votes, review->nvotes, review->quorum, review->total);

	if (tally.passed)
		settle(review, task, "passed");
	else if (review->roster != NULL &&
	         !ga_consensus_reachable(review->votes, review->nvotes, review->quorum, review->total))
		settle(review, task, "failed");
}

GA_FUNCTION(ga_sql_cast_vote);
Datum
ga_sql_cast_vote(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaReview *review;
	GaTask *task;
	GaVote seat;
	char *vote;
	char *reasoning;
	const pg_uuid_t *id;
	Jsonb *answer;

	ga_enter(&call, "task.vote");
	vote = ga_arg_text(fcinfo, 1, "vote");
	if (!ga_consensus_is_vote(vote))
		ga_bad_argument("vote", "It must be approve, conditional or reject.");
	reasoning = ga_arg_text_max(fcinfo, 2, "reasoning", GA_WORDS_BYTES, true);
	id = ga_task_uuid_arg(fcinfo, 0, "review_id");
	review = ga_review_find(id);
	task = ga_task_find(review->task_id, false);
	seat = take_seat(review, task, call.principal->subject);
	seat.vote = vote;
	lock_session(review, task);
	write_vote(review, &seat, reasoning);
	review = ga_review_find(id);
	ga_task_publish(task, "vote", ga_review_explain(review));
	settle_if_decided(review, task);
	answer = ga_task_keep(&call, ga_review_explain(ga_review_find(id)));
	ga_leave(&call);
	PG_RETURN_JSONB_P(answer);
}

int64
ga_review_settle_due(void)
{
	static GaStmt find =
	    GA_STMT("SELECT id::pg_catalog.uuid FROM goldenarch.peer_review_sessions"
	            " WHERE tenant OPERATOR(pg_catalog.>=) $1 AND tenant OPERATOR(pg_catalog.<=) $2"
	            " AND status OPERATOR(pg_catalog.=) 'open' AND deadline OPERATOR(pg_catalog.<=) $3"
	            " LIMIT $4 FOR UPDATE SKIP LOCKED",
	            TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(&find, ga_text(ga_tenant_floor(who)), ga_text(ga_tenant_ceiling(who)),
	                       ga_timestamp(ga_now()), ga_int4(GA_MAINTENANCE_BATCH));

	for (uint64 i = 0; i < rows.count; i++)
	{
		GaReview *review = ga_review_find(ga_task_row_uuid(&rows, i, 1));

		settle(review, ga_task_find(review->task_id, false), "failed");
	}
	return (int64) rows.count;
}
