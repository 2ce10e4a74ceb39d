/* SPDX-License-Identifier: PostgreSQL */
/*
 * sbx-init: PID 1 inside a sandbox. It parks on its standard input, takes the frames of exactly one
 * job, runs it with a working folder on the sandbox's own tmpfs, sends back what it writes, kills
 * whatever it left running, says how it ended, and exits; nothing here is ever used twice. When the
 * input closes before a job came, the pool is draining: exit 0. It holds no secret and no right the
 * job does not have, so a job that subverts it gains nothing. Static, libc only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../wire.h"

#define JOB_DIR "/tmp/job"
#define STDIN_FILE "/tmp/.stdin"
#define MAX_ARGS 256

/* Exit codes of sbx-init itself; the executor reads them only as "the sandbox is gone". */
enum
{
	EXIT_WRITE = 120,
	EXIT_SETUP = 121,
	EXIT_PROTOCOL = 123
};

typedef struct Job
{
	char *argv[MAX_ARGS + 1];
	int argc;
	int file;
	int input;
	GaWireLimits limits;
} Job;

static char body[GA_WIRE_MAX + 1];

static void
write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length > 0)
	{
		ssize_t wrote = write(fd, at, length);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			_exit(EXIT_WRITE);
		at += wrote;
		length -= (size_t) wrote;
	}
}

