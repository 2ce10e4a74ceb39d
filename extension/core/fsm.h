/* SPDX-License-Identifier: PostgreSQL */
/*
 * fsm.h: the state machines of the product, once, as constant tables.
 *
 * SQL dumps them (goldenarch.state_edges), workers and the executor test them here, so that none of
 * them can know an edge that another does not. State names are the words that stand in the tables.
 */
#ifndef GA_FSM_H
#define GA_FSM_H

#include <stdbool.h>
#include <stddef.h>

typedef enum GaMachine
{
	GA_MACHINE_JOB,
	GA_MACHINE_APPROVAL,
	GA_MACHINE_TASK,
	GA_MACHINE_BREAKER,
	GA_MACHINE_MESSAGE,
	GA_MACHINE_COUNT
} GaMachine;

typedef enum GaJobState
{
	GA_JOB_QUEUED,
	GA_JOB_RUNNING,
	GA_JOB_SUCCEEDED,
	GA_JOB_FAILED,
	GA_JOB_TIMED_OUT,
	GA_JOB_OOM_KILLED,
	GA_JOB_OUTPUT_LIMIT,
	GA_JOB_CANCELLED,
	GA_JOB_LOST
} GaJobState;

typedef enum GaApprovalState
{
	GA_APPROVAL_PENDING,
	GA_APPROVAL_APPROVED,
	GA_APPROVAL_CONSUMED,
	GA_APPROVAL_REJECTED,
	GA_APPROVAL_EXPIRED,
	GA_APPROVAL_CANCELLED,
	GA_APPROVAL_SUPERSEDED
} GaApprovalState;

typedef enum GaTaskState
{
	GA_TASK_CREATED,
	GA_TASK_DEVELOPING,
	GA_TASK_REVIEWING,
	GA_TASK_DEPLOYING,
	GA_TASK_COMPLETED,
	GA_TASK_FAILED,
	GA_TASK_ESCALATED,
	GA_TASK_CANCELLED
} GaTaskState;

typedef enum GaBreakerState
{
	GA_BREAKER_CLOSED,
	GA_BREAKER_OPEN,
	GA_BREAKER_HALF_OPEN
} GaBreakerState;

typedef enum GaMessageState
{
	GA_MESSAGE_PENDING,  /* waits for its first publication or handling */
	GA_MESSAGE_RETRYING, /* failed at least once, or was taken from the dead letters */
	GA_MESSAGE_DONE,     /* acknowledged by the stream, or its handler committed */
	GA_MESSAGE_DEAD,     /* a dead letter */
	GA_MESSAGE_RESOLVED  /* a dead letter that a person closed */
} GaMessageState;

typedef struct GaFsmEdge
{
	GaMachine machine;
	const char *machine_name;
	int from;
	int to;
	const char *from_name;
	const char *to_name;
} GaFsmEdge;

extern const char *ga_fsm_machine_name(GaMachine machine); /* NULL when out of range */
extern bool ga_fsm_machine_by_name(const char *name, GaMachine *machine);
extern int ga_fsm_state_count(GaMachine machine);
extern const char *ga_fsm_state_name(GaMachine machine, int state);   /* NULL when out of range */
extern int ga_fsm_state_by_name(GaMachine machine, const char *name); /* -1 when unknown */
extern bool ga_fsm_edge(GaMachine machine, int from, int to);
extern bool ga_fsm_final(GaMachine machine, int state); /* no edge leaves it */
extern bool ga_fsm_edge_by_names(GaMachine machine, const char *from, const char *to);

/* Walk all edges of all machines: start with *cursor = 0; false when there are no more. */
extern bool ga_fsm_next_edge(size_t *cursor, GaFsmEdge *edge);

#endif /* GA_FSM_H */
