/* SPDX-License-Identifier: PostgreSQL */
/* fsm.c: each state can be reached, final states are the meant ones, names round-trip. */
#include "fsm.h"

#include <stdint.h>

#include "unit.h"

static void
test_reachable(GaMachine machine)
{
	uint32_t seen = 1; /* state 0 is where each machine starts */
	int count = ga_fsm_state_count(machine);

	for (int round = 0; round < count; round++)
	{
		for (int from = 0; from < count; from++)
		{
			for (int to = 0; to < count; to++)
			{
				if ((seen >> from & 1) && ga_fsm_edge(machine, from, to))
					seen |= UINT32_C(1) << to;
			}
		}
	}
	CHECK_INT(seen, (UINT32_C(1) << count) - 1);
	for (int state = 0; state < count; state++)
	{
		CHECK(!ga_fsm_edge(machine, state, state));
		CHECK_INT(ga_fsm_state_by_name(machine, ga_fsm_state_name(machine, state)), state);
	}
}

static void
test_walk(void)
{
	GaFsmEdge edge;
	size_t cursor = 0;
	int walked = 0;
	int counted = 0;

	while (ga_fsm_next_edge(&cursor, &edge))
	{
		walked++;
		CHECK(ga_fsm_edge_by_names(edge.machine, edge.from_name, edge.to_name));
		CHECK(strcmp(edge.machine_name, ga_fsm_machine_name(edge.machine)) == 0);
	}
	for (int m = 0; m < GA_MACHINE_COUNT; m++)
	{
		for (int i = 0; i < 1024; i++)
			counted += ga_fsm_edge((GaMachine) m, i / 32, i % 32);
	}
	CHECK_INT(walked, counted);
}

int
main(void)
{
	GaMachine machine;

	for (int m = 0; m < GA_MACHINE_COUNT; m++)
		test_reachable((GaMachine) m);
	test_walk();
	CHECK(ga_fsm_final(GA_MACHINE_JOB, GA_JOB_LOST));
	CHECK(!ga_fsm_final(GA_MACHINE_JOB, GA_JOB_RUNNING));
	CHECK(ga_fsm_final(GA_MACHINE_APPROVAL, GA_APPROVAL_CONSUMED));
	CHECK(ga_fsm_final(GA_MACHINE_TASK, GA_TASK_COMPLETED));
	CHECK(!ga_fsm_edge(GA_MACHINE_APPROVAL, GA_APPROVAL_EXPIRED, GA_APPROVAL_APPROVED));
	CHECK(!ga_fsm_edge(GA_MACHINE_TASK, GA_TASK_CREATED, GA_TASK_COMPLETED));
	CHECK(ga_fsm_machine_by_name("breaker", &machine) && machine == GA_MACHINE_BREAKER);
	CHECK(!ga_fsm_machine_by_name("Breaker", &machine));
	CHECK_INT(ga_fsm_state_by_name(GA_MACHINE_TASK, "done"), -1);
	CHECK(ga_fsm_state_name(GA_MACHINE_COUNT, 0) == NULL);
	CHECK(ga_fsm_state_name(GA_MACHINE_TASK, 8) == NULL);
	CHECK(ga_fsm_state_name(GA_MACHINE_TASK, -1) == NULL);
	CHECK(!ga_fsm_edge(GA_MACHINE_TASK, 31, 0));
	CHECK(!ga_fsm_edge_by_names(GA_MACHINE_TASK, "created", "nowhere"));
	return unit_done();
}
