/* SPDX-License-Identifier: PostgreSQL */
/*
 * Why a peer review came out as it did: a function of the stored session and votes and of the
 * clock, which ends an overdue review before the maintenance job writes so. Reads alone; no lock.
 */
#include "review.h"

#include "utils/builtins.h"

#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"

bool
ga_review_seat(const Jsonb *roster, const char *agent, GaVote *seat)
{
	JsonbValue found;
	JsonbValue *member;
	JsonbContainer *object;

	if (getKeyJsonValueFromContainer((JsonbContainer *) &roster->root, agent, (int) strlen(agent),
	                                 &found) == NULL ||
	    found.type != jbvBinary || !JsonContainerIsObject(found.val.binary.data))
		return false;
	object = found.val.binary.data;
	*seat = (GaVote){.agent = pstrdup(agent)};
	member = getKeyJsonValueFromContainer(object, "role", 4, NULL);
	if (member == NULL || member->type != jbvString)
		return false;
	seat->role = pnstrdup(member->val.string.val, member->val.string.len);
	member = getKeyJsonValueFromContainer(object, "weight", 6, NULL);
	if (member == NULL || member->type != jbvNumeric)
		return false;
	seat->weight = member->val.numeric;
	return true;
}

static int
by_agent(const void *a, const void *b)
{
	return strcmp(((const GaVote *) a)->agent, ((const GaVote *) b)->agent);
}

/* The seats of the roster, nobody having voted. */
static void
take_seats(GaReview *review)
{
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;

	if (review->roster == NULL || !JB_ROOT_IS_OBJECT(review->roster))
		return;
	review->votes = palloc0(sizeof(GaVote) * (JB_ROOT_COUNT(review->roster) + 1));
	it = JsonbIteratorInit((JsonbContainer *) &review->roster->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY &&
		    ga_review_seat(review->roster, pnstrdup(value.val.string.val, value.val.string.len),
		                   &review->votes[review->nvotes]))
			review->nvotes++;
	}
	qsort(review->votes, review->nvotes, sizeof(GaVote), by_agent);
}

static void
read_votes(GaReview *review)
{
	static GaStmt find =
	    GA_STMT("SELECT voter::pg_catalog.text, role::pg_catalog.text, weight::pg_catalog.numeric,"
	            " vote::pg_catalog.text, reasoning::pg_catalog.text FROM goldenarch.peer_votes"
	            " WHERE tenant OPERATOR(pg_catalog.=) $1 AND review_id OPERATOR(pg_catalog.=) $2"
	            " ORDER BY voter COLLATE pg_catalog.\"C\" USING OPERATOR(pg_catalog.<)",
	            TEXTOID, UUIDOID);
	GaRows rows = ga_query(&find, ga_text(review->tenant), ga_uuid(review->id));
	int seats = review->nvotes;

	review->votes = seats > 0 ? repalloc(review->votes, sizeof(GaVote) * (seats + rows.count + 1))
	                          : palloc(sizeof(GaVote) * (rows.count + 1));
	review->reasons = palloc0(sizeof(char *) * (seats + rows.count + 1));
	for (uint64 i = 0; i < rows.count; i++)
	{
		GaVote cast = {.agent = ga_row_text_present(&rows, i, 1),
		               .role = ga_row_text_present(&rows, i, 2),
		               .weight = ga_task_row_numeric(&rows, i, 3),
		               .vote = ga_row_text_present(&rows, i, 4)};
		int seat = 0;

		while (seat < seats && strcmp(review->votes[seat].agent, cast.agent) != 0)
			seat++;
		if (seat == seats)
			seat = review->nvotes++;
		review->votes[seat] = cast;
		review->reasons[seat] = ga_row_text(&rows, i, 5);
	}
}

GaReview *
ga_review_find(const pg_uuid_t *id)
{
	static GaStmt find = GA_STMT(
	    "SELECT tenant::pg_catalog.text, id::pg_catalog.uuid, task_id::pg_catalog.uuid,"
	    " revision::pg_catalog.int4, quorum::pg_catalog.numeric, roster::pg_catalog.jsonb,"
	    " total_weight::pg_catalog.numeric, status::pg_catalog.text, opened_by::pg_catalog.text,"
	    " deadline::pg_catalog.timestamptz FROM goldenarch.peer_review_sessions"
	    " WHERE id OPERATOR(pg_catalog.=) $1 AND tenant OPERATOR(pg_catalog.>=) $2"
	    " AND tenant OPERATOR(pg_catalog.<=) $3",
	    UUIDOID, TEXTOID, TEXTOID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(&find, ga_uuid(id), ga_text(ga_tenant_floor(who)),
	                       ga_text(ga_tenant_ceiling(who)));
	GaReview *review = palloc0(sizeof(GaReview));

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("review %s does not exist", ga_task_uuid_show(id))));
	review->tenant = ga_row_text_present(&rows, 0, 1);
	review->id = ga_task_row_uuid(&rows, 0, 2);
	review->task_id = ga_task_row_uuid(&rows, 0, 3);
	review->revision = ga_row_int4(&rows, 0, 4);
	review->quorum = ga_task_row_numeric(&rows, 0, 5);
	review->roster = ga_row_jsonb(&rows, 0, 6);
	review->total = ga_task_row_numeric(&rows, 0, 7);
	review->status = ga_row_text_present(&rows, 0, 8);
	review->opened_by = ga_row_text_present(&rows, 0, 9);
	review->deadline = ga_row_timestamp(&rows, 0, 10);
	review->stored_open = strcmp(review->status, "open") == 0;
	take_seats(review);
	read_votes(review);
	/* whoever did not vote in time abstained, and a quorum that was reached had settled it */
	if (review->stored_open && review->deadline <= ga_now())
		review->status = "failed";
	return review;
}

