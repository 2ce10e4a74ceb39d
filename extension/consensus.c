/* SPDX-License-Identifier: PostgreSQL */
/*
 * explain_consensus: a pure function of its arguments. It owns the shipped weights that stand in
 * goldenarch.agent_roles too (a test compares the two), reads no table, no clock and no identity.
 *
 * A weight is a share of the whole panel, so a silent reviewer is not taken for a consenting one:
 * the score of those who voted is never scaled up.
 */
#include "consensus.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/compat.h"
#include "goldenarch/error.h"

#define MAX_VOTES 10000

static const struct
{
	const char *role;
	const char *weight;
} shipped_weights[] = {
    {"architect", "0.25"}, {"developer", "0.10"}, {"reviewer", "0.25"},
    {"security", "0.25"},  {"tester", "0.15"},
};

Numeric
ga_consensus_number(const char *literal)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(literal),
	                                           ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static Numeric
calculate(PGFunction operation, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(operation, NumericGetDatum(a), NumericGetDatum(b)));
}

static int
compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/* As people write it: six digits at most, no trailing zeros. */
static Numeric
tidy(Numeric number)
{
	Datum rounded = DirectFunctionCall2(numeric_round, NumericGetDatum(number), Int32GetDatum(6));

	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, rounded));
}

char *
ga_consensus_show(Numeric number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(tidy(number))));
}

void
ga_consensus_put(GaJson *json, const char *key, Numeric number)
{
	JsonbValue value;

	value.type = jbvNumeric;
	value.val.numeric = tidy(number);
	ga_json_jsonb(json, key, JsonbValueToJsonb(&value));
}

bool
ga_consensus_is_vote(const char *vote)
{
	return strcmp(vote, "approve") == 0 || strcmp(vote, "conditional") == 0 ||
	       strcmp(vote, "reject") == 0;
}

char *
ga_consensus_role(const char *agent)
{
	const char *dash = strrchr(agent, '-');

	if (dash == NULL || dash == agent || dash[1] == '\0' ||
	    strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return pstrdup(agent);
	return pnstrdup(agent, dash - agent);
}

static Numeric
contribution(const GaVote *vote)
{
	if (vote->vote != NULL && strcmp(vote->vote, "approve") == 0)
		return vote->weight;
	if (vote->vote != NULL && strcmp(vote->vote, "conditional") == 0)
		return calculate(numeric_mul, vote->weight, ga_consensus_number("0.5"));
	return ga_consensus_number("0");
}

GaTally
ga_consensus_tally(const GaVote *votes, int n, Numeric quorum, Numeric total)
{
	GaTally tally = {0};
	Numeric won = ga_consensus_number("0");
	Numeric zero = won;

	for (int i = 0; i < n; i++)
	{
		won = calculate(numeric_add, won, contribution(&votes[i]));
		if (votes[i].vote == NULL)
			tally.silent++;
		else if (strcmp(votes[i].vote, "approve") == 0)
			tally.approve++;
		else if (strcmp(votes[i].vote, "conditional") == 0)
			tally.conditional++;
		else
			tally.reject++;
	}
	tally.passed = compare(won, calculate(numeric_mul, quorum, total)) >= 0;
	tally.score = tidy(calculate(numeric_div, won, total));
	tally.missing = tally.passed ? zero : tidy(calculate(numeric_sub, quorum, tally.score));
	return tally;
}

bool
ga_consensus_reachable(const GaVote *votes, int n, Numeric quorum, Numeric total)
{
	Numeric best = ga_consensus_number("0");

	for (int i = 0; i < n; i++)
		best = calculate(numeric_add, best,
		                 votes[i].vote == NULL ? votes[i].weight : contribution(&votes[i]));
	return compare(best, calculate(numeric_mul, quorum, total)) >= 0;
}

static char *
summarize(const GaTally *tally, Numeric quorum)
{
	if (tally->passed)
		return psprintf("consensus reached: score %s of the %s required; %d approve, "
		                "%d conditional, %d reject",
		                ga_consensus_show(tally->score), ga_consensus_show(quorum), tally->approve,
		                tally->conditional, tally->reject);
	return psprintf("consensus not reached: score %s, %s short of the %s required; %d approve, "
	                "%d conditional, %d reject",
	                ga_consensus_show(tally->score), ga_consensus_show(tally->missing),
	                ga_consensus_show(quorum), tally->approve, tally->conditional, tally->reject);
}

void
ga_consensus_write(GaJson *json, const GaVote *votes, int n, Numeric quorum, Numeric total)
{
	GaTally tally = ga_consensus_tally(votes, n, quorum, total);

	ga_consensus_put(json, "consensus_score", tally.score);
	ga_consensus_put(json, "quorum_threshold", quorum);
	ga_json_bool(json, "passed", tally.passed);
	ga_consensus_put(json, "missing_for_quorum", tally.missing);
	ga_json_begin_object_in(json, "contributions");
	for (int i = 0; i < n; i++)
	{
		if (votes[i].vote != NULL)
			ga_consensus_put(json, votes[i].agent,
			                 calculate(numeric_div, contribution(&votes[i]), total));
	}
	ga_json_end_object(json);
	ga_json_begin_object_in(json, "vote_counts");
	ga_json_int8(json, "approve", tally.approve);
	ga_json_int8(json, "conditional", tally.conditional);
	ga_json_int8(json, "reject", tally.reject);
	ga_json_end_object(json);
	ga_json_begin_array_in(json, "details");
	for (int i = 0; i < n; i++)
	{
		if (votes[i].vote == NULL)
			continue;
		ga_json_begin_object_in(json, NULL);
		ga_json_text(json, "agent", votes[i].agent);
		ga_json_text(json, "role", votes[i].role);
		ga_json_text(json, "vote", votes[i].vote);
		ga_consensus_put(json, "weight", calculate(numeric_div, votes[i].weight, total));
		ga_consensus_put(json, "contribution",
		                 calculate(numeric_div, contribution(&votes[i]), total));
		ga_json_end_object(json);
	}
	ga_json_end_array(json);
	ga_json_text(json, "summary", summarize(&tally, quorum));
}

Numeric
ga_consensus_quorum_arg(FunctionCallInfo fcinfo, int n)
{
	Numeric quorum = PG_ARGISNULL(n) ? NULL : PG_GETARG_NUMERIC(n);

	if (quorum == NULL || numeric_is_nan(quorum) ||
	    compare(quorum, ga_consensus_number("0")) <= 0 ||
	    compare(quorum, ga_consensus_number("1")) > 0)
		ga_bad_argument("quorum", "It must be greater than 0 and at most 1.");
	return quorum;
}

static Numeric
role_weight(const Jsonb *role_weights, const char *role)
{
	if (role_weights == NULL)
	{
		for (size_t i = 0; i < lengthof(shipped_weights); i++)
		{
			if (strcmp(shipped_weights[i].role, role) == 0)
				return ga_consensus_number(shipped_weights[i].weight);
		}
	}
	else
	{
		JsonbValue found;

		if (getKeyJsonValueFromContainer((JsonbContainer *) &role_weights->root, role,
		                                 (int) strlen(role), &found) != NULL)
			return found.val.numeric;
	}
	return ga_consensus_number(GA_UNKNOWN_ROLE_WEIGHT);
}

static Jsonb *
weights_arg(FunctionCallInfo fcinfo, int n)
{
	Jsonb *weights = PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;

	if (weights == NULL)
		return NULL;
	if (!JB_ROOT_IS_OBJECT(weights))
		ga_bad_argument("role_weights", "It must be an object of role to weight.");
	it = JsonbIteratorInit(&weights->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE &&
		    (value.type != jbvNumeric || compare(value.val.numeric, ga_consensus_number("0")) < 0 ||
		     compare(value.val.numeric, ga_consensus_number("1000000")) > 0))
			ga_bad_argument("role_weights", "Each weight must be a number from 0 to 1000000.");
	}
	return weights;
}

