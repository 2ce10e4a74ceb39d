/* SPDX-License-Identifier: PostgreSQL */
/*
 * preflight.c: proof that the walls stand. A flag that this runsc ignores, a cgroup that does not
 * limit, a kernel that is not gVisor's: each is seen here, once, before anything is claimed, and
 * the daemon then ends with exit 78 and the reason. There is no other way to run a job.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "preflight.h"

#define CANARY_MS 60000

bool
ga_preflight_runsc(const GaOptions *options, char *version, size_t room, char *why)
{
	int out[2];
	size_t have = 0;
	ssize_t got;
	pid_t pid;
	int status = 0;

	if (access(options->runsc, X_OK) != 0)
		return ga_fail(why, "runsc is missing: %s: %s", options->runsc, strerror(errno));
	if (pipe(out) != 0)
		return ga_fail(why, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
	{
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execl(options->runsc, options->runsc, "--version", (char *) NULL);
		_exit(127);
	}
	close(out[1]);
	while (have < room - 1 && (got = read(out[0], version + have, room - 1 - have)) > 0)
		have += (size_t) got;
	close(out[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	version[have] = '\0';
	version[strcspn(version, "\n")] = '\0';
	if (pid < 0 || status != 0 || strncmp(version, "runsc version ", 14) != 0)
		return ga_fail(why, "%s does not answer --version as runsc does", options->runsc);
	return true;
}

/* Run the canary's loop until its sandbox reaches a state or time is up. */
static void
drive(const GaHost *host, GaSandbox *box, GaSandboxState until)
{
	int64_t end = ga_now_ms() + CANARY_MS;

	while (ga_now_ms() < end && box->state != until)
	{
		struct pollfd polls[2] = {{box->output, POLLIN, 0}, {box->diagnostics, POLLIN, 0}};
		pid_t pid;

		poll(polls, 2, 20);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			if (pid == box->pid)
				ga_sandbox_child_ended(box);
		if (box->state == GA_SANDBOX_REAPING)
			ga_sandbox_reap(host, box);
		else
		{
			ga_sandbox_write(box);
			ga_sandbox_read(host, box);
			if (box->exited || box->broken || box->output < 0)
				return;
		}
	}
}

/* The value of `name=value` in what the probe reported, or -1. */
static long
value_of(const char *report, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = report; at != NULL && *at != '\0'; at = strchr(at, '\n'))
	{
		if (*at == '\n')
			at++;
		if (strncmp(at, name, length) == 0 && at[length] == '=')
			return strtol(at + length + 1, NULL, 10);
	}
	return -1;
}

static bool
expect(const char *report, const char *name, long first, long second, char *why)
{
	long value = value_of(report, name);

	if (value == first || value == second)
		return true;
	return ga_fail(why, "preflight: %s is %ld in the sandbox, not %ld", name, value, first);
}

static bool
judge_report(const char *report, const GaCgroupUsage *usage, char *why)
{
	if (strstr(report, "version=Linux version 4.4.0 ") == NULL)
		return ga_fail(why, "preflight: the kernel in the sandbox is not gVisor's");
	if (strstr(report, "capbnd=0000000000000000\n") == NULL ||
	    strstr(report, "capeff=0000000000000000\n") == NULL)
		return ga_fail(why, "preflight: the sandbox has capabilities");
	if (usage->memory_bytes < (1 << 20))
		return ga_fail(why, "preflight: the cgroup leaf does not see the sandbox's memory");
	return expect(report, "uid", 65534, 65534, why) &&
	       expect(report, "unshare", EPERM, EPERM, why) &&
	       expect(report, "socket_inet", EPERM, EPERM, why) &&
	       expect(report, "socket_inet6", EPERM, EPERM, why) &&
	       expect(report, "socket_netlink", EPERM, EPERM, why) &&
	       expect(report, "socket_unix", 0, 0, why) && expect(report, "mknod", EPERM, EPERM, why) &&
	       expect(report, "write_root", EROFS, EACCES, why) &&
	       expect(report, "write_init", EROFS, EACCES, why) &&
	       expect(report, "read_shadow", ENOENT, EACCES, why) &&
	       expect(report, "tmp_mb", 64, 64, why) && expect(report, "forks_of_9", 6, 7, why);
}

bool
ga_preflight_canary(const GaHost *host, char *why)
{
	GaSandbox box = {.input = -1, .output = -1, .diagnostics = -1};
	GaCgroupUsage usage = {0};
	bool good;

	if (!ga_sandbox_start(host, &box, GA_DEFAULT_ROOTFS, why))
		return false;
	drive(host, &box, GA_SANDBOX_READY);
	if (box.state == GA_SANDBOX_READY)
	{
		ga_sandbox_busy(host, &box);
		ga_cgroup_usage(&host->groups, box.id, &usage);
		ga_sandbox_frame(&box, GA_WIRE_PROBE, "", 0);
		drive(host, &box, GA_SANDBOX_EMPTY);
		ga_buffer_add(&box.out, "", 1);
		good = box.exited ? judge_report(box.out.data, &usage, why)
		                  : ga_fail(why, "preflight: the canary did not report");
	}
	else
		good = ga_fail(why, "preflight: no sandbox starts: %.300s", box.tail);
	ga_sandbox_stop(host, &box, box.exited);
	drive(host, &box, GA_SANDBOX_EMPTY);
	return good;
}
