/* SPDX-License-Identifier: PostgreSQL */
/*
 * Shared memory: the table of parts, requested and attached through the server's two hooks. Each
 * part is zeroed and initialised once, under AddinShmemInitLock; after a crash the postmaster makes
 * all of it anew, so nothing here may be the only copy of a fact.
 */
#include "goldenarch/shmem.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "bridge_state.h"
#include "denial_ring.h"
#include "ground.h"
#include "limiters.h"

static const GaShmemPart parts[] = {
    {"goldenarch metrics", ga_metrics_shmem_size, ga_metrics_shmem_init, &ga_metrics_shared},
    {"goldenarch bridge", ga_bridge_shmem_size, ga_bridge_shmem_init, &ga_bridge_shared},
    {"goldenarch wake", ga_wake_shmem_size, ga_wake_shmem_init, &ga_wake_shared},
    {"goldenarch breakers", ga_breaker_shmem_size, ga_breaker_shmem_init, &ga_breaker_shared},
    {"goldenarch denials", ga_ring_shmem_size, ga_ring_shmem_init, &ga_ring_shared},
    {"goldenarch rate limits", ga_rate_shmem_size, ga_rate_shmem_init, &ga_rate_shared},
};

typedef struct SharedHead
{
	int tranche;
} SharedHead;

static SharedHead *head;
static shmem_request_hook_type next_request_hook;
static shmem_startup_hook_type next_startup_hook;

bool
ga_preloaded(void)
{
	return head != NULL;
}

int
ga_lwlock_tranche(void)
{
	return head->tranche;
}

static void
request(void)
{
	int i;

	if (next_request_hook)
		next_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedHead)));
	for (i = 0; i < (int) lengthof(parts); i++)
		RequestAddinShmemSpace(MAXALIGN(parts[i].size()));
}

static void
startup(void)
{
	bool found;
	int i;

	if (next_startup_hook)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	head = ShmemInitStruct("goldenarch", sizeof(SharedHead), &found);
	if (!found)
		head->tranche = LWLockNewTrancheId();
	LWLockRegisterTranche(head->tranche, "goldenarch");
	for (i = 0; i < (int) lengthof(parts); i++)
	{
		Size size = parts[i].size();

		*parts[i].where = ShmemInitStruct(parts[i].name, size, &found);
		if (!found)
		{
			memset(*parts[i].where, 0, size);
			parts[i].init(*parts[i].where);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
ga_shmem_setup(void)
{
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}
