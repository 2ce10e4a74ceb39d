/* SPDX-License-Identifier: PostgreSQL */
/*
 * What is done about a guard that failed: remediation tasks by the rules of autofix_rules, within
 * limits that end every loop. The limits are counted on the root task, whose row is updated before
 * anything is counted: concurrent failures below one root are decided one after another, and under
 * REPEATABLE READ the later one fails with 40001. Locks: the task, then its root.
 *
 * A security guard is never fixed automatically; past a limit the task is escalated.
 */
#include "guard.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"

typedef struct Rule
{
	int id;
	const char *action;
	int priority;
	const char *agent_role;
	const char *description;
} Rule;

typedef struct Root
{
	int fixes;
	int round;
} Root;

static Rule *
find_rules(const GaFailure *failure, bool reviews_only, int *n)
{
	static GaStmt find = GA_STMT(
	    "SELECT id::pg_catalog.int4, action::pg_catalog.text, priority::pg_catalog.int4,"
	    " agent_role::pg_catalog.text, description::pg_catalog.text FROM goldenarch.autofix_rules"
	    " AS r WHERE (r.target_state OPERATOR(pg_catalog.=) '*'"
	    "  OR r.target_state OPERATOR(pg_catalog.=) $2)"
	    " AND r.guard OPERATOR(pg_catalog.=) CASE WHEN EXISTS (SELECT FROM"
	    "  goldenarch.autofix_rules AS own WHERE own.guard OPERATOR(pg_catalog.=) $1"
	    "  AND (own.target_state OPERATOR(pg_catalog.=) '*'"
	    "   OR own.target_state OPERATOR(pg_catalog.=) $2)) THEN $1 ELSE '*' END"
	    " AND (r.action OPERATOR(pg_catalog.=) 'review' OR NOT $3)"
	    " ORDER BY r.priority USING OPERATOR(pg_catalog.<), r.id USING OPERATOR(pg_catalog.<)",
	    TEXTOID, TEXTOID, BOOLOID);
	GaRows rows =
	    ga_query(&find, ga_text(failure->guard), ga_text(failure->target), ga_bool(reviews_only));
	Rule *rules = palloc(sizeof(Rule) * (rows.count + 1));

	for (uint64 i = 0; i < rows.count; i++)
		rules[i] = (Rule){.id = ga_row_int4(&rows, i, 1),
		                  .action = ga_row_text_present(&rows, i, 2),
		                  .priority = ga_row_int4(&rows, i, 3),
		                  .agent_role = ga_row_text_present(&rows, i, 4),
		                  .description = ga_row_text_present(&rows, i, 5)};
	*n = (int) rows.count;
	return rules;
}

static bool
is_security_guard(const char *guard)
{
	static GaStmt find = GA_STMT("SELECT security::pg_catalog.bool FROM goldenarch.guards"
	                             " WHERE guard OPERATOR(pg_catalog.=) $1",
	                             TEXTOID);
	GaRows rows = ga_query(&find, ga_text(guard));

	return rows.count > 0 && ga_row_bool(&rows, 0, 1);
}

/*
 * The same failure has the same fingerprint: guard, target and failed checks, or the reason where
 * no check is named; numbers do not count (line numbers, times), nor does letter case.
 */
static void
append_normalized(StringInfo buffer, const char *text)
{
	bool number = false;

	for (const char *c = text; *c != '\0'; c++)
	{
		bool digit = *c >= '0' && *c <= '9';

		if (digit && !number)
			appendStringInfoChar(buffer, '#');
		else if (!digit)
			appendStringInfoChar(buffer, (char) pg_ascii_tolower((unsigned char) *c));
		number = digit;
	}
	appendStringInfoChar(buffer, '\0');
}

static char *
fingerprint(const GaFailure *failure)
{
	static const char hex[] = "0123456789abcdef";
	StringInfoData buffer;
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	char *shown = palloc(2 * sizeof(digest) + 1);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, failure->guard, (int) strlen(failure->guard) + 1);
	appendBinaryStringInfo(&buffer, failure->target, (int) strlen(failure->target) + 1);
	if (failure->nchecks == 0)
		append_normalized(&buffer, failure->reason);
	for (int i = 0; i < failure->nchecks; i++)
		append_normalized(&buffer, failure->checks[i]);
	if (pg_cryptohash_init(hash) < 0 ||
	    pg_cryptohash_update(hash, (const uint8 *) buffer.data, buffer.len) < 0 ||
	    pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
	for (size_t i = 0; i < sizeof(digest); i++)
	{
		shown[2 * i] = hex[digest[i] >> 4];
		shown[2 * i + 1] = hex[digest[i] & 15];
	}
	shown[2 * sizeof(digest)] = '\0';
	return shown;
}

