/* SPDX-License-Identifier: PostgreSQL */
/*
 * What tasks, guards, reviews and escalations share: finding a task under the caller's tenants,
 * locking it, moving it along the edges of core/fsm. All of it runs inside ga_enter.
 *
 * Lock order: a task's row, then its root's row, then a review session's row.
 */
#ifndef GA_TASK_H
#define GA_TASK_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "fsm.h"
#include "goldenarch/query.h"

#define GA_NAME_BYTES 200        /* of a name */
#define GA_WORDS_BYTES 10000     /* of a text for people */
#define GA_FIX_DEPTH_MAX 2       /* a fix of a fix; no deeper */
#define GA_FIX_PER_FAILURE_MAX 2 /* attempts at one fingerprint */
#define GA_FIX_PER_ROOT_MAX 5    /* attempts below one root */

typedef struct GaTask
{
	const char *tenant;
	const pg_uuid_t *id;
	const pg_uuid_t *root;
	const char *title;
	GaTaskState state;
	const char *kind;
	int revision;
	int attempt;
	int max_attempts;
	bool claimed;           /* a claim was made and not given back */
	int64 claim;            /* its fencing number */
	TimestampTz lease;      /* when it runs out */
	const char *claimed_by; /* may be null */
	char **claimants;
	int nclaimants;
	const char *created_by;
	int fix_depth;
} GaTask;

typedef struct GaNewTask
{
	const char *tenant;
	const char *title;
	const Jsonb *payload;
	const char *agent_role;  /* null: any */
	const pg_uuid_t *parent; /* null: a root */
	const pg_uuid_t *root;   /* null: itself */
	int max_attempts;
	const char *kind; /* null: "task" */
	int priority;
	const char *fingerprint; /* null: no remediation; the rest is then not read */
	int fix_depth;
	int fix_round;
	int fix_attempt;
	int fix_rule;
	const char *artifact; /* may be null */
	char **barred;        /* who may not claim it */
	int nbarred;
} GaNewTask;

/* Argument n as a uuid that is not null, else 22023. */
extern const pg_uuid_t *ga_task_uuid_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern Jsonb *ga_task_jsonb_arg(FunctionCallInfo fcinfo, int n, const char *name, bool object);
extern char *ga_task_uuid_show(const pg_uuid_t *id);
extern pg_uuid_t *ga_task_uuid_new(void);
/* A copy that outlives ga_leave. */
extern Jsonb *ga_task_keep(const GaCall *call, const Jsonb *value);

/* XX000 where a null stands. */
extern pg_uuid_t *ga_task_row_uuid(const GaRows *rows, uint64 row, int col);
extern Numeric ga_task_row_numeric(const GaRows *rows, uint64 row, int col);
/* 42704 where the caller sees no such task. lock: FOR UPDATE. */
extern GaTask *ga_task_find(const pg_uuid_t *id, bool lock);
extern pg_uuid_t *ga_task_insert(const GaNewTask *task);
/* 55000 unless core/fsm has the edge. Work that goes back to developing is a new revision. */
extern void ga_task_move(GaTask *task, GaTaskState target);
extern void ga_task_require_edge(const GaTask *task, GaTaskState target);
extern void ga_task_touch(const GaTask *task);
/* 55000 when it is completed, failed or cancelled. */
extern void ga_task_require_unfinished(const GaTask *task);
extern const char *ga_task_state(const GaTask *task);
/* True for everyone who ever held a claim of it. */
extern bool ga_task_worked_on_by(const GaTask *task, const char *subject);
extern void ga_task_refuse_claimant(const GaTask *task, const char *action, const char *what);
/* Argument n, a claim: the task's last one; null: when nobody else's claim is live. */
extern bool ga_task_holds(const GaTask *task, FunctionCallInfo fcinfo, int n);
/* An event on prc.TASK.EVENT. */
extern void ga_task_publish(const GaTask *task, const char *event, const Jsonb *payload);

/* Guards of entering target that do not hold: names, and which of them were reported as failed. */
typedef struct GaGuardCheck
{
	const char *guard;
	bool reported;        /* as failed, on this revision; else nobody reported it yet */
	const Jsonb *details; /* of the report */
	const Jsonb *handled; /* what was done about it; may be null */
} GaGuardCheck;
extern GaGuardCheck *ga_guards_unmet(const GaTask *task, GaTaskState target, int *n);
/* What is done about them, as handle_guard_failure answers: an array. */
extern Jsonb *ga_guards_fix(GaTask *task, GaTaskState target, const GaGuardCheck *unmet, int n);

/* Opens an escalation and moves the task there where it has an edge to it. */
extern pg_uuid_t *ga_escalate(GaTask *task, const char *reason, const char *pattern_type,
                              const char *suggested_fix, const Jsonb *context);
/* The dead letter of a task that used up its attempts. */
extern void ga_task_bury(const GaTask *task, const char *error);
/* The open escalation of the task, or null. */
extern pg_uuid_t *ga_escalation_open(const GaTask *task);

/* The person behind a subject: the owner of the agent of that name, or the subject. */
extern char *ga_agent_person(const char *tenant, const char *subject);
/* The role a subject votes in, and what it weighs. */
extern char *ga_agent_role(const char *tenant, const char *subject);
/* 42501, durable, where the agent is paused or retired. */
extern void ga_agent_require_active(const char *tenant, const char *subject, const char *action);

/* Jobs of maintenance.c. */
extern int64 ga_task_fail_abandoned(void);
extern int64 ga_review_settle_due(void);
extern int64 ga_task_retain(void);
/* dlq_retry of a task's dead letter: the task starts again. */
extern void ga_task_restart(const char *task_id);

#endif
