/* SPDX-License-Identifier: PostgreSQL */
/*
 * sandbox.c: one single-use sandbox. The child enters its cgroup leaf before runsc starts, dies
 * with the daemon (PR_SET_PDEATHSIG; the daemon has one thread), and has pipes and nothing else for
 * its three streams, since runsc changes the owner of whatever it is given. What sbx-init says is
 * untrusted: a frame that makes no sense breaks the sandbox and touches nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "sandbox.h"

#define WARM_MEMORY ((int64_t) 256 << 20)
#define WARM_TASKS 1024
#define POLITE_MS 1000
#define KILL_RUNSC_MS 2000
#define QUARANTINE_MS 10000

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The child: into the leaf, streams on the pipes, nothing else open, and on to runsc. */
static void
become_runsc(const GaHost *host, const GaSandbox *box, pid_t daemon, char *const *argv,
             const int *streams)
{
	static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != daemon)
		_exit(126);
	if (!ga_cgroup_enter(&host->groups, box->id))
		_exit(125);
	for (int i = 0; i < 3; i++)
		if (dup2(streams[i], i) < 0)
			_exit(126);
	if (syscall(SYS_close_range, 3, ~0U, 0) != 0)
		_exit(126);
	/* a signal to the daemon's terminal is the daemon's to answer */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(argv[0], argv, environment);
	_exit(127);
}

static pid_t
launch(const GaHost *host, GaSandbox *box, const char *bundle, const int *streams)
{
	const GaOptions *options = host->options;
	char root[GA_PATH_MAX], log[GA_PATH_MAX], panic[GA_PATH_MAX], platform[64];
	char *argv[20];
	pid_t daemon = getpid();
	int argc = 0;
	pid_t pid;

	ga_path(root, "--root=%s/runsc", options->state_dir);
	ga_path(log, "--log=%s/log/%s.json", options->state_dir, box->id);
	ga_path(panic, "--panic-log=%s/log/%s.panic", options->state_dir, box->id);
	snprintf(platform, sizeof(platform), "--platform=%s", options->platform);
	argv[argc++] = (char *) options->runsc;
	if (options->rootless)
		argv[argc++] = "--rootless";
	argv[argc++] = root;
	argv[argc++] = platform;
	argv[argc++] = "--network=none";
	argv[argc++] = "--oci-seccomp";
	argv[argc++] = "--ignore-cgroups";
	argv[argc++] = log;
	argv[argc++] = "--log-format=json";
	argv[argc++] = panic;
	argv[argc++] = "run";
	argv[argc++] = "-bundle";
	argv[argc++] = (char *) bundle;
	argv[argc++] = box->id;
	argv[argc] = NULL;
	pid = fork();
	if (pid == 0)
		become_runsc(host, box, daemon, argv, streams);
	return pid;
}

static void
reset(GaSandbox *box)
{
	ga_buffer_free(&box->outgoing);
	ga_buffer_free(&box->out);
	ga_buffer_free(&box->err);
	free(box->payload);
	memset(box, 0, sizeof(*box));
	box->input = box->output = box->diagnostics = -1;
}

