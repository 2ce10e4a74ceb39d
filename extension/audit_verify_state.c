/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(), state against the log: what a table says now must be what the last audit row of
 * it says. Reconciled are the tables that a DBA may UPDATE (learning_governance, approval_policies:
 * each row is the "after" of its last configuration.change, or what was shipped), roles, their
 * grants and mappings, the live prompts, and the state of each approval. What the log says is read
 * from details_text, which the entry commits to; where that was redacted, nothing is said.
 *
 * $1: entries were pruned, so that a missing one proves nothing. A statement that fails on what
 * somebody wrote into the log is a finding, not the end of the verdict.
 */
#include "audit_verify.h"

#include "miscadmin.h"

/* Each answers with the id of the last audit row, or 0, and what is wrong. */
static GaStmt learning_governance =
    GA_READ("WITH told AS (SELECT DISTINCT ON (e.resource_id) e.resource_id AS key, e.id, "
            "e.details_text::pg_catalog.jsonb AS d FROM goldenarch.audit_entries e WHERE "
            "e.action OPERATOR(pg_catalog.=) 'configuration.change' AND e.resource_type "
            "OPERATOR(pg_catalog.=) 'learning_governance' AND e.outcome OPERATOR(pg_catalog.=) "
            "'ok' ORDER BY e.resource_id, e.id DESC), wiped AS (SELECT "
            "coalesce(pg_catalog.max(o.id), 0) AS id FROM told o WHERE o.key "
            "OPERATOR(pg_catalog.=) '*') SELECT coalesce(o.id, 0)::pg_catalog.int8, "
            "pg_catalog.format('learning_governance %s: %s', coalesce(o.key, t.agent_role), "
            "f.fault)::pg_catalog.text FROM goldenarch.learning_governance t FULL JOIN (SELECT "
            "o.* FROM told o WHERE o.key OPERATOR(pg_catalog.<>) '*') o ON t.agent_role "
            "OPERATOR(pg_catalog.=) o.key COLLATE \"C\" CROSS JOIN wiped w CROSS JOIN LATERAL "
            "(SELECT CASE WHEN o.id IS NULL AND NOT ($1 OR ( t.shipped AND (t.agent_role, "
            "t.max_updates_per_day, t.cooldown, t.require_human_approval) IN (VALUES "
            "('security', 1, '24 hours'::pg_catalog.interval, true), ('architect', 2, '12 "
            "hours', true), ('developer', 5, '2 hours', false), ('reviewer', 3, '4 hours', "
            "false), ('tester', 5, '2 hours', false)))) THEN 'the log does not tell of it' WHEN "
            "o.id IS NULL OR o.d IS NULL THEN NULL WHEN t.agent_role IS NULL AND o.id "
            "OPERATOR(pg_catalog.>) w.id AND o.d OPERATOR(pg_catalog.?) 'after' THEN 'gone, and "
            "the log does not tell of it' WHEN t.agent_role IS NULL THEN NULL WHEN o.id "
            "OPERATOR(pg_catalog.<) w.id OR NOT o.d OPERATOR(pg_catalog.?) 'after' THEN 'there, "
            "though the log says that it is gone' WHEN pg_catalog.jsonb_populate_record(t, o.d "
            "OPERATOR(pg_catalog.->) 'after') IS DISTINCT FROM t THEN 'not what the log says' "
            "END AS fault) f WHERE f.fault IS NOT NULL ORDER BY 1, 2 LIMIT 100",
            BOOLOID);

