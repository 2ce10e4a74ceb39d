/* SPDX-License-Identifier: PostgreSQL */
/*
 * fsm.c: the tables behind fsm.h. A state's edges are a bit set of the states it may become; there
 * is no edge from a state to itself. test/unit/fsm.c checks that each state can be reached and that
 * each final state is meant to be one.
 */
#include "fsm.h"

#include <stdint.h>
#include <string.h>

#define TO(state) (UINT32_C(1) << (state))
#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

typedef struct State
{
	const char *name;
	uint32_t edges;
} State;

typedef struct Machine
{
	const char *name;
	const State *states;
	int count;
} Machine;

static const State job_states[] = {
    [GA_JOB_QUEUED] = {"queued", TO(GA_JOB_RUNNING) | TO(GA_JOB_CANCELLED)},
    /* back to queued: the lease ran out and attempts are left; lost: none are left */
    [GA_JOB_RUNNING] = {"running", TO(GA_JOB_QUEUED) | TO(GA_JOB_SUCCEEDED) | TO(GA_JOB_FAILED) |
                                       TO(GA_JOB_TIMED_OUT) | TO(GA_JOB_OOM_KILLED) |
                                       TO(GA_JOB_OUTPUT_LIMIT) | TO(GA_JOB_CANCELLED) |
                                       TO(GA_JOB_LOST)},
    [GA_JOB_SUCCEEDED] = {"succeeded", 0},
    [GA_JOB_FAILED] = {"failed", 0},
    [GA_JOB_TIMED_OUT] = {"timed_out", 0},
    [GA_JOB_OOM_KILLED] = {"oom_killed", 0},
    [GA_JOB_OUTPUT_LIMIT] = {"output_limit", 0},
    [GA_JOB_CANCELLED] = {"cancelled", 0},
    [GA_JOB_LOST] = {"lost", 0},
};

static const State approval_states[] = {
    [GA_APPROVAL_PENDING] = {"pending", TO(GA_APPROVAL_APPROVED) | TO(GA_APPROVAL_REJECTED) |
                                            TO(GA_APPROVAL_EXPIRED) | TO(GA_APPROVAL_CANCELLED) |
                                            TO(GA_APPROVAL_SUPERSEDED)},
    /* a veto, an expiry or a withdrawal still counts until the approval is used */
    [GA_APPROVAL_APPROVED] = {"approved", TO(GA_APPROVAL_CONSUMED) | TO(GA_APPROVAL_REJECTED) |
                                              TO(GA_APPROVAL_EXPIRED) | TO(GA_APPROVAL_CANCELLED) |
                                              TO(GA_APPROVAL_SUPERSEDED)},
    [GA_APPROVAL_CONSUMED] = {"consumed", 0},
    [GA_APPROVAL_REJECTED] = {"rejected", 0},
    [GA_APPROVAL_EXPIRED] = {"expired", 0},
    [GA_APPROVAL_CANCELLED] = {"cancelled", 0},
    [GA_APPROVAL_SUPERSEDED] = {"superseded", 0},
};

#define TASK_EXITS (TO(GA_TASK_FAILED) | TO(GA_TASK_ESCALATED) | TO(GA_TASK_CANCELLED))

static const State task_states[] = {
    [GA_TASK_CREATED] = {"created", TO(GA_TASK_DEVELOPING) | TASK_EXITS},
    /* back to created: a failed attempt waits for its retry */
    [GA_TASK_DEVELOPING] = {"developing", TO(GA_TASK_REVIEWING) | TO(GA_TASK_CREATED) | TASK_EXITS},
    [GA_TASK_REVIEWING] = {"reviewing", TO(GA_TASK_DEPLOYING) | TO(GA_TASK_DEVELOPING) |
                                            TO(GA_TASK_CREATED) | TASK_EXITS},
    [GA_TASK_DEPLOYING] = {"deploying", TO(GA_TASK_COMPLETED) | TO(GA_TASK_REVIEWING) |
                                            TO(GA_TASK_DEVELOPING) | TO(GA_TASK_CREATED) |
                                            TASK_EXITS},
    [GA_TASK_COMPLETED] = {"completed", 0},
    /* a dead letter that is retried starts again */
    [GA_TASK_FAILED] = {"failed", TO(GA_TASK_CREATED)},
    [GA_TASK_ESCALATED] = {"escalated", TO(GA_TASK_CREATED) | TO(GA_TASK_DEVELOPING) |
                                            TO(GA_TASK_FAILED) | TO(GA_TASK_CANCELLED)},
    [GA_TASK_CANCELLED] = {"cancelled", 0},
};