bool
ga_sandbox_start(const GaHost *host, GaSandbox *box, const char *rootfs, char *why)
{
	static unsigned long sequence;
	GaCgroupLimits limits = {WARM_MEMORY, WARM_TASKS, 1.0};
	char bundle[GA_PATH_MAX];
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

	reset(box);
	snprintf(box->id, sizeof(box->id), "ga-%d-%lu", (int) getpid(), ++sequence);
	snprintf(box->rootfs, sizeof(box->rootfs), "%s", rootfs);
	box->payload = ga_alloc(GA_FRAME_PAYLOAD_MAX_BYTES);
	ga_frame_parser_init(&box->parser, GA_FRAMES_FROM_INIT, box->payload,
	                     GA_FRAME_PAYLOAD_MAX_BYTES);
	if (!ga_bundle_prepare(host->options, rootfs, bundle, why) ||
	    !ga_cgroup_make(&host->groups, box->id, why))
		return false;
	if (!ga_cgroup_limit(&host->groups, box->id, &limits, why))
	{
		ga_cgroup_remove(&host->groups, box->id);
		return false;
	}
	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)
	{
		int streams[3] = {in[0], out[1], err[1]};

		box->pid = launch(host, box, bundle, streams);
	}
	else
		box->pid = -1;
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	box->input = in[1];
	box->output = out[0];
	box->diagnostics = err[0];
	if (box->pid < 0)
	{
		ga_fail(why, "cannot start runsc: %s", strerror(errno));
		box->pid = 0;
		ga_sandbox_stop(host, box, false);
		return false;
	}
	fcntl(box->input, F_SETFL, O_NONBLOCK);
	fcntl(box->output, F_SETFL, O_NONBLOCK);
	fcntl(box->diagnostics, F_SETFL, O_NONBLOCK);
	box->state = GA_SANDBOX_WARMING;
	box->since = ga_now_ms();
	return true;
}

void
ga_sandbox_frame(GaSandbox *box, char type, const void *data, size_t length)
{
	const char *at = data;

	do
	{
		uint32_t part = length > GA_WIRE_MAX ? GA_WIRE_MAX : (uint32_t) length;
		uint8_t header[GA_FRAME_HEADER_BYTES];

		ga_frame_header(type, part, header);
		ga_buffer_add(&box->outgoing, header, sizeof(header));
		ga_buffer_add(&box->outgoing, at, part);
		at += part;
		length -= part;
	} while (length > 0);
}

void
ga_sandbox_write(GaSandbox *box)
{
	while (box->input >= 0 && box->sent < box->outgoing.length)
	{
		ssize_t wrote =
		    write(box->input, box->outgoing.data + box->sent, box->outgoing.length - box->sent);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0 && errno == EAGAIN)
			return;
		if (wrote < 0)
		{
			/* sbx-init is gone; the end of its output says so, too */
			close_fd(&box->input);
			return;
		}
		box->sent += (size_t) wrote;
	}
}

static void
keep_output(GaSandbox *box, GaBuffer *stream, const char *data, size_t length)
{
	size_t room = GA_OUTPUT_KEEP - stream->length;

	box->written += (int64_t) length;
	if (length > room)
	{
		box->truncated = true;
		length = room;
	}
	ga_buffer_add(stream, data, length);
}

static void
take_frame(const GaHost *host, GaSandbox *box, char type, const char *data, uint32_t length)
{
	GaWireExit end;

	if (type == GA_WIRE_READY && length == 0 && box->state == GA_SANDBOX_WARMING)
	{
		box->state = GA_SANDBOX_READY;
		box->since = ga_now_ms();
	}
	else if (box->state != GA_SANDBOX_BUSY || box->exited)
		box->broken = true;
	else if (type == GA_WIRE_OUT)
		keep_output(box, &box->out, data, length);
	else if (type == GA_WIRE_ERR)
		keep_output(box, &box->err, data, length);
	else if (type == GA_WIRE_FAULT)
		snprintf(box->fault, sizeof(box->fault), "%.*s", (int) length, data);
	else if (type == GA_WIRE_EXIT && length == sizeof(end))
	{
		memcpy(&end, data, sizeof(end));
		box->wait_status = end.wait_status;
		box->exited = true;
		ga_sandbox_measure(host, box);
	}
	else
		box->broken = true;
}

/* Read and parse one chunk: false when there is no more to read for now. */
static bool
read_some(const GaHost *host, GaSandbox *box)
{
	static uint8_t chunk[GA_FRAME_PAYLOAD_MAX_BYTES];
	const uint8_t *at = chunk;
	ssize_t got = read(box->output, chunk, sizeof(chunk));
	GaFrameStatus status = GA_FRAME_MORE;
	size_t left;
	GaFrame frame;

	if (got < 0)
		return errno == EINTR;
	if (got == 0)
	{
		close_fd(&box->output);
		return false;
	}
	left = (size_t) got;
	while (!box->broken &&
	       (status = ga_frame_feed(&box->parser, &at, &left, &frame)) == GA_FRAME_READY)
		take_frame(host, box, frame.type, (const char *) frame.payload, frame.bytes);
	if (status > GA_FRAME_READY)
		box->broken = true;
	return !box->broken;
}