/* Locks the root by updating it, so that no isolation level counts on an old snapshot. */
static Root
lock_root(const GaTask *task)
{
	static GaStmt lock =
	    GA_STMT("UPDATE goldenarch.tasks SET updated_at = $3 WHERE tenant OPERATOR(pg_catalog.=) $1"
	            " AND id OPERATOR(pg_catalog.=) $2"
	            " RETURNING fix_count::pg_catalog.int4, fix_round::pg_catalog.int4",
	            TEXTOID, UUIDOID, TIMESTAMPTZOID);
	GaRows rows =
	    ga_query(&lock, ga_text(task->tenant), ga_uuid(task->root), ga_timestamp(ga_now()));

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("root task %s does not exist", ga_task_uuid_show(task->root))));
	return (Root){.fixes = ga_row_int4(&rows, 0, 1), .round = ga_row_int4(&rows, 0, 2)};
}

static void
count_fix(const GaTask *task)
{
	static GaStmt count = GA_STMT("UPDATE goldenarch.tasks SET fix_count = fix_count"
	                              " OPERATOR(pg_catalog.+) 1 WHERE tenant OPERATOR(pg_catalog.=) $1"
	                              " AND id OPERATOR(pg_catalog.=) $2",
	                              TEXTOID, UUIDOID);

	(void) ga_query(&count, ga_text(task->tenant), ga_uuid(task->root));
}

/* Attempts at this fingerprint below the root; *seen: one of them was at this very artifact. */
static int
attempts_made(const GaTask *task, const Root *root, const char *print, const char *artifact,
              bool *seen)
{
	static GaStmt find = GA_STMT(
	    "SELECT COALESCE(pg_catalog.max(fingerprint_attempt), 0)::pg_catalog.int4,"
	    " COALESCE(pg_catalog.bool_or(artifact OPERATOR(pg_catalog.=) $5), false)::pg_catalog.bool"
	    " FROM goldenarch.tasks WHERE tenant OPERATOR(pg_catalog.=) $1"
	    " AND root OPERATOR(pg_catalog.=) $2 AND fingerprint_round OPERATOR(pg_catalog.=) $3"
	    " AND fingerprint OPERATOR(pg_catalog.=) $4",
	    TEXTOID, UUIDOID, INT4OID, TEXTOID, TEXTOID);
	GaRows rows = ga_query(&find, ga_text(task->tenant), ga_uuid(task->root), ga_int4(root->round),
	                       ga_text(print), ga_text(artifact));

	*seen = ga_row_bool(&rows, 0, 2);
	return ga_row_int4(&rows, 0, 1);
}

/* Why no further attempt may be made, or null. */
static const char *
limit_reached(const GaTask *task, const Root *root, int attempts, bool seen)
{
	if (task->fix_depth >= GA_FIX_DEPTH_MAX)
		return "a fix of a fix failed";
	if (seen)
		return "no progress: the same work failed in the same way before";
	if (root->fixes >= GA_FIX_PER_ROOT_MAX)
		return "5 attempts were made below the root task";
	if (attempts >= GA_FIX_PER_FAILURE_MAX)
		return "2 attempts were made at this failure";
	return NULL;
}

static pg_uuid_t *
make_fix(const GaTask *task, const GaFailure *failure, const Rule *rule, const Root *root,
         const char *print, int attempt)
{
	GaNewTask new = {.tenant = task->tenant,
	                 .title = psprintf("%s: %s", rule->description, task->title),
	                 .agent_role = rule->agent_role,
	                 .parent = task->id,
	                 .root = task->root,
	                 .max_attempts = 3,
	                 .kind = rule->action,
	                 .priority = rule->priority,
	                 .fingerprint = print,
	                 .fix_depth = task->fix_depth + 1,
	                 .fix_round = root->round,
	                 .fix_attempt = attempt,
	                 .fix_rule = rule->id,
	                 .artifact = failure->artifact};
	GaJson json;

	ga_json_begin_object(&json);
	ga_json_text(&json, "guard", failure->guard);
	ga_json_text(&json, "reason", failure->reason);
	ga_json_text(&json, "target_state", failure->target);
	ga_json_int8(&json, "attempt", attempt);
	ga_json_begin_array_in(&json, "failed_checks");
	for (int i = 0; i < failure->nchecks; i++)
		ga_json_text(&json, NULL, failure->checks[i]);
	ga_json_end_array(&json);
	new.payload = ga_json_end(&json);
	/* who did the work does not review it */
	if (strcmp(rule->action, "review") == 0)
	{
		new.barred = task->claimants;
		new.nbarred = task->nclaimants;
	}
	return ga_task_insert(&new);
}

