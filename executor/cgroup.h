/* SPDX-License-Identifier: PostgreSQL */
/* cgroup.h: one leaf a sandbox, made, limited, measured and emptied by the executor. */
#ifndef GOLDENARCH_EXECUTOR_CGROUP_H
#define GOLDENARCH_EXECUTOR_CGROUP_H

#include "sys.h"

#define GA_CONTROLLERS 4

typedef struct GaCgroups
{
	int version; /* 1 or 2 */
	int count;   /* folders below: one a controller in version 1, one in version 2 */
	char base[GA_CONTROLLERS][GA_PATH_MAX];
} GaCgroups;

typedef struct GaCgroupLimits
{
	int64_t memory_bytes;
	int tasks;
	double cpus;
} GaCgroupLimits;

typedef struct GaCgroupUsage
{
	int64_t cpu_us;
	int64_t memory_bytes;
	int64_t peak_bytes;
	int64_t oom_kills;
} GaCgroupUsage;

/*
 * Find the controllers and make <mount>/<parent>/<tag>, under which all leaves of this daemon
 * live.
 */
bool ga_cgroup_open(GaCgroups *groups, const char *parent, const char *tag, char *why);
bool ga_cgroup_make(const GaCgroups *groups, const char *leaf, char *why);
bool ga_cgroup_limit(const GaCgroups *groups, const char *leaf, const GaCgroupLimits *limits,
                     char *why);
/* Move the calling process into the leaf: for the child, between fork and exec. */
bool ga_cgroup_enter(const GaCgroups *groups, const char *leaf);
void ga_cgroup_usage(const GaCgroups *groups, const char *leaf, GaCgroupUsage *usage);
/* Forget the peak so far, where the kernel can. */
void ga_cgroup_reset_peak(const GaCgroups *groups, const char *leaf);
/* SIGKILL every process in the leaf but `except`; how many there were. */
int ga_cgroup_kill(const GaCgroups *groups, const char *leaf, int except);
bool ga_cgroup_remove(const GaCgroups *groups, const char *leaf);
/* At boot: kill and remove every leaf that an earlier life left; how many. */
int ga_cgroup_sweep(const GaCgroups *groups);
/* At the end: remove the daemon's own folder. */
void ga_cgroup_close(const GaCgroups *groups);

#endif
