/* SPDX-License-Identifier: PostgreSQL */
/* job.h: one claimed job and, once it has ended, its result. */
#ifndef GOLDENARCH_EXECUTOR_JOB_H
#define GOLDENARCH_EXECUTOR_JOB_H

#include "metrics.h"
#include "sandbox.h"

typedef enum GaJobPhase
{
	GA_PHASE_WAITING, /* claimed; its sandbox is not up yet */
	GA_PHASE_RUNNING,
	GA_PHASE_ENDED,  /* has a result that the database has not taken yet */
	GA_PHASE_RELEASE /* goes back to the queue, not run to its end */
} GaJobPhase;

typedef struct GaJob
{
	GaJobPhase phase;
	char id[40];
	char token[24];
	char rootfs[80];
	int64_t timeout_ms;
	int64_t started;
	GaCgroupLimits limits;
	GaWireLimits inner;
	GaBuffer frames; /* what sbx-init is sent, ready made */
	bool revoked;    /* cancelled, or no longer ours */

	/* the result */
	GaJobState outcome;
	bool has_exit_code;
	bool has_signal;
	int exit_code;
	int signal;
	int64_t wall_ms;
	int64_t cpu_ms;
	int64_t peak_kb;
	bool truncated;
	GaBuffer out;
	GaBuffer err;
	char error[GA_WHY_MAX];
} GaJob;

/* One row of claim_jobs as text, in the order of its columns. */
typedef struct GaClaim
{
	const char *job_id;
	const char *token;
	const char *argv; /* JSON array */
	const char *rootfs;
	const char *code;
	const char *args;  /* JSON array */
	const char *input; /* or NULL */
	const char *files; /* JSON object of strings */
	const char *timeout_ms;
	const char *memory_mb;
	const char *cpus;
	const char *pids;
} GaClaim;

/* Never NULL; a claim that makes no sense comes back ENDED as lost, with the reason. */
GaJob *ga_job_new(const GaClaim *claim);
void ga_job_free(GaJob *job);
const char *ga_job_status(const GaJob *job);
/* Fix the outcome and take the output over from the sandbox. */
void ga_job_end(GaJob *job, GaSandbox *box, GaJobState outcome, const char *error);
/* The sandbox said how the job ended, or died without saying so: decide which it was. */
void ga_job_judge(GaJob *job, GaSandbox *box, const char *state_dir);

#endif
