/* SPDX-License-Identifier: PostgreSQL */
/* pool.h: the slots; each holds at most one sandbox and one job. */
#ifndef GOLDENARCH_EXECUTOR_POOL_H
#define GOLDENARCH_EXECUTOR_POOL_H

#include "job.h"

typedef struct GaSlot
{
	GaSandbox box;
	GaJob *job;
	int failures;       /* sandboxes in a row that did not come up */
	int64_t not_before; /* start none before this time */
} GaSlot;

typedef struct GaPool
{
	GaHost host;
	GaMetrics metrics;
	GaSlot slots[GA_MAX_SLOTS];
	int count;
	bool draining;
} GaPool;

void ga_pool_init(GaPool *pool, const GaOptions *options);
/* How many jobs may be claimed now: parked sandboxes without one. */
int ga_pool_free_slots(const GaPool *pool);
void ga_pool_give(GaPool *pool, GaJob *job);
/* Move every slot on: start, dispatch, pump, judge, take down. */
void ga_pool_step(GaPool *pool);
/* Milliseconds until the pool needs a step though nothing happened. */
int ga_pool_patience(const GaPool *pool);
int ga_pool_poll(const GaPool *pool, struct pollfd *polls);
/* Stop jobs without a result: they go back to the queue. */
void ga_pool_release_jobs(GaPool *pool);
/* Stop running jobs because their lease can no longer be proved to be ours. */
void ga_pool_fence(GaPool *pool);
GaJob *ga_pool_find(GaPool *pool, const char *id, const char *token);
/* The database has taken the result, or refused it for good. */
void ga_pool_forget(GaPool *pool, GaJob *job);
bool ga_pool_idle(const GaPool *pool);
void ga_pool_child_ended(GaPool *pool, pid_t pid);

#endif