static void
write_dissent(GaJson *json, const GaReview *review)
{
	ga_json_begin_array_in(json, "dissent");
	for (int i = 0; i < review->nvotes; i++)
	{
		const GaVote *vote = &review->votes[i];

		if (vote->vote == NULL || strcmp(vote->vote, "approve") == 0)
			continue;
		ga_json_begin_object_in(json, NULL);
		ga_json_text(json, "agent", vote->agent);
		ga_json_text(json, "vote", vote->vote);
		ga_json_text(json, "reasoning", review->reasons[i]);
		ga_json_end_object(json);
	}
	ga_json_end_array(json);
}

Jsonb *
ga_review_explain(const GaReview *review)
{
	bool open = strcmp(review->status, "open") == 0;
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "review_id", ga_task_uuid_show(review->id));
	ga_json_text(&json, "task_id", ga_task_uuid_show(review->task_id));
	ga_json_int8(&json, "revision", review->revision);
	ga_json_text(&json, "status", review->status);
	ga_json_text(&json, "opened_by", review->opened_by);
	ga_json_timestamp(&json, "deadline", review->deadline);
	ga_consensus_write(&json, review->votes, review->nvotes, review->quorum, review->total);
	ga_json_begin_array_in(&json, open ? "waiting_for" : "abstained");
	for (int i = 0; i < review->nvotes; i++)
	{
		if (review->votes[i].vote == NULL)
			ga_json_text(&json, NULL, review->votes[i].agent);
	}
	ga_json_end_array(&json);
	write_dissent(&json, review);
	return ga_json_end(&json);
}

GA_FUNCTION(ga_sql_explain_review);
Datum
ga_sql_explain_review(PG_FUNCTION_ARGS)
{
	GaCall call;
	Jsonb *answer;

	ga_enter(&call, "task.view");
	answer = ga_task_keep(
	    &call, ga_review_explain(ga_review_find(ga_task_uuid_arg(fcinfo, 0, "review_id"))));
	ga_leave(&call);
	PG_RETURN_JSONB_P(answer);
}

/* What the review would come to, had this seat voted so (null: not at all). True: it passes. */
static bool
write_outcome(GaJson *json, const char *key, const GaReview *review, int seat, const char *vote)
{
	GaVote changed = review->votes[seat];
	GaVote kept = changed;
	GaTally tally;

	changed.vote = vote;
	review->votes[seat] = changed;
	tally = ga_consensus_tally(review->votes, review->nvotes, review->quorum, review->total);
	review->votes[seat] = kept;
	ga_json_begin_object_in(json, key);
	ga_consensus_put(json, "consensus_score", tally.score);
	ga_json_bool(json, "passed", tally.passed);
	ga_json_end_object(json);
	return tally.passed;
}

static Jsonb *
vote_impact(const GaReview *review, int seat)
{
	const GaVote *vote = &review->votes[seat];
	GaTally tally =
	    ga_consensus_tally(review->votes, review->nvotes, review->quorum, review->total);
	bool decisive = false;
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "review_id", ga_task_uuid_show(review->id));
	ga_json_text(&json, "agent", vote->agent);
	ga_json_text(&json, "role", vote->role);
	ga_json_text(&json, "vote", vote->vote);
	ga_consensus_put(&json, "consensus_score", tally.score);
	ga_json_bool(&json, "passed", tally.passed);
	decisive |= write_outcome(&json, "without", review, seat, NULL) != tally.passed;
	decisive |= write_outcome(&json, "if_approve", review, seat, "approve") != tally.passed;
	decisive |= write_outcome(&json, "if_conditional", review, seat, "conditional") != tally.passed;
	decisive |= write_outcome(&json, "if_reject", review, seat, "reject") != tally.passed;
	ga_json_bool(&json, "decisive", decisive);
	return ga_json_end(&json);
}

GA_FUNCTION(ga_sql_explain_vote_impact);
Datum
ga_sql_explain_vote_impact(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaReview *review;
	char *agent;
	int seat = 0;
	Jsonb *answer;

	ga_enter(&call, "task.view");
	agent = ga_arg_text(fcinfo, 1, "agent");
	review = ga_review_find(ga_task_uuid_arg(fcinfo, 0, "review_id"));
	while (seat < review->nvotes && strcmp(review->votes[seat].agent, agent) != 0)
		seat++;
	if (seat == review->nvotes)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("agent \"%s\" has neither a seat nor a vote in review %s", agent,
		                       ga_task_uuid_show(review->id))));
	answer = ga_task_keep(&call, vote_impact(review, seat));
	ga_leave(&call);
	PG_RETURN_JSONB_P(answer);
}
