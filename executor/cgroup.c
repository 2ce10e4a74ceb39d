/* SPDX-License-Identifier: PostgreSQL */
/*
 * cgroup.c: the leaves that hold the sandboxes. The executor makes each leaf, sets its limits and
 * moves the child into it before runsc starts, because runsc leaves a leaf that exists unlimited
 * and, without root, ignores cgroups without a word. Version 1 has a tree a controller; version 2
 * one tree. Leaves survive a killed daemon, therefore the sweep at boot; nothing else does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"

#define PERIOD_US 100000

static const char *const controllers[GA_CONTROLLERS] = {"memory", "pids", "cpu", "cpuacct"};

enum
{
	MEMORY,
	PIDS,
	CPU,
	CPUACCT
};

/* The folder that holds a controller's leaves. */
static const char *
base_of(const GaCgroups *groups, int controller)
{
	return groups->base[groups->version == 2 ? 0 : controller];
}

static bool
set(const GaCgroups *groups, int controller, const char *leaf, const char *file, const char *value)
{
	char path[GA_PATH_MAX];
	int fd;
	bool written;

	if (!ga_path(path, "%s/%s/%s", base_of(groups, controller), leaf, file))
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value)) == (ssize_t) strlen(value);
	close(fd);
	return written;
}

/* A number out of a file: the whole of it, or what follows `key ` at the start of a line. */
static int64_t
get(const GaCgroups *groups, int controller, const char *leaf, const char *file, const char *key)
{
	char path[GA_PATH_MAX];
	char text[4096];
	const char *at = text;

	if (!ga_path(path, "%s/%s/%s", base_of(groups, controller), leaf, file) ||
	    ga_read_file(path, text, sizeof(text)) < 0)
		return 0;
	if (key == NULL)
		return strtoll(text, NULL, 10);
	while (at != NULL)
	{
		size_t length = strlen(key);

		if (strncmp(at, key, length) == 0 && at[length] == ' ')
			return strtoll(at + length + 1, NULL, 10);
		at = strchr(at, '\n');
		if (at != NULL)
			at++;
	}
	return 0;
}