static const State breaker_states[] = {
    [GA_BREAKER_CLOSED] = {"closed", TO(GA_BREAKER_OPEN)},
    /* straight to closed: an operator's reset */
    [GA_BREAKER_OPEN] = {"open", TO(GA_BREAKER_HALF_OPEN) | TO(GA_BREAKER_CLOSED)},
    [GA_BREAKER_HALF_OPEN] = {"half_open", TO(GA_BREAKER_OPEN) | TO(GA_BREAKER_CLOSED)},
};

static const State message_states[] = {
    [GA_MESSAGE_PENDING] = {"pending",
                            TO(GA_MESSAGE_DONE) | TO(GA_MESSAGE_RETRYING) | TO(GA_MESSAGE_DEAD)},
    [GA_MESSAGE_RETRYING] = {"retrying", TO(GA_MESSAGE_DONE) | TO(GA_MESSAGE_DEAD)},
    [GA_MESSAGE_DONE] = {"done", 0},
    [GA_MESSAGE_DEAD] = {"dead", TO(GA_MESSAGE_RETRYING) | TO(GA_MESSAGE_RESOLVED)},
    [GA_MESSAGE_RESOLVED] = {"resolved", 0},
};

static const Machine machines[GA_MACHINE_COUNT] = {
    [GA_MACHINE_JOB] = {"job", job_states, LENGTH(job_states)},
    [GA_MACHINE_APPROVAL] = {"approval", approval_states, LENGTH(approval_states)},
    [GA_MACHINE_TASK] = {"task", task_states, LENGTH(task_states)},
    [GA_MACHINE_BREAKER] = {"breaker", breaker_states, LENGTH(breaker_states)},
    [GA_MACHINE_MESSAGE] = {"message", message_states, LENGTH(message_states)},
};

static const State *
find_state(GaMachine machine, int state)
{
	if ((int) machine < 0 || machine >= GA_MACHINE_COUNT)
		return NULL;
	if (state < 0 || state >= machines[machine].count)
		return NULL;
	return &machines[machine].states[state];
}

const char *
ga_fsm_machine_name(GaMachine machine)
{
	return find_state(machine, 0) != NULL ? machines[machine].name : NULL;
}

bool
ga_fsm_machine_by_name(const char *name, GaMachine *machine)
{
	for (int i = 0; i < GA_MACHINE_COUNT; i++)
	{
		if (strcmp(machines[i].name, name) == 0)
		{
			*machine = (GaMachine) i;
			return true;
		}
	}
	return false;
}

int
ga_fsm_state_count(GaMachine machine)
{
	return find_state(machine, 0) != NULL ? machines[machine].count : 0;
}

const char *
ga_fsm_state_name(GaMachine machine, int state)
{
	const State *found = find_state(machine, state);

	return found != NULL ? found->name : NULL;
}

int
ga_fsm_state_by_name(GaMachine machine, const char *name)
{
	int count = ga_fsm_state_count(machine);

	for (int i = 0; i < count; i++)
	{
		if (strcmp(machines[machine].states[i].name, name) == 0)
			return i;
	}
	return -1;
}

bool
ga_fsm_edge(GaMachine machine, int from, int to)
{
	const State *source = find_state(machine, from);

	return source != NULL && find_state(machine, to) != NULL && (source->edges & TO(to)) != 0;
}

bool
ga_fsm_final(GaMachine machine, int state)
{
	const State *found = find_state(machine, state);

	return found != NULL && found->edges == 0;
}

bool
ga_fsm_edge_by_names(GaMachine machine, const char *from, const char *to)
{
	return ga_fsm_edge(machine, ga_fsm_state_by_name(machine, from),
	                   ga_fsm_state_by_name(machine, to));
}

bool
ga_fsm_next_edge(size_t *cursor, GaFsmEdge *edge)
{
	/* the cursor counts (machine, from, to) in a cube of 32 states a side */
	for (; *cursor < (size_t) GA_MACHINE_COUNT * 32 * 32; (*cursor)++)
	{
		GaMachine machine = (GaMachine) (*cursor / (32 * 32));
		int from = (int) (*cursor / 32 % 32);
		int to = (int) (*cursor % 32);

		if (!ga_fsm_edge(machine, from, to))
			continue;
		edge->machine = machine;
		edge->machine_name = machines[machine].name;
		edge->from = from;
		edge->to = to;
		edge->from_name = machines[machine].states[from].name;
		edge->to_name = machines[machine].states[to].name;
		(*cursor)++;
		return true;
	}
	return false;
}
