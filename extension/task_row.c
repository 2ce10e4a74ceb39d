/* SPDX-License-Identifier: PostgreSQL */
/*
 * A task as a row: reading its arguments, finding it under the caller's tenants, locking, making
 * and moving it. The row is locked (FOR UPDATE) by whatever decides about it and always updated by
 * it, so that a decision taken on an older snapshot fails with 40001 instead of passing.
 */
#include "task.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/queue.h"

#define PAYLOAD_LIMIT (1024 * 1024)

#define TASK_COLUMNS                                                                             \
	"SELECT tenant::pg_catalog.text, id::pg_catalog.uuid, root::pg_catalog.uuid,"                \
	" title::pg_catalog.text, state::pg_catalog.text, kind::pg_catalog.text,"                    \
	" revision::pg_catalog.int4, attempt::pg_catalog.int4, max_attempts::pg_catalog.int4,"       \
	" claim::pg_catalog.int8, lease_until::pg_catalog.timestamptz, claimed_by::pg_catalog.text," \
	" claimants::pg_catalog.text[], created_by::pg_catalog.text, fix_depth::pg_catalog.int4"     \
	" FROM goldenarch.tasks WHERE id OPERATOR(pg_catalog.=) $1"                                  \
	" AND tenant OPERATOR(pg_catalog.>=) $2 AND tenant OPERATOR(pg_catalog.<=) $3"

const pg_uuid_t *
ga_task_uuid_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ga_bad_argument(name, "It must not be null.");
	return PG_GETARG_UUID_P(n);
}

Jsonb *
ga_task_jsonb_arg(FunctionCallInfo fcinfo, int n, const char *name, bool object)
{
	Jsonb *value;

	if (PG_ARGISNULL(n))
		ga_bad_argument(name, "It must not be null.");
	value = PG_GETARG_JSONB_P(n);
	if (object && !JB_ROOT_IS_OBJECT(value))
		ga_bad_argument(name, "It must be a JSON object.");
	if (VARSIZE(value) > PAYLOAD_LIMIT)
		ga_bad_argument(name, "It is larger than 1 MB.");
	return value;
}

char *
ga_task_uuid_show(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

pg_uuid_t *
ga_task_uuid_new(void)
{
	return DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
}

Jsonb *
ga_task_keep(const GaCall *call, const Jsonb *value)
{
	Jsonb *copy = MemoryContextAlloc(call->result_context, VARSIZE(value));

	memcpy(copy, value, VARSIZE(value));
	return copy;
}

const char *
ga_task_state(const GaTask *task)
{
	return ga_fsm_state_name(GA_MACHINE_TASK, task->state);
}

/* A table's value is hostile input: its owner can drop a NOT NULL. */
pg_uuid_t *
ga_task_row_uuid(const GaRows *rows, uint64 row, int col)
{
	pg_uuid_t *value = ga_row_uuid(rows, row, col);

	if (value == NULL)
		elog(ERROR, "column %d is null", col);
	return value;
}

Numeric
ga_task_row_numeric(const GaRows *rows, uint64 row, int col)
{
	bool isnull;
	Datum value = ga_row_datum(rows, row, col, NUMERICOID, &isnull);

	if (isnull)
		elog(ERROR, "column %d is null", col);
	return DatumGetNumeric(value);
}

GaTask *
ga_task_find(const pg_uuid_t *id, bool lock)
{
	static GaStmt locking = GA_STMT(TASK_COLUMNS " FOR UPDATE", UUIDOID, TEXTOID, TEXTOID);
	static GaStmt reading = GA_STMT(TASK_COLUMNS, UUIDOID, TEXTOID, TEXTOID);
	const GaPrincipal *who = ga_principal();
	GaRows rows = ga_query(lock ? &locking : &reading, ga_uuid(id), ga_text(ga_tenant_floor(who)),
	                       ga_text(ga_tenant_ceiling(who)));
	GaTask *task = palloc0(sizeof(GaTask));
	int state;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("task %s does not exist", ga_task_uuid_show(id))));
	task->tenant = ga_row_text_present(&rows, 0, 1);
	task->id = ga_task_row_uuid(&rows, 0, 2);
	task->root = ga_task_row_uuid(&rows, 0, 3);
	task->title = ga_row_text_present(&rows, 0, 4);
	state = ga_fsm_state_by_name(GA_MACHINE_TASK, ga_row_text_present(&rows, 0, 5));
	task->kind = ga_row_text_present(&rows, 0, 6);
	task->revision = ga_row_int4(&rows, 0, 7);
	task->attempt = ga_row_int4(&rows, 0, 8);
	task->max_attempts = ga_row_int4(&rows, 0, 9);
	task->claimed = !ga_row_isnull(&rows, 0, 10) && !ga_row_isnull(&rows, 0, 11);
	if (task->claimed)
	{
		task->claim = ga_row_int8(&rows, 0, 10);
		task->lease = ga_row_timestamp(&rows, 0, 11);
	}
	task->claimed_by = ga_row_text(&rows, 0, 12);
	task->claimants = ga_row_text_array(&rows, 0, 13, &task->nclaimants);
	task->created_by = ga_row_text_present(&rows, 0, 14);
	task->fix_depth = ga_row_int4(&rows, 0, 15);
	if (state < 0)
		elog(ERROR, "task %s is in a state that does not exist", ga_task_uuid_show(id));
	task->state = (GaTaskState) state;
	return task;
}

bool
ga_task_worked_on_by(const GaTask *task, const char *subject)
{
	for (int i = 0; i < task->nclaimants; i++)
	{
		if (strcmp(task->claimants[i], subject) == 0)
			return true;
	}
	return task->claimed_by != NULL && strcmp(task->claimed_by, subject) == 0;
}