static bool
lists(const char *options, const char *wanted)
{
	size_t length = strlen(wanted);

	for (const char *at = options; at != NULL; at = strchr(at, ','))
	{
		if (*at == ',')
			at++;
		if (strncmp(at, wanted, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

/* Where a controller (version 1), or the one tree (version 2: controller NULL), is mounted. */
static bool
find_mount(const char *controller, char *mount)
{
	char line[4096];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
	{
		char *save = NULL;
		char *where, *kind, *options;

		strtok_r(line, " ", &save);
		where = strtok_r(NULL, " ", &save);
		kind = strtok_r(NULL, " ", &save);
		options = strtok_r(NULL, " ", &save);
		if (options == NULL)
			continue;
		found = controller == NULL ? strcmp(kind, "cgroup2") == 0
		                           : strcmp(kind, "cgroup") == 0 && lists(options, controller);
		if (found)
			found = ga_path(mount, "%s", where);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/*
 * Make a folder and its parents. Several daemons share the parent, and the last of them to end
 * removes it: who comes at that moment tries again.
 */
static bool
make_base(const char *path, char *why)
{
	for (int attempt = 0; attempt < 5; attempt++)
	{
		if (ga_make_dirs(path, 0755, why))
			return true;
		usleep(10000);
	}
	return false;
}

/*
 * Version 2: hand the controllers down to the children of a folder, as far as that is ours to do. A
 * folder that holds processes cannot; when it holds this daemon alone (a delegated unit, a
 * container) the daemon steps into a child of it first.
 */
static void
hand_down(const char *folder)
{
	char control[GA_PATH_MAX], step[GA_PATH_MAX], procs[GA_PATH_MAX], pid[32];

	if (!ga_path(control, "%s/cgroup.subtree_control", folder) ||
	    !ga_path(step, "%s/goldenarch-daemon", folder) ||
	    !ga_path(procs, "%s/cgroup.procs", step) || ga_write_file(control, "+memory +pids +cpu") ||
	    errno != EBUSY)
		return;
	mkdir(step, 0755);
	snprintf(pid, sizeof(pid), "%d", (int) getpid());
	if (ga_write_file(procs, pid))
		(void) ga_write_file(control, "+memory +pids +cpu");
	else
		rmdir(step);
}

/* Version 2: the path of the daemon's own cgroup, which "self" stands for. */
static bool
own_path(char *path)
{
	char text[4096];
	char *at;

	if (ga_read_file("/proc/self/cgroup", text, sizeof(text)) < 0)
		return false;
	at = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (at == NULL)
		return false;
	at = strchr(at, '/');
	if (at != NULL)
		at[strcspn(at, "\n")] = '\0';
	return at != NULL && ga_path(path, "%s", at + 1);
}

static bool
open_unified(GaCgroups *groups, const char *mount, const char *parent, const char *tag, char *why)
{
	char folder[GA_PATH_MAX], own[GA_PATH_MAX], path[GA_PATH_MAX], given[256];

	groups->version = 2;
	groups->count = 1;
	if (strcmp(parent, "self") == 0)
	{
		if (!own_path(own))
			return ga_fail(why, "cannot tell the daemon's own cgroup");
		parent = own;
	}
	if (!ga_path(folder, "%s/%s", mount, parent) ||
	    !ga_path(groups->base[0], "%s/%s/%s", mount, parent, tag) ||
	    !ga_path(path, "%s/cgroup.subtree_control", groups->base[0]))
		return ga_fail(why, "cgroup path too long");
	hand_down(mount);
	if (!make_base(folder, why))
		return false;
	hand_down(folder);
	if (!make_base(groups->base[0], why))
		return false;
	hand_down(groups->base[0]);
	if (ga_read_file(path, given, sizeof(given)) < 0 || strstr(given, "memory") == NULL ||
	    strstr(given, "pids") == NULL || strstr(given, "cpu") == NULL)
		return ga_fail(why, "cgroup controllers memory, pids and cpu do not reach %s",
		               groups->base[0]);
	return true;
}

bool
ga_cgroup_open(GaCgroups *groups, const char *parent, const char *tag, char *why)
{
	char mount[GA_PATH_MAX];

	memset(groups, 0, sizeof(*groups));
	if (!find_mount(controllers[MEMORY], mount))
	{
		if (!find_mount(NULL, mount))
			return ga_fail(why, "no cgroup tree is mounted, so that no memory limit would hold");
		return open_unified(groups, mount, parent, tag, why);
	}
	groups->version = 1;
	groups->count = GA_CONTROLLERS;
	for (int i = 0; i < GA_CONTROLLERS; i++)
	{
		if (!find_mount(controllers[i], mount))
			return ga_fail(why, "cgroup controller %s is not mounted", controllers[i]);
		if (!ga_path(groups->base[i], "%s/%s/%s", mount, parent, tag))
			return ga_fail(why, "cgroup path too long");
		if (!make_base(groups->base[i], why))
			return false;
	}
	return true;
}

bool
ga_cgroup_make(const GaCgroups *groups, const char *leaf, char *why)
{
	char path[GA_PATH_MAX];

	for (int i = 0; i < groups->count; i++)
	{
		if (!ga_path(path, "%s/%s", groups->base[i], leaf))
			return ga_fail(why, "cgroup path too long");
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return ga_fail(why, "cannot create cgroup %s: %s", path, strerror(errno));
	}
	return true;
}

bool
ga_cgroup_limit(const GaCgroups *groups, const char *leaf, const GaCgroupLimits *limits, char *why)
{
	char memory[32], tasks[32], quota[64];
	bool done;

	snprintf(memory, sizeof(memory), "%lld", (long long) limits->memory_bytes);
	snprintf(tasks, sizeof(tasks), "%d", limits->tasks);
	if (groups->version == 1)
	{
		/* raising needs memsw first, lowering memory first: try both orders; swap may be off */
		set(groups, MEMORY, leaf, "memory.memsw.limit_in_bytes", memory);
		done = set(groups, MEMORY, leaf, "memory.limit_in_bytes", memory);
		set(groups, MEMORY, leaf, "memory.memsw.limit_in_bytes", memory);
		snprintf(quota, sizeof(quota), "%d", (int) (limits->cpus * PERIOD_US));
		done = done && set(groups, PIDS, leaf, "pids.max", tasks) &&
		       set(groups, CPU, leaf, "cpu.cfs_quota_us", quota);
		set(groups, CPU, leaf, "cpu.shares", "256");
	}
	else
	{
		snprintf(quota, sizeof(quota), "%d %d", (int) (limits->cpus * PERIOD_US), PERIOD_US);
		done = set(groups, MEMORY, leaf, "memory.max", memory) &&
		       set(groups, PIDS, leaf, "pids.max", tasks) &&
		       set(groups, CPU, leaf, "cpu.max", quota);
		set(groups, MEMORY, leaf, "memory.swap.max", "0");
		set(groups, CPU, leaf, "cpu.weight", "25");
	}
	return done || ga_fail(why, "cannot set the limits of cgroup %s: %s", leaf, strerror(errno));
}

bool
ga_cgroup_enter(const GaCgroups *groups, const char *leaf)
{
	for (int i = 0; i < groups->count; i++)
		if (!set(groups, i, leaf, "cgroup.procs", "0"))
			return false;
	return true;
}

void
ga_cgroup_usage(const GaCgroups *groups, const char *leaf, GaCgroupUsage *usage)
{
	if (groups->version == 1)
	{
		usage->cpu_us = get(groups, CPUACCT, leaf, "cpuacct.usage", NULL) / 1000;
		usage->memory_bytes = get(groups, MEMORY, leaf, "memory.usage_in_bytes", NULL);
		usage->peak_bytes = get(groups, MEMORY, leaf, "memory.max_usage_in_bytes", NULL);
		usage->oom_kills = get(groups, MEMORY, leaf, "memory.oom_control", "oom_kill");
	}
	else
	{
		usage->cpu_us = get(groups, CPU, leaf, "cpu.stat", "usage_usec");
		usage->memory_bytes = get(groups, MEMORY, leaf, "memory.current", NULL);
		usage->peak_bytes = get(groups, MEMORY, leaf, "memory.peak", NULL);
		usage->oom_kills = get(groups, MEMORY, leaf, "memory.events", "oom_kill");
	}
}

void
ga_cgroup_reset_peak(const GaCgroups *groups, const char *leaf)
{
	if (groups->version == 1)
		set(groups, MEMORY, leaf, "memory.max_usage_in_bytes", "0");
}

int
ga_cgroup_kill(const GaCgroups *groups, const char *leaf, int except)
{
	char path[GA_PATH_MAX];
	char line[32];
	int seen = 0;

	for (int i = 0; i < groups->count; i++)
	{
		FILE *file = NULL;

		if (ga_path(path, "%s/%s/cgroup.procs", groups->base[i], leaf))
			file = fopen(path, "re");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		{
			int pid = atoi(line);

			if (pid <= 1 || pid == except || pid == getpid())
				continue;
			kill(pid, SIGKILL);
			seen++;
		}
		if (file != NULL)
			fclose(file);
	}
	return seen;
}

bool
ga_cgroup_remove(const GaCgroups *groups, const char *leaf)
{
	char path[GA_PATH_MAX];
	bool gone = true;

	for (int i = 0; i < groups->count; i++)
	{
		if (!ga_path(path, "%s/%s", groups->base[i], leaf))
			return false;
		if (rmdir(path) != 0 && errno != ENOENT)
			gone = false;
	}
	return gone;
}

static bool
sweep_leaf(const GaCgroups *groups, const char *leaf)
{
	for (int attempt = 0; attempt < 100; attempt++)
	{
		if (ga_cgroup_kill(groups, leaf, 0) == 0 && ga_cgroup_remove(groups, leaf))
			return true;
		usleep(50000);
	}
	ga_log("cgroup leaf %s of an earlier life cannot be removed", leaf);
	return false;
}

int
ga_cgroup_sweep(const GaCgroups *groups)
{
	int swept = 0;

	for (int i = 0; i < groups->count; i++)
	{
		DIR *folder = opendir(groups->base[i]);
		struct dirent *entry;

		while (folder != NULL && (entry = readdir(folder)) != NULL)
			if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
			    sweep_leaf(groups, entry->d_name))
				swept++;
		if (folder != NULL)
			closedir(folder);
	}
	return swept;
}

void
ga_cgroup_close(const GaCgroups *groups)
{
	char parent[GA_PATH_MAX];

	for (int i = 0; i < groups->count; i++)
	{
		char *slash;

		rmdir(groups->base[i]);
		/* the parent is shared with other daemons: it goes with the last of them */
		if (ga_path(parent, "%s", groups->base[i]) && (slash = strrchr(parent, '/')) != NULL)
		{
			*slash = '\0';
			rmdir(parent);
		}
	}
}
