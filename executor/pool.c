/* SPDX-License-Identifier: PostgreSQL */
/*
 * pool.c: the slots. A slot keeps one sandbox parked: runsc is up and sbx-init waits for its one
 * job, so that a job pays for its interpreter alone. A job whose runtime names another rootfs
 * makes its slot start a sandbox of that rootfs first. A sandbox that ran is never used again; a
 * job keeps its slot until the database has taken its result, while the slot's next sandbox is
 * already warming.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "bundle.h"
#include "pool.h"

#define WARM_LIMIT_MS 30000
#define STALE_MS 600000
#define BACKOFF_MAX_MS 30000
#define MAX_WARM_FAILURES 3

void
ga_pool_init(GaPool *pool, const GaOptions *options)
{
	memset(pool, 0, sizeof(*pool));
	pool->host.options = options;
	pool->count = options->slots;
	pool->metrics.slots = options->slots;
	pool->metrics.listener = -1;
	for (int i = 0; i < GA_MAX_SLOTS; i++)
		pool->slots[i].box.input = pool->slots[i].box.output = pool->slots[i].box.diagnostics = -1;
}

static bool
is_free(const GaSlot *slot)
{
	return slot->job == NULL && slot->box.state == GA_SANDBOX_READY;
}

int
ga_pool_free_slots(const GaPool *pool)
{
	int count = 0;

	for (int i = 0; i < pool->count && !pool->draining; i++)
		count += is_free(&pool->slots[i]);
	return count;
}

void
ga_pool_give(GaPool *pool, GaJob *job)
{
	GaSlot *best = NULL;

	pool->metrics.counters[GA_TALLY_CLAIMED]++;
	for (int i = 0; i < pool->count; i++)
	{
		/* a sandbox that was parked when we asked may be gone by now: its slot will have another */
		if (pool->slots[i].job == NULL && (best == NULL || is_free(&pool->slots[i])))
			best = &pool->slots[i];
	}
	if (best != NULL)
	{
		best->job = job;
		return;
	}
	/* more were handed out than asked for: leave it to its lease */
	ga_log("job %s: no slot is free for it", job->id);
	ga_job_free(job);
}

static void
warm_failed(GaPool *pool, GaSlot *slot, const char *why)
{
	pool->metrics.counters[GA_TALLY_WARM_FAILURES]++;
	ga_log("a sandbox did not start: %s", why);
	slot->not_before = ga_now_ms() + ga_backoff_ceiling(slot->failures, 250, BACKOFF_MAX_MS);
	slot->failures++;
	if (slot->job != NULL && slot->job->phase == GA_PHASE_WAITING &&
	    slot->failures >= MAX_WARM_FAILURES)
		ga_job_end(slot->job, NULL, GA_JOB_LOST, why);
}

static void
start_sandbox(GaPool *pool, GaSlot *slot)
{
	char why[GA_WHY_MAX];
	bool waiting = slot->job != NULL && slot->job->phase == GA_PHASE_WAITING;

	if (pool->draining || ga_now_ms() < slot->not_before)
		return;
	if (!ga_sandbox_start(&pool->host, &slot->box, waiting ? slot->job->rootfs : GA_DEFAULT_ROOTFS,
	                      why))
		warm_failed(pool, slot, why);
}

static void
step_warming(GaPool *pool, GaSlot *slot)
{
	GaSandbox *box = &slot->box;
	char why[GA_WHY_MAX];

	ga_sandbox_read(&pool->host, box);
	if (box->state == GA_SANDBOX_READY)
	{
		slot->failures = 0;
		return;
	}
	if (box->output >= 0 && box->pid != 0 && !box->broken &&
	    ga_now_ms() - box->since < WARM_LIMIT_MS)
		return;
	ga_fail(why, "%.400s", box->tail[0] != '\0' ? box->tail : "runsc ended before its init spoke");
	ga_sandbox_stop(&pool->host, box, false);
	warm_failed(pool, slot, why);
}

static void
dispatch(GaPool *pool, GaSlot *slot)
{
	GaJob *job = slot->job;
	char why[GA_WHY_MAX];

	if (!ga_cgroup_limit(&pool->host.groups, slot->box.id, &job->limits, why))
	{
		ga_job_end(job, NULL, GA_JOB_LOST, why);
		ga_sandbox_stop(&pool->host, &slot->box, false);
		return;
	}
	ga_sandbox_busy(&pool->host, &slot->box);
	ga_buffer_free(&slot->box.outgoing);
	slot->box.outgoing = job->frames;
	memset(&job->frames, 0, sizeof(job->frames));
	job->phase = GA_PHASE_RUNNING;
	job->started = ga_now_ms();
	ga_sandbox_write(&slot->box);
}

static void
step_ready(GaPool *pool, GaSlot *slot)
{
	GaSandbox *box = &slot->box;
	GaJob *job = slot->job;

	ga_sandbox_read(&pool->host, box);
	if (box->output < 0 || box->pid == 0 || box->broken || pool->draining ||
	    ga_now_ms() - box->since > STALE_MS)
		ga_sandbox_stop(&pool->host, box, true);
	else if (job != NULL && job->phase == GA_PHASE_WAITING)
	{
		if (strcmp(box->rootfs, job->rootfs) == 0)
			dispatch(pool, slot);
		else
			ga_sandbox_stop(&pool->host, box, true);
	}
	else if (strcmp(box->rootfs, GA_DEFAULT_ROOTFS) != 0)
		ga_sandbox_stop(&pool->host, box, true);
}