static void
begin_answer(GaJson *json, const char *status, const char *guard)
{
	ga_json_begin_object(json);
	ga_json_text(json, "status", status);
	ga_json_text(json, "guard", guard);
	ga_json_begin_array_in(json, "actions");
}

static void
write_action(GaJson *json, const char *type, int priority, const char *description,
             const char *agent, const pg_uuid_t *id)
{
	ga_json_begin_object_in(json, NULL);
	ga_json_text(json, "type", type);
	ga_json_int8(json, "priority", priority);
	ga_json_text(json, "description", description);
	ga_json_text(json, "agent", agent);
	ga_json_text(json, "task_id", ga_task_uuid_show(id));
	ga_json_end_object(json);
}

static Jsonb *
end_answer(GaJson *json, const GaTask *task, const char *reason, const pg_uuid_t *escalation)
{
	ga_json_end_array(json);
	ga_json_text(json, "new_state", ga_task_state(task));
	if (reason != NULL)
		ga_json_text(json, "reason", reason);
	if (escalation != NULL)
		ga_json_text(json, "escalation_id", ga_task_uuid_show(escalation));
	return ga_json_end(json);
}

static Jsonb *
escalate(GaTask *task, const GaFailure *failure, const char *limit)
{
	char *reason = psprintf("guard %s failed: %s", failure->guard, limit);
	pg_uuid_t *escalation = ga_escalation_open(task);
	GaJson json;

	if (escalation == NULL)
	{
		ga_json_begin_object(&json);
		ga_json_text(&json, "guard", failure->guard);
		ga_json_text(&json, "failure", failure->reason);
		ga_json_text(&json, "target_state", failure->target);
		ga_json_text(&json, "limit", limit);
		escalation = ga_escalate(task, reason, "guard_failure", NULL, ga_json_end(&json));
	}
	begin_answer(&json, "escalated", failure->guard);
	write_action(&json, "escalate", 1, reason, "supervisor", task->id);
	return end_answer(&json, task, limit, escalation);
}

static Jsonb *
fix(GaTask *task, const GaFailure *failure, const Rule *rules, int nrules)
{
	Root root = lock_root(task);
	char *print = fingerprint(failure);
	bool seen;
	int attempts = attempts_made(task, &root, print, failure->artifact, &seen);
	const char *limit = limit_reached(task, &root, attempts, seen);
	bool fixes = false;
	GaJson json;

	if (limit != NULL)
		return escalate(task, failure, limit);
	for (int i = 0; i < nrules; i++)
		fixes = fixes || strcmp(rules[i].action, "review") != 0;
	count_fix(task);
	begin_answer(&json, fixes ? "auto_fixed" : "no_fix_available", failure->guard);
	for (int i = 0; i < nrules; i++)
		write_action(&json, rules[i].action, rules[i].priority,
		             psprintf("%s: %s", rules[i].description, failure->reason), rules[i].agent_role,
		             make_fix(task, failure, &rules[i], &root, print, attempts + 1));
	return end_answer(&json, task, fixes ? NULL : "a review was requested", NULL);
}

/* The report is dealt with: asking to advance again does not make it another failure. */
static void
mark_handled(const GaTask *task, const char *guard, const Jsonb *answer)
{
	static GaStmt mark = GA_STMT(
	    "UPDATE goldenarch.guard_results SET handled = $5 WHERE tenant OPERATOR(pg_catalog.=) $1"
	    " AND task_id OPERATOR(pg_catalog.=) $2 AND guard OPERATOR(pg_catalog.=) $3"
	    " AND revision OPERATOR(pg_catalog.=) $4 AND NOT passed",
	    TEXTOID, UUIDOID, TEXTOID, INT4OID, JSONBOID);

	(void) ga_query(&mark, ga_text(task->tenant), ga_uuid(task->id), ga_text(guard),
	                ga_int4(task->revision), ga_jsonb(answer));
}

Jsonb *
ga_autofix(GaTask *task, const GaFailure *failure)
{
	bool security = is_security_guard(failure->guard);
	int nrules;
	Rule *rules = find_rules(failure, security, &nrules);
	Jsonb *answer;
	GaJson json;

	if (task->state == GA_TASK_ESCALATED)
		answer = escalate(task, failure, "the task is escalated");
	else if (nrules > 0)
		answer = fix(task, failure, rules, nrules);
	else if (security)
		answer = escalate(task, failure, "a security guard is never fixed automatically");
	else
	{
		begin_answer(&json, "no_fix_available", failure->guard);
		answer = end_answer(&json, task, "no rule of autofix_rules applies", NULL);
	}
	mark_handled(task, failure->guard, answer);
	(void) ga_audit("guard.handle", "task", ga_task_uuid_show(task->id), answer);
	return answer;
}