static GaStmt approval_policies =
    GA_READ("WITH told AS (SELECT DISTINCT ON (e.resource_id) e.resource_id AS key, e.id, "
            "e.details_text::pg_catalog.jsonb AS d FROM goldenarch.audit_entries e WHERE "
            "e.action OPERATOR(pg_catalog.=) 'configuration.change' AND e.resource_type "
            "OPERATOR(pg_catalog.=) 'approval_policies' AND e.outcome OPERATOR(pg_catalog.=) "
            "'ok' ORDER BY e.resource_id, e.id DESC), wiped AS (SELECT "
            "coalesce(pg_catalog.max(o.id), 0) AS id FROM told o WHERE o.key "
            "OPERATOR(pg_catalog.=) '*') SELECT coalesce(o.id, 0)::pg_catalog.int8, "
            "pg_catalog.format('approval_policies %s: %s', coalesce(o.key, t.kind), "
            "f.fault)::pg_catalog.text FROM goldenarch.approval_policies t FULL JOIN (SELECT "
            "o.* FROM told o WHERE o.key OPERATOR(pg_catalog.<>) '*') o ON t.kind "
            "OPERATOR(pg_catalog.=) o.key COLLATE \"C\" CROSS JOIN wiped w CROSS JOIN LATERAL "
            "(SELECT CASE WHEN o.id IS NULL AND NOT ($1 OR ( t.shipped AND t.kind "
            "OPERATOR(pg_catalog.=) 'prompt' AND t.permission OPERATOR(pg_catalog.=) "
            "'learning.approve' AND t.quorum OPERATOR(pg_catalog.=) 1 AND t.expires "
            "OPERATOR(pg_catalog.=) '7 days'::pg_catalog.interval AND t.escalate_after IS NULL "
            "AND t.version OPERATOR(pg_catalog.=) 1)) THEN 'the log does not tell of it' WHEN "
            "o.id IS NULL OR o.d IS NULL THEN NULL WHEN t.kind IS NULL AND o.id "
            "OPERATOR(pg_catalog.>) w.id AND o.d OPERATOR(pg_catalog.?) 'after' THEN 'gone, and "
            "the log does not tell of it' WHEN t.kind IS NULL THEN NULL WHEN o.id "
            "OPERATOR(pg_catalog.<) w.id OR NOT o.d OPERATOR(pg_catalog.?) 'after' THEN 'there, "
            "though the log says that it is gone' WHEN pg_catalog.jsonb_populate_record(t, o.d "
            "OPERATOR(pg_catalog.->) 'after') IS DISTINCT FROM t THEN 'not what the log says' "
            "END AS fault) f WHERE f.fault IS NOT NULL ORDER BY 1, 2 LIMIT 100",
            BOOLOID);

static GaStmt roles =
    GA_READ("WITH told AS (SELECT DISTINCT ON (e.resource_id) e.resource_id AS role, e.id, "
            "e.details_text::pg_catalog.jsonb AS d FROM goldenarch.audit_entries e WHERE "
            "e.action OPERATOR(pg_catalog.=) 'create_role' AND e.outcome OPERATOR(pg_catalog.=) "
            "'ok' ORDER BY e.resource_id, e.id DESC) SELECT coalesce(o.id, 0)::pg_catalog.int8, "
            "pg_catalog.format('role %s: %s', coalesce(r.role, o.role), "
            "f.fault)::pg_catalog.text FROM goldenarch.roles r FULL JOIN told o ON o.role "
            "COLLATE \"C\" OPERATOR(pg_catalog.=) r.role CROSS JOIN LATERAL (SELECT CASE WHEN "
            "o.id IS NULL AND NOT ($1 OR r.shipped AND (r.role, r.permissions, r.inherits) IN "
            "(VALUES ('anonymous', '{}'::pg_catalog.text[], '{}'::pg_catalog.text[]), "
            "('observer', '{task.view,agent.view,metrics.view}', '{}'), ('developer', "
            "'{task.create,task.update,task.vote,budget.use,sandbox.submit,sandbox.view,message."
            "publish,learning.propose,approval.request,llm.parse}', "
            "'{observer}'), ('operator', "
            "'{escalation.view,escalation.create,escalation.resolve,budget.view,dlq.read,dlq."
            "resolve,learning.view,approval.view,breaker.reset,task.report_guard}', "
            "'{developer}'), ('admin', '{system.admin}', '{operator}'))) THEN 'the log does not "
            "tell of it' WHEN o.id IS NULL OR o.d IS NULL THEN NULL WHEN r.role IS NULL THEN "
            "'gone, and the log does not tell of it' WHEN pg_catalog.to_jsonb(r.permissions) IS "
            "DISTINCT FROM o.d OPERATOR(pg_catalog.->) 'permissions' OR "
            "pg_catalog.to_jsonb(r.inherits) IS DISTINCT FROM o.d OPERATOR(pg_catalog.->) "
            "'inherits' OR r.rate_limit IS DISTINCT FROM o.d OPERATOR(pg_catalog.->>) "
            "'rate_limit' THEN 'not what the log says' END AS fault) f WHERE f.fault IS NOT "
            "NULL ORDER BY 1, 2 LIMIT 100",
            BOOLOID);