static bool
read_all(int fd, void *data, size_t length)
{
	char *at = data;

	while (length > 0)
	{
		ssize_t got = read(fd, at, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		length -= (size_t) got;
	}
	return true;
}

static void
send_frame(char type, const void *data, uint32_t length)
{
	char header[GA_WIRE_HEADER];

	header[0] = type;
	memcpy(header + 1, &length, sizeof(length));
	write_all(STDOUT_FILENO, header, sizeof(header));
	if (length > 0)
		write_all(STDOUT_FILENO, data, length);
}

static void
send_fault(const char *what, const char *object, int error)
{
	char text[512];
	int length = snprintf(text, sizeof(text), "%s %s: %s", what, object, strerror(error));

	if (length >= (int) sizeof(text))
		length = sizeof(text) - 1;
	send_frame(GA_WIRE_FAULT, text, (uint32_t) length);
}

/* The next frame's type, or 0 at the end of input; *length and body[] hold it, zero-terminated. */
static char
next_frame(uint32_t *length)
{
	char header[GA_WIRE_HEADER];

	if (!read_all(STDIN_FILENO, header, sizeof(header)))
		return 0;
	memcpy(length, header + 1, sizeof(*length));
	if (*length > GA_WIRE_MAX || !read_all(STDIN_FILENO, body, *length))
		_exit(EXIT_PROTOCOL);
	body[*length] = '\0';
	return header[0];
}

static bool
plain_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int
create_file(const char *path, int flags)
{
	return open(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void
open_job_file(Job *job)
{
	char path[sizeof(JOB_DIR) + 256];

	if (job->file >= 0)
		close(job->file);
	if (!plain_name(body) || strlen(body) > 200)
		_exit(EXIT_PROTOCOL);
	snprintf(path, sizeof(path), JOB_DIR "/%s", body);
	job->file = create_file(path, O_WRONLY);
	if (job->file < 0)
		_exit(EXIT_SETUP);
}

static void
take_frame(Job *job, char type, uint32_t length)
{
	switch (type)
	{
		case GA_WIRE_LIMITS:
			if (length != sizeof(job->limits))
				_exit(EXIT_PROTOCOL);
			memcpy(&job->limits, body, sizeof(job->limits));
			break;
		case GA_WIRE_ARG:
			if (job->argc >= MAX_ARGS || (job->argv[job->argc] = strdup(body)) == NULL)
				_exit(EXIT_PROTOCOL);
			job->argc++;
			break;
		case GA_WIRE_FILE:
			open_job_file(job);
			break;
		case GA_WIRE_DATA:
			write_all(job->file, body, length);
			break;
		case GA_WIRE_STDIN:
			write_all(job->input, body, length);
			break;
		default:
			_exit(EXIT_PROTOCOL);
	}
}

static void
limit(int resource, rlim_t value)
{
	struct rlimit both = {value, value};

	if (setrlimit((__rlimit_resource_t) resource, &both) != 0)
		_exit(EXIT_SETUP);
}

/* In the child: never returns. An exec that fails says why through the pipe that exec closes. */
static void
become_job(Job *job, const int out[2], const int err[2], int fault)
{
	sigset_t none;
	int error;

	if (dup2(job->input, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
		_exit(EXIT_SETUP);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	limit(RLIMIT_NPROC, job->limits.nproc);
	limit(RLIMIT_AS, (rlim_t) job->limits.address_space_mb << 20);
	setsid();
	execv(job->argv[0], job->argv);
	error = errno;
	write_all(fault, &error, sizeof(error));
	_exit(127);
}

/* Pass on one readable chunk; false when the pipe is at its end. */
static bool
pass_on(int fd, char type)
{
	static char chunk[32768];
	ssize_t got = read(fd, chunk, sizeof(chunk));

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (got == 0)
		return false;
	send_frame(type, chunk, (uint32_t) got);
	return true;
}

/* Collect every child that ended; true once the job itself has. */
static bool
reap(pid_t job, int *status)
{
	bool ended = false;
	pid_t pid;
	int one;

	while ((pid = waitpid(-1, &one, WNOHANG)) > 0)
	{
		if (pid == job)
		{
			*status = one;
			ended = true;
		}
	}
	return ended;
}

/* Pump output until the job has ended and all that it wrote has been passed on. */
static int
pump(pid_t job, int out, int err, int signals)
{
	struct pollfd polls[3] = {{out, POLLIN, 0}, {err, POLLIN, 0}, {signals, POLLIN, 0}};
	bool ended = false;
	int status = 0;

	for (;;)
	{
		struct signalfd_siginfo info;
		int ready = poll(polls, 3, ended ? 0 : -1);
		bool moved = false;

		if (ready < 0 && errno != EINTR)
			return status;
		if (ready > 0 && polls[0].fd >= 0 && polls[0].revents != 0)
		{
			moved = true;
			polls[0].fd = pass_on(out, GA_WIRE_OUT) ? out : -1;
		}
		if (ready > 0 && polls[1].fd >= 0 && polls[1].revents != 0)
		{
			moved = true;
			polls[1].fd = pass_on(err, GA_WIRE_ERR) ? err : -1;
		}
		if (ready > 0 && (polls[2].revents & POLLIN) != 0 &&
		    read(signals, &info, sizeof(info)) > 0 && !ended && reap(job, &status))
		{
			/* what the job left behind must not write on, nor hold its pipes */
			ended = true;
			moved = true;
			kill(-1, SIGKILL);
		}
		if (ended && !moved)
			return status;
	}
}

static void
run_job(Job *job, int signals)
{
	int out[2], err[2], fault[2];
	GaWireExit end = {0};
	int error = 0;
	pid_t pid;

	job->argv[job->argc] = NULL;
	if (job->argc == 0 || lseek(job->input, 0, SEEK_SET) < 0)
		_exit(EXIT_PROTOCOL);
	if (job->file >= 0)
		close(job->file);
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(fault, O_CLOEXEC) < 0)
		_exit(EXIT_SETUP);
	pid = fork();
	if (pid < 0)
		_exit(EXIT_SETUP);
	if (pid == 0)
		become_job(job, out, err, fault[1]);
	close(out[1]);
	close(err[1]);
	close(fault[1]);
	if (read_all(fault[0], &error, sizeof(error)))
		send_fault("cannot execute", job->argv[0], error);
	close(fault[0]);
	end.wait_status = pump(pid, out[0], err[0], signals);
	send_frame(GA_WIRE_EXIT, &end, sizeof(end));
}

static void
report(const char *name, long value)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "%s=%ld\n", name, value);

	send_frame(GA_WIRE_OUT, line, (uint32_t) length);
}

/* Report the first line of a file that starts with a prefix, as name=rest. */
static void
report_line(const char *path, const char *prefix, const char *name)
{
	char line[256], text[300];
	FILE *file = fopen(path, "r");
	int length;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
	{
		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		length = snprintf(text, sizeof(text), "%s=%s\n", name, line + strlen(prefix));
		send_frame(GA_WIRE_OUT, text, (uint32_t) length);
		break;
	}
	if (file != NULL)
		fclose(file);
}

/* 0 when the call was let through, else its errno: the probe wants to see it refused. */
static long
refusal(long result)
{
	return result < 0 ? errno : 0;
}

static long
forks_under(rlim_t allowed)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
	{
		long count = 0;

		limit(RLIMIT_NPROC, allowed);
		while (count < 100 && (pid = fork()) > 0)
			count++;
		if (pid == 0)
		{
			pause();
			_exit(0);
		}
		kill(-1, SIGKILL);
		_exit((int) count);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-1, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
probe(void)
{
	GaWireExit end = {0};
	struct statvfs tmp;

	report_line("/proc/version", "", "version");
	report_line("/proc/self/status", "CapBnd:\t", "capbnd");
	report_line("/proc/self/status", "CapEff:\t", "capeff");
	report("uid", (long) getuid());
	report("unshare", refusal(syscall(SYS_unshare, CLONE_NEWUSER)));
	report("socket_inet", refusal(socket(AF_INET, SOCK_STREAM, 0)));
	report("socket_inet6", refusal(socket(AF_INET6, SOCK_STREAM, 0)));
	report("socket_netlink", refusal(socket(AF_NETLINK, SOCK_RAW, 0)));
	report("socket_unix", refusal(socket(AF_UNIX, SOCK_STREAM, 0)));
	report("mknod", refusal(mknod("/tmp/node", S_IFCHR | 0600, makedev(1, 3))));
	report("write_root", refusal(open("/probe", O_CREAT | O_WRONLY, 0600)));
	report("write_init", refusal(open("/sbx-init", O_WRONLY)));
	report("read_shadow", refusal(open("/etc/shadow", O_RDONLY)));
	report("tmp_mb",
	       statvfs("/tmp", &tmp) == 0 ? (long) ((uint64_t) tmp.f_blocks * tmp.f_frsize >> 20) : -1);
	report("forks_of_9", forks_under(9));
	send_frame(GA_WIRE_EXIT, &end, sizeof(end));
}

int
main(void)
{
	static Job job = {.file = -1, .input = -1};
	uint32_t length = 0;
	sigset_t child;
	int signals;
	char type;

	/* the sentry does not shield PID 1 from its own children's signals as Linux does */
	for (int i = 1; i < NSIG; i++)
		if (i != SIGCHLD)
			signal(i, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	prctl(PR_SET_DUMPABLE, 0);
	signals = signalfd(-1, &child, SFD_CLOEXEC);
	job.input = create_file(STDIN_FILE, O_RDWR);
	if (signals < 0 || job.input < 0 || unlink(STDIN_FILE) != 0 || mkdir(JOB_DIR, 0700) != 0 ||
	    chdir(JOB_DIR) != 0)
		return EXIT_SETUP;
	send_frame(GA_WIRE_READY, NULL, 0);
	while ((type = next_frame(&length)) != 0)
	{
		if (type == GA_WIRE_PROBE)
		{
			probe();
			return 0;
		}
		if (type == GA_WIRE_GO)
		{
			run_job(&job, signals);
			return 0;
		}
		take_frame(&job, type, length);
	}
	return 0;
}
