/* SPDX-License-Identifier: PostgreSQL */
/* sandbox.h: the life of one single-use sandbox, from `runsc run` to the last trace of it. */
#ifndef GOLDENARCH_EXECUTOR_SANDBOX_H
#define GOLDENARCH_EXECUTOR_SANDBOX_H

#include <sys/types.h>

#include "cgroup.h"
#include "frame.h"
#include "limits.h"
#include "options.h"
#include "wire.h"

#define GA_OUTPUT_KEEP \
	GA_JOB_OUTPUT_MAX_BYTES       /* of each stream this much is kept, the rest counted */
#define GA_OUTPUT_FLOOD (8 << 20) /* a job that writes more than this is stopped */

typedef enum GaSandboxState
{
	GA_SANDBOX_EMPTY,
	GA_SANDBOX_WARMING, /* runsc started, sbx-init not heard yet */
	GA_SANDBOX_READY,   /* parked */
	GA_SANDBOX_BUSY,    /* has its job */
	GA_SANDBOX_REAPING  /* nothing of it counts any more: being taken down */
} GaSandboxState;

typedef struct GaSandbox
{
	GaSandboxState state;
	char id[64];
	char rootfs[80];
	pid_t pid; /* of `runsc run`; 0 once reaped */
	int input;
	int output;
	int diagnostics;
	int64_t since; /* when this state began */
	int ladder;    /* how far the taking down has gone */
	GaBuffer outgoing;
	size_t sent;
	GaFrameParser parser;
	uint8_t *payload;
	GaBuffer out;
	GaBuffer err;
	int64_t written;
	bool truncated;
	bool exited;
	bool broken; /* the frames made no sense */
	int wait_status;
	char fault[GA_WHY_MAX];
	char tail[GA_WHY_MAX]; /* the end of what runsc itself said */
	GaCgroupUsage usage;
	int64_t cpu_base_us;
} GaSandbox;

typedef struct GaHost
{
	const GaOptions *options;
	GaCgroups groups;
} GaHost;

bool ga_sandbox_start(const GaHost *host, GaSandbox *box, const char *rootfs, char *why);
void ga_sandbox_frame(GaSandbox *box, char type, const void *data, size_t length);
/* Send what is queued, as far as the pipe takes it. */
void ga_sandbox_write(GaSandbox *box);
/* Take in what sbx-init and runsc said; moves WARMING to READY. */
void ga_sandbox_read(const GaHost *host, GaSandbox *box);
void ga_sandbox_busy(const GaHost *host, GaSandbox *box);
void ga_sandbox_measure(const GaHost *host, GaSandbox *box);
/* No output counts from here on; the processes go at once, or after a moment when asked to. */
void ga_sandbox_stop(const GaHost *host, GaSandbox *box, bool politely);
/* Further down the ladder: kill, reap, remove the leaf; REAPING ends in EMPTY. */
void ga_sandbox_reap(const GaHost *host, GaSandbox *box);
void ga_sandbox_child_ended(GaSandbox *box);

#endif