static GaStmt role_grants =
    GA_READ("WITH told AS (SELECT DISTINCT ON (x.subject, x.role, x.tenant) x.* FROM (SELECT "
            "e.id, e.action, e.resource_id AS subject, e.details_text::pg_catalog.jsonb "
            "OPERATOR(pg_catalog.->>) 'role' AS role, e.details_text::pg_catalog.jsonb "
            "OPERATOR(pg_catalog.->>) 'tenant' AS tenant FROM goldenarch.audit_entries e WHERE "
            "e.action OPERATOR(pg_catalog.=) ANY "
            "('{grant_role,revoke_role}'::pg_catalog.text[]) AND e.outcome "
            "OPERATOR(pg_catalog.=) 'ok' AND e.details_text IS NOT NULL) x ORDER BY x.subject, "
            "x.role, x.tenant, x.id DESC), silent AS (SELECT e.resource_id AS subject FROM "
            "goldenarch.audit_entries e WHERE e.action OPERATOR(pg_catalog.=) ANY "
            "('{grant_role,revoke_role}'::pg_catalog.text[]) AND e.details_text IS NULL) SELECT "
            "coalesce(o.id, 0)::pg_catalog.int8, pg_catalog.format('role %s of %s: %s', "
            "coalesce(g.role, o.role), coalesce(g.subject, o.subject), "
            "f.fault)::pg_catalog.text FROM goldenarch.role_grants g FULL JOIN told o ON "
            "o.subject COLLATE \"C\" OPERATOR(pg_catalog.=) g.subject AND o.role COLLATE \"C\" "
            "OPERATOR(pg_catalog.=) g.role AND o.tenant COLLATE \"C\" OPERATOR(pg_catalog.=) "
            "g.tenant CROSS JOIN LATERAL (SELECT CASE WHEN coalesce(g.subject, o.subject) IN "
            "(SELECT s.subject FROM silent s) THEN NULL WHEN o.id IS NULL AND NOT $1 THEN "
            "'granted, and the log does not tell of it' WHEN g.subject IS NULL AND o.action "
            "OPERATOR(pg_catalog.=) 'grant_role' THEN 'gone, and the log does not tell of it' "
            "WHEN g.subject IS NOT NULL AND o.action OPERATOR(pg_catalog.=) 'revoke_role' THEN "
            "'there, though the log says that it was revoked' END AS fault) f WHERE f.fault IS "
            "NOT NULL ORDER BY 1, 2 LIMIT 100",
            BOOLOID);

static GaStmt role_mappings =
    GA_READ("WITH told AS (SELECT DISTINCT ON (e.resource_id) e.resource_id AS pg_role, e.id, "
            "e.action, e.details_text::pg_catalog.jsonb AS d FROM goldenarch.audit_entries e "
            "WHERE e.action OPERATOR(pg_catalog.=) ANY "
            "('{map_role,unmap_role}'::pg_catalog.text[]) AND e.outcome OPERATOR(pg_catalog.=) "
            "'ok' ORDER BY e.resource_id, e.id DESC) SELECT coalesce(o.id, 0)::pg_catalog.int8, "
            "pg_catalog.format('mapping of role %s: %s', coalesce(m.pg_role, o.pg_role), "
            "f.fault)::pg_catalog.text FROM goldenarch.role_mappings m FULL JOIN told o ON "
            "o.pg_role COLLATE \"C\" OPERATOR(pg_catalog.=) m.pg_role CROSS JOIN LATERAL (SELECT "
            "CASE WHEN o.id IS NULL AND NOT $1 THEN 'the log does not tell of it' WHEN o.id IS "
            "NULL THEN NULL WHEN m.pg_role IS NULL AND o.action OPERATOR(pg_catalog.=) "
            "'map_role' THEN 'gone, and the log does not tell of it' WHEN m.pg_role IS NOT NULL "
            "AND o.action OPERATOR(pg_catalog.=) 'unmap_role' THEN 'there, though the log says "
            "that it is gone' WHEN m.pg_role IS NULL OR o.d IS NULL THEN NULL WHEN m.subject IS "
            "DISTINCT FROM o.d OPERATOR(pg_catalog.->>) 'subject' OR m.tenant IS DISTINCT FROM "
            "(o.d OPERATOR(pg_catalog.->>) 'tenant') COLLATE \"C\" OR "
            "pg_catalog.to_jsonb(m.roles) IS DISTINCT FROM o.d OPERATOR(pg_catalog.->) 'roles' "
            "THEN 'not what the log says' END AS fault) f WHERE f.fault IS NOT NULL ORDER BY 1, "
            "2 LIMIT 100",
            BOOLOID);