void
ga_task_refuse_claimant(const GaTask *task, const char *action, const char *what)
{
	GaDenial denial = {.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
	                   .action = action,
	                   .resource_type = "task",
	                   .resource_id = ga_task_uuid_show(task->id),
	                   .message = what,
	                   .detail = "The caller holds or held a claim of this task.",
	                   .hint = "Someone else must do it."};

	if (ga_task_worked_on_by(task, ga_principal()->subject))
		ga_deny(&denial);
}

void
ga_task_require_unfinished(const GaTask *task)
{
	if (task->state == GA_TASK_COMPLETED || task->state == GA_TASK_FAILED ||
	    task->state == GA_TASK_CANCELLED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is %s", ga_task_uuid_show(task->id), ga_task_state(task))));
}

void
ga_task_publish(const GaTask *task, const char *event, const Jsonb *payload)
{
	char *subject = psprintf("prc.%s.%s", ga_task_uuid_show(task->id), event);

	(void) ga_outbox_publish(task->tenant, subject, payload, NULL, NULL);
}

pg_uuid_t *
ga_task_insert(const GaNewTask *new)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.tasks (tenant, id, title, payload, kind, agent_role, priority,"
	    " parent, root, max_attempts, fix_depth, fingerprint, fingerprint_round,"
	    " fingerprint_attempt, fix_rule, artifact, barred, created_by, created_at, updated_at)"
	    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"
	    " $19, $19)",
	    TEXTOID, UUIDOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, INT4OID, UUIDOID, UUIDOID, INT4OID,
	    INT4OID, TEXTOID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTARRAYOID, TEXTOID,
	    TIMESTAMPTZOID);
	pg_uuid_t *id = ga_task_uuid_new();
	bool fix = new->fingerprint != NULL;

	(void) ga_query(
	    &insert, ga_text(new->tenant), ga_uuid(id), ga_text(new->title), ga_jsonb(new->payload),
	    ga_text(new->kind != NULL ? new->kind : "task"), ga_text(new->agent_role),
	    ga_int4(new->priority), ga_uuid(new->parent), ga_uuid(new->root != NULL ? new->root : id),
	    ga_int4(new->max_attempts), ga_int4(new->fix_depth), ga_text(new->fingerprint),
	    fix ? ga_int4(new->fix_round) : ga_null(), fix ? ga_int4(new->fix_attempt) : ga_null(),
	    fix ? ga_int4(new->fix_rule) : ga_null(), ga_text(new->artifact),
	    ga_text_array((const char *const *) new->barred, new->nbarred),
	    ga_text(ga_principal()->subject), ga_timestamp(ga_now()));
	return id;
}

void
ga_task_touch(const GaTask *task)
{
	static GaStmt touch = GA_STMT("UPDATE goldenarch.tasks SET updated_at = $3"
	                              " WHERE tenant OPERATOR(pg_catalog.=) $1"
	                              " AND id OPERATOR(pg_catalog.=) $2",
	                              TEXTOID, UUIDOID, TIMESTAMPTZOID);

	(void) ga_query(&touch, ga_text(task->tenant), ga_uuid(task->id), ga_timestamp(ga_now()));
}

/* "developing, failed, cancelled" */
static char *
next_states(GaTaskState state)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int to = 0; to < ga_fsm_state_count(GA_MACHINE_TASK); to++)
	{
		if (ga_fsm_edge(GA_MACHINE_TASK, state, to))
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
			                 ga_fsm_state_name(GA_MACHINE_TASK, to));
	}
	return list.len > 0 ? list.data : "nothing more";
}

void
ga_task_require_edge(const GaTask *task, GaTaskState target)
{
	if (!ga_fsm_edge(GA_MACHINE_TASK, task->state, target))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("task %s is %s and cannot become %s", ga_task_uuid_show(task->id),
		                       ga_task_state(task), ga_fsm_state_name(GA_MACHINE_TASK, target)),
		                errhint("It can become %s.", next_states(task->state))));
}

void
ga_task_move(GaTask *task, GaTaskState target)
{
	static GaStmt move = GA_STMT(
	    "UPDATE goldenarch.tasks SET state = $3, revision = $4, updated_at = $5,"
	    " attempt = $8, finished_at = CASE WHEN $6 THEN $5 END,"
	    " claim = CASE WHEN $7 THEN NULL ELSE claim END,"
	    " claimed_by = CASE WHEN $9 THEN NULL ELSE claimed_by END,"
	    " lease_until = CASE WHEN $7 THEN NULL ELSE lease_until END"
	    " WHERE tenant OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	    TEXTOID, UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID, BOOLOID, BOOLOID, INT4OID, BOOLOID);
	bool again = target == GA_TASK_CREATED ||
	             (target == GA_TASK_DEVELOPING && task->state != GA_TASK_CREATED);
	bool finished =
	    target == GA_TASK_COMPLETED || target == GA_TASK_FAILED || target == GA_TASK_CANCELLED;
	bool unclaim = target == GA_TASK_CREATED || target == GA_TASK_ESCALATED;

	ga_task_require_edge(task, target);
	if (again)
		task->revision++;
	/* someone decided that it goes on: its attempts are counted anew */
	if (task->state == GA_TASK_FAILED || task->state == GA_TASK_ESCALATED)
		task->attempt = 0;
	task->state = target;
	if (unclaim)
		task->claimed = false;
	(void) ga_query(&move, ga_text(task->tenant), ga_uuid(task->id), ga_text(ga_task_state(task)),
	                ga_int4(task->revision), ga_timestamp(ga_now()), ga_bool(finished),
	                ga_bool(unclaim), ga_int4(task->attempt), ga_bool(target == GA_TASK_CREATED));
}
