/* SPDX-License-Identifier: PostgreSQL */
/* options.h: what the command line said, checked and absolute; constant after start. */
#ifndef GOLDENARCH_EXECUTOR_OPTIONS_H
#define GOLDENARCH_EXECUTOR_OPTIONS_H

#include "sys.h"

#define GA_MAX_SLOTS 64

typedef struct GaOptions
{
	const char *dsn;
	const char *name;
	const char *runsc;
	const char *platform;
	const char *cgroup_parent;
	char state_dir[GA_PATH_MAX / 2];
	char rootfs_dir[GA_PATH_MAX / 2];
	char init[GA_PATH_MAX / 2];
	int slots;
	int metrics_port;
	int grace_ms;
	bool check;
	bool rootless;
} GaOptions;

#endif