static GaStmt prompts =
    GA_READ("WITH told AS (SELECT DISTINCT ON (p.tenant, p.agent_role) p.tenant, p.agent_role, "
            "e.id, p.id AS prompt_id FROM goldenarch.audit_entries e JOIN goldenarch.prompts p "
            "ON p.id OPERATOR(pg_catalog.=) (e.details_text::pg_catalog.jsonb "
            "OPERATOR(pg_catalog.->>) 'prompt_id')::pg_catalog.int8 WHERE e.action "
            "OPERATOR(pg_catalog.=) ANY "
            "('{learning.live,learning.rolled_back}'::pg_catalog.text[]) AND e.outcome "
            "OPERATOR(pg_catalog.=) 'ok' AND e.details_text IS NOT NULL ORDER BY p.tenant, "
            "p.agent_role, e.id DESC), silent AS (SELECT e.resource_id AS agent_role FROM "
            "goldenarch.audit_entries e WHERE e.action OPERATOR(pg_catalog.=) ANY "
            "('{learning.live,learning.rolled_back}'::pg_catalog.text[]) AND e.details_text IS "
            "NULL) SELECT coalesce(o.id, 0)::pg_catalog.int8, pg_catalog.format('prompt of role "
            "%s: version %s is live, and the log does not tell of it', h.agent_role, "
            "h.version)::pg_catalog.text FROM goldenarch.prompt_history h LEFT JOIN told o ON "
            "o.tenant OPERATOR(pg_catalog.=) h.tenant AND o.agent_role OPERATOR(pg_catalog.=) "
            "h.agent_role WHERE pg_catalog.upper_inf(h.live) AND h.agent_role NOT IN (SELECT "
            "s.agent_role FROM silent s) AND (CASE WHEN o.id IS NULL THEN NOT $1 ELSE "
            "o.prompt_id OPERATOR(pg_catalog.<>) h.prompt_id END) ORDER BY 1, 2 LIMIT 100",
            BOOLOID);

static GaStmt approvals =
    GA_READ("SELECT 0::pg_catalog.int8, pg_catalog.format('approval %s: %s, and the log does "
            "not tell of it', a.id, a.state)::pg_catalog.text FROM goldenarch.approvals a WHERE "
            "NOT $1 AND NOT EXISTS (SELECT FROM goldenarch.audit_entries e WHERE "
            "e.resource_type OPERATOR(pg_catalog.=) 'approval' AND e.resource_id "
            "OPERATOR(pg_catalog.=) a.id::pg_catalog.text AND e.outcome OPERATOR(pg_catalog.=) "
            "'ok' AND e.action OPERATOR(pg_catalog.=) CASE a.state WHEN 'pending' THEN "
            "'approval.requested' ELSE 'approval.' OPERATOR(pg_catalog.||) a.state END) ORDER "
            "BY a.id LIMIT 100",
            BOOLOID);

static GaStmt *const reconciled[] = {
    &learning_governance, &approval_policies, &roles,     &role_grants,
    &role_mappings,       &prompts,           &approvals,
};

typedef struct Attempt
{
	GaVerify *v;
	GaStmt *stmt;
	bool pruned;
} Attempt;

static void
reconcile(void *arg)
{
	Attempt *attempt = arg;
	GaRows rows = ga_query_once(attempt->stmt, ga_bool(attempt->pruned));
	uint64 row;

	for (row = 0; row < rows.count; row++)
		ga_verify_bad(attempt->v, GA_VERIFY_STATE, ga_row_int8(&rows, row, 1), "%s.",
		              ga_row_text_present(&rows, row, 2));
	ga_rows_free(&rows);
}

void
ga_verify_state(GaVerify *v)
{
	bool pruned = false;
	size_t i;
	int n;

	for (n = 0; n < v->ntrees; n++)
		pruned = pruned || v->trees[n]->minimum_index > 0;
	for (i = 0; i < lengthof(reconciled); i++)
	{
		Attempt attempt = {v, reconciled[i], pruned};
		ErrorData *error;

		if (!ga_try(reconcile, &attempt, &error))
			ga_verify_bad(v, GA_VERIFY_STATE, 0, "The log cannot be read: %s.", error->message);
		CHECK_FOR_INTERRUPTS();
	}
	ga_verify_good(v, GA_VERIFY_STATE,
	               "Configuration, roles, live prompts and approvals are what the log says.");
}