/* Keep the end of what runsc says on its own standard error: diagnostics, never output. */
static void
read_diagnostics(GaSandbox *box)
{
	char chunk[4096];
	ssize_t got;

	while (box->diagnostics >= 0 && (got = read(box->diagnostics, chunk, sizeof(chunk))) != 0)
	{
		size_t keep = sizeof(box->tail) - 1;

		if (got < 0)
			return;
		if ((size_t) got < keep)
			keep = (size_t) got;
		memcpy(box->tail, chunk + got - keep, keep);
		box->tail[keep] = '\0';
	}
	close_fd(&box->diagnostics);
}

void
ga_sandbox_read(const GaHost *host, GaSandbox *box)
{
	int steps = 64;

	/* the bound keeps one flooding job from starving the loop, and with it every time limit */
	while (box->output >= 0 && steps-- > 0 && read_some(host, box))
		;
	read_diagnostics(box);
}

void
ga_sandbox_busy(const GaHost *host, GaSandbox *box)
{
	GaCgroupUsage before = {0};

	ga_cgroup_usage(&host->groups, box->id, &before);
	box->cpu_base_us = before.cpu_us;
	ga_cgroup_reset_peak(&host->groups, box->id);
	box->state = GA_SANDBOX_BUSY;
	box->since = ga_now_ms();
}

void
ga_sandbox_measure(const GaHost *host, GaSandbox *box)
{
	ga_cgroup_usage(&host->groups, box->id, &box->usage);
}

void
ga_sandbox_stop(const GaHost *host, GaSandbox *box, bool politely)
{
	close_fd(&box->input);
	close_fd(&box->output);
	box->state = GA_SANDBOX_REAPING;
	box->since = ga_now_ms();
	box->ladder = 0;
	if (!politely)
	{
		/* runsc itself stays a moment longer: it tidies up when its sandbox dies */
		ga_cgroup_kill(&host->groups, box->id, box->pid);
		box->ladder = 1;
	}
}

void
ga_sandbox_child_ended(GaSandbox *box)
{
	box->pid = 0;
}

static void
remove_traces(const GaHost *host, const GaSandbox *box)
{
	static const char *const traces[] = {"log/%s.json", "log/%s.panic", "runsc/%s_sandbox:%s.state",
	                                     "runsc/%s_sandbox:%s.lock"};
	char name[256], path[GA_PATH_MAX];

	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
	{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(name, sizeof(name), traces[i], box->id, box->id);
#pragma GCC diagnostic pop
		if (ga_path(path, "%s/%s", host->options->state_dir, name))
			unlink(path);
	}
}

void
ga_sandbox_reap(const GaHost *host, GaSandbox *box)
{
	int64_t waited = ga_now_ms() - box->since;

	read_diagnostics(box);
	if (box->ladder == 0 && (box->pid == 0 || waited > POLITE_MS))
	{
		ga_cgroup_kill(&host->groups, box->id, box->pid);
		box->ladder = 1;
	}
	if (box->ladder == 1 && (box->pid == 0 || waited > KILL_RUNSC_MS))
	{
		if (box->pid != 0)
			kill(box->pid, SIGKILL);
		box->ladder = 2;
	}
	if (box->pid != 0 || ga_cgroup_kill(&host->groups, box->id, 0) > 0)
		return;
	if (!ga_cgroup_remove(&host->groups, box->id))
	{
		if (waited < QUARANTINE_MS)
			return;
		ga_log("cgroup leaf %s cannot be removed; the next start sweeps it", box->id);
	}
	close_fd(&box->diagnostics);
	remove_traces(host, box);
	reset(box);
}