static GaVote *
votes_arg(FunctionCallInfo fcinfo, const Jsonb *role_weights, int *n)
{
	Jsonb *object = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	JsonbIterator *it;
	JsonbValue value;
	JsonbIteratorToken token;
	GaVote *votes;

	*n = 0;
	if (object == NULL || !JB_ROOT_IS_OBJECT(object))
		ga_bad_argument("votes", "It must be an object of agent to vote.");
	if (JB_ROOT_COUNT(object) > MAX_VOTES)
		ga_bad_argument("votes", "It has more than 10000 members.");
	votes = palloc0(sizeof(GaVote) * (JB_ROOT_COUNT(object) + 1));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		GaVote *vote = &votes[*n];

		if (token == WJB_KEY)
		{
			vote->agent = pnstrdup(value.val.string.val, value.val.string.len);
			if (vote->agent[0] == '\0')
				ga_bad_argument("votes", "An agent's name is empty.");
			vote->role = ga_consensus_role(vote->agent);
			vote->weight = role_weight(role_weights, vote->role);
		}
		else if (token == WJB_VALUE)
		{
			if (value.type == jbvString)
				vote->vote = pnstrdup(value.val.string.val, value.val.string.len);
			if (vote->vote == NULL || !ga_consensus_is_vote(vote->vote))
				ga_bad_argument("votes", "Each vote must be approve, conditional or reject.");
			(*n)++;
		}
	}
	return votes;
}

GA_FUNCTION(ga_sql_explain_consensus);
Datum
ga_sql_explain_consensus(PG_FUNCTION_ARGS)
{
	Jsonb *role_weights = weights_arg(fcinfo, 2);
	int n;
	GaVote *votes = votes_arg(fcinfo, role_weights, &n);
	Numeric quorum = ga_consensus_quorum_arg(fcinfo, 1);
	GaJson json;

	ga_json_begin_object(&json);
	ga_consensus_write(&json, votes, n, quorum, ga_consensus_number("1"));
	PG_RETURN_JSONB_P(ga_json_end(&json));
}