static void
step_busy(GaPool *pool, GaSlot *slot)
{
	const GaHost *host = &pool->host;
	GaSandbox *box = &slot->box;
	GaJob *job = slot->job;

	ga_sandbox_write(box);
	ga_sandbox_read(host, box);
	if (!box->exited)
		ga_sandbox_measure(host, box);
	if (job->revoked && !box->exited)
		ga_job_end(job, box, GA_JOB_CANCELLED, NULL);
	else if (box->written > GA_OUTPUT_FLOOD)
		ga_job_end(job, box, GA_JOB_OUTPUT_LIMIT, "the job wrote more than 8 MiB");
	else if (box->exited)
		ga_job_judge(job, box, host->options->state_dir);
	else if (ga_now_ms() - job->started >= job->timeout_ms)
		ga_job_end(job, box, GA_JOB_TIMED_OUT, "the job ran into its time limit");
	else if (box->broken)
		ga_job_end(job, box, GA_JOB_FAILED, "the job broke the sandbox's protocol");
	else if (box->output < 0)
		ga_job_judge(job, box, host->options->state_dir);
	else
		return;
	ga_sandbox_stop(host, box, box->exited);
}

void
ga_pool_step(GaPool *pool)
{
	pool->metrics.ready = pool->metrics.busy = 0;
	for (int i = 0; i < pool->count; i++)
	{
		GaSlot *slot = &pool->slots[i];

		if (slot->box.state == GA_SANDBOX_REAPING)
			ga_sandbox_reap(&pool->host, &slot->box);
		if (slot->box.state == GA_SANDBOX_EMPTY)
			start_sandbox(pool, slot);
		else if (slot->box.state == GA_SANDBOX_WARMING)
			step_warming(pool, slot);
		if (slot->box.state == GA_SANDBOX_READY)
			step_ready(pool, slot);
		if (slot->box.state == GA_SANDBOX_BUSY)
			step_busy(pool, slot);
		if (slot->job != NULL && slot->job->phase == GA_PHASE_WAITING && slot->job->revoked)
			ga_job_end(slot->job, NULL, GA_JOB_CANCELLED, NULL);
		else if (slot->job != NULL && slot->job->phase == GA_PHASE_WAITING && pool->draining)
			slot->job->phase = GA_PHASE_RELEASE;
		pool->metrics.ready += is_free(slot);
		pool->metrics.busy += slot->job != NULL;
	}
}

int
ga_pool_patience(const GaPool *pool)
{
	int64_t now = ga_now_ms();
	int64_t patience = 1000;

	for (int i = 0; i < pool->count; i++)
	{
		const GaSlot *slot = &pool->slots[i];
		int64_t wait = 1000;

		if (slot->box.state == GA_SANDBOX_REAPING)
			wait = 20;
		else if (slot->box.state == GA_SANDBOX_EMPTY && !pool->draining)
			wait = slot->not_before - now;
		else if (slot->box.state == GA_SANDBOX_READY && slot->job != NULL)
			wait = 0;
		else if (slot->box.state == GA_SANDBOX_BUSY)
			wait = slot->job->started + slot->job->timeout_ms - now;
		if (wait < patience)
			patience = wait;
	}
	return patience < 1 ? 1 : (int) patience;
}

int
ga_pool_poll(const GaPool *pool, struct pollfd *polls)
{
	int count = 0;

	for (int i = 0; i < pool->count; i++)
	{
		const GaSandbox *box = &pool->slots[i].box;

		if (box->output >= 0)
			polls[count++] = (struct pollfd){box->output, POLLIN, 0};
		if (box->diagnostics >= 0)
			polls[count++] = (struct pollfd){box->diagnostics, POLLIN, 0};
		if (box->input >= 0 && box->sent < box->outgoing.length)
			polls[count++] = (struct pollfd){box->input, POLLOUT, 0};
	}
	return count;
}

void
ga_pool_release_jobs(GaPool *pool)
{
	for (int i = 0; i < pool->count; i++)
	{
		GaSlot *slot = &pool->slots[i];

		if (slot->job == NULL || slot->job->phase >= GA_PHASE_ENDED)
			continue;
		slot->job->phase = GA_PHASE_RELEASE;
		if (slot->box.state == GA_SANDBOX_BUSY)
			ga_sandbox_stop(&pool->host, &slot->box, false);
	}
}

void
ga_pool_fence(GaPool *pool)
{
	for (int i = 0; i < pool->count; i++)
	{
		GaSlot *slot = &pool->slots[i];

		if (slot->job == NULL || slot->job->phase >= GA_PHASE_ENDED)
			continue;
		ga_log("job %s stopped: its lease could not be renewed", slot->job->id);
		pool->metrics.counters[GA_TALLY_REVOKED]++;
		if (slot->box.state == GA_SANDBOX_BUSY)
			ga_sandbox_stop(&pool->host, &slot->box, false);
		ga_pool_forget(pool, slot->job);
	}
}

GaJob *
ga_pool_find(GaPool *pool, const char *id, const char *token)
{
	for (int i = 0; i < pool->count; i++)
	{
		GaJob *job = pool->slots[i].job;

		if (job != NULL && strcmp(job->id, id) == 0 && strcmp(job->token, token) == 0)
			return job;
	}
	return NULL;
}

void
ga_pool_forget(GaPool *pool, GaJob *job)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->slots[i].job == job)
			pool->slots[i].job = NULL;
	ga_job_free(job);
}

bool
ga_pool_idle(const GaPool *pool)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->slots[i].job != NULL || pool->slots[i].box.state != GA_SANDBOX_EMPTY)
			return false;
	return true;
}

void
ga_pool_child_ended(GaPool *pool, pid_t pid)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->slots[i].box.pid == pid)
			ga_sandbox_child_ended(&pool->slots[i].box);
}
