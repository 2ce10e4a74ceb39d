/* SPDX-License-Identifier: PostgreSQL */
/*
 * main.c: goldenarch-executor. Takes sandbox jobs from the database and runs each in a gVisor
 * sandbox of its own. One thread and one poll loop, because the kernel ties the children's death
 * to the thread that started them. SIGTERM drains: nothing new is claimed, running jobs get a
 * grace period and then go back to the queue; a second SIGTERM ends the grace. What an earlier
 * life left is swept at start, under a lock on the state folder. Exit 78: this host cannot
 * sandbox, for the one reason printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bundle.h"
#include "pg.h"
#include "preflight.h"

#define GOODBYE_MS 3000 /* how long a drained daemon tries to tell the database */

static const char usage_text[] =
    "usage: goldenarch-executor --dsn CONNINFO --state-dir DIR [options]\n"
    "  --dsn CONNINFO        the database; passwords belong in a passfile, not here\n"
    "  --state-dir DIR       this daemon's own folder; one daemon a folder\n"
    "  --rootfs-dir DIR      root file systems by name (default: STATE-DIR/rootfs)\n"
    "  --slots N             sandboxes kept ready, and jobs run at a time (default 2, most 64)\n"
    "  --name NAME           this executor's name (default: the host's)\n"
    "  --runsc PATH          (default: runsc on the PATH)\n"
    "  --platform NAME       runsc's platform (default ptrace)\n"
    "  --init PATH           sbx-init (default: beside this program)\n"
    "  --cgroup-parent PATH  below each controller's mount (default goldenarch;\n"
    "                        version 2: self, the daemon's own delegated one)\n"
    "  --metrics-port PORT   serve OpenMetrics on 127.0.0.1 (default 0: do not)\n"
    "  --grace SECONDS       what running jobs get at SIGTERM (default 5)\n"
    "  --check               prove that this host can sandbox, print it, exit 0 or 78\n"
    "  --version\n";

static void
find_runsc(GaOptions *options)
{
	static char found[GA_PATH_MAX];
	const char *path = getenv("PATH");
	char folders[4096];
	char *save = NULL;

	snprintf(folders, sizeof(folders), "%s", path != NULL ? path : "/usr/bin:/bin");
	for (char *one = strtok_r(folders, ":", &save); one != NULL; one = strtok_r(NULL, ":", &save))
	{
		if (ga_path(found, "%s/runsc", one) && access(found, X_OK) == 0)
			break;
		found[0] = '\0';
	}
	options->runsc = found[0] != '\0' ? found : "runsc";
}

static bool
set_paths(GaOptions *options, const char *state, const char *rootfs, const char *init, char *why)
{
	char self[GA_PATH_MAX / 2];
	ssize_t length;

	if (!ga_make_dirs(state, 0700, why))
		return false;
	if (realpath(state, self) == NULL || strlen(self) > 300)
		return ga_fail(why, "cannot use the state folder %s", state);
	snprintf(options->state_dir, sizeof(options->state_dir), "%s", self);
	if (rootfs == NULL)
		snprintf(options->rootfs_dir, sizeof(options->rootfs_dir), "%s/rootfs", self);
	else if (!ga_make_dirs(rootfs, 0755, why))
		return false;
	else if (realpath(rootfs, options->rootfs_dir) == NULL || strlen(options->rootfs_dir) > 300)
		return ga_fail(why, "cannot use the rootfs folder %s", rootfs);
	if (init != NULL)
	{
		snprintf(options->init, sizeof(options->init), "%s", init);
		return true;
	}
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return ga_fail(why, "cannot find this program's own folder");
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(options->init, sizeof(options->init), "%.480s/sbx-init", self);
	return true;
}

static int
number(const char *text, int low, int high, const char *what)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < low || value > high)
	{
		fprintf(stderr, "goldenarch-executor: --%s must be %d to %d\n", what, low, high);
		exit(2);
	}
	return (int) value;
}

static bool
read_options(GaOptions *options, int argc, char **argv, char *why)
{
	static char host[64];
	static const struct option known[] = {
	    {"dsn", 1, NULL, 'd'},      {"state-dir", 1, NULL, 's'},    {"rootfs-dir", 1, NULL, 'r'},
	    {"slots", 1, NULL, 'n'},    {"name", 1, NULL, 'N'},         {"runsc", 1, NULL, 'R'},
	    {"platform", 1, NULL, 'p'}, {"init", 1, NULL, 'i'},         {"cgroup-parent", 1, NULL, 'c'},
	    {"check", 0, NULL, 'k'},    {"metrics-port", 1, NULL, 'm'}, {"grace", 1, NULL, 'g'},
	    {"help", 0, NULL, 'h'},     {"version", 0, NULL, 'v'},      {NULL, 0, NULL, 0}};
	const char *state = NULL, *rootfs = NULL, *init = NULL;
	int option;

	gethostname(host, sizeof(host) - 1);
	*options = (GaOptions){.slots = 2,
	                       .name = host,
	                       .platform = "ptrace",
	                       .cgroup_parent = "goldenarch",
	                       .grace_ms = 5000,
	                       .rootless = geteuid() != 0};
	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1)
	{
		switch (option)
		{
			case 'd':
				options->dsn = optarg;
				break;
			case 's':
				state = optarg;
				break;
			case 'r':
				rootfs = optarg;
				break;
			case 'n':
				options->slots = number(optarg, 1, GA_MAX_SLOTS, "slots");
				break;
			case 'N':
				options->name = optarg;
				break;
			case 'R':
				options->runsc = optarg;
				break;
			case 'p':
				options->platform = optarg;
				break;
			case 'i':
				init = optarg;
				break;
			case 'c':
				options->cgroup_parent = optarg;
				break;
			case 'm':
				options->metrics_port = number(optarg, 0, 65535, "metrics-port");
				break;
			case 'g':
				options->grace_ms = number(optarg, 0, 3600, "grace") * 1000;
				break;
			case 'k':
				options->check = true;
				break;
			case 'v':
				printf("goldenarch-executor %s\n", GOLDENARCH_VERSION);
				exit(0);
			case 'h':
				fputs(usage_text, stdout);
				exit(0);
			default:
				fputs(usage_text, stderr);
				exit(2);
		}
	}
	if (optind < argc || state == NULL || (options->dsn == NULL && !options->check))
	{
		fputs(usage_text, stderr);
		exit(2);
	}
	if (options->runsc == NULL)
		find_runsc(options);
	return set_paths(options, state, rootfs, init, why);
}

/* What decides over sandboxes must not be writable by anybody but the daemon's own user. */
static bool
check_owner(const char *path, char *why)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return ga_fail(why, "cannot look at %s: %s", path, strerror(errno));
	if (info.st_uid != geteuid() || (info.st_mode & 022) != 0)
		return ga_fail(why, "%s must belong to the executor's user and be writable by nobody else",
		               path);
	return true;
}

static bool
lock_state(const GaOptions *options, char *why)
{
	char path[GA_PATH_MAX];
	int fd;

	ga_path(path, "%s/lock", options->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return ga_fail(why, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return ga_fail(why, "another executor uses %s", options->state_dir);
	return true;
}

/* The cgroup folder is named after the state folder: whoever holds its lock may sweep there. */
static void
tag_of(const GaOptions *options, char *tag, size_t room)
{
	uint64_t hash = 14695981039346656037ULL;

	for (const char *at = options->state_dir; *at != '\0'; at++)
		hash = (hash ^ (unsigned char) *at) * 1099511628211ULL;
	snprintf(tag, room, "x%016llx", (unsigned long long) hash);
}

/* Everything that an earlier life of this daemon may have left behind. */
static bool
sweep(GaHost *host, char *why)
{
	static const char *const folders[] = {"runsc", "bundles", "log"};
	char path[GA_PATH_MAX], tag[32];
	int swept;

	tag_of(host->options, tag, sizeof(tag));
	if (!ga_cgroup_open(&host->groups, host->options->cgroup_parent, tag, why))
		return false;
	swept = ga_cgroup_sweep(&host->groups);
	if (swept > 0)
		ga_log("swept %d leaves of an earlier life", swept);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
	{
		ga_path(path, "%s/%s", host->options->state_dir, folders[i]);
		if (!ga_remove_tree(path))
			return ga_fail(why, "cannot remove %s: %s", path, strerror(errno));
		if (!ga_make_dirs(path, 0700, why))
			return false;
	}
	return true;
}

static bool
prepare(GaPool *pool, const GaOptions *options, char *why)
{
	char version[128];

	if (!ga_preflight_runsc(options, version, sizeof(version), why) ||
	    !check_owner(options->state_dir, why) || !lock_state(options, why) ||
	    !sweep(&pool->host, why) || !ga_bundle_build_default(options, why) ||
	    !check_owner(options->rootfs_dir, why) || !ga_preflight_canary(&pool->host, why) ||
	    !ga_metrics_open(&pool->metrics, options->metrics_port, why))
		return false;
	ga_log("%s, platform %s, %s, cgroup v%d: the walls stand", version, options->platform,
	       options->rootless ? "rootless" : "root", pool->host.groups.version);
	return true;
}

static void
take_signals(int signals, GaPool *pool, int64_t *drain_until)
{
	struct signalfd_siginfo info;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) == (ssize_t) sizeof(info))
	{
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (!pool->draining)
			ga_log("draining");
		*drain_until = pool->draining ? 0 : ga_now_ms() + pool->host.options->grace_ms;
		pool->draining = true;
	}
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		ga_pool_child_ended(pool, pid);
}

static void
loop(GaPool *pool, GaPg *pg, int signals)
{
	int64_t drain_until = 0;
	int64_t drained_at = 0;

	for (;;)
	{
		struct pollfd polls[GA_MAX_SLOTS * 3 + 3];
		int count = ga_pool_poll(pool, polls);
		int patience = ga_pool_patience(pool);
		int pg_patience = ga_pg_patience(pg, pool);

		polls[count++] = (struct pollfd){signals, POLLIN, 0};
		polls[count++] = (struct pollfd){pool->metrics.listener, POLLIN, 0};
		polls[count++] = ga_pg_poll(pg);
		poll(polls, (nfds_t) count, patience < pg_patience ? patience : pg_patience);
		take_signals(signals, pool, &drain_until);
		ga_pool_step(pool);
		if (pool->metrics.listener >= 0)
			ga_metrics_serve(&pool->metrics);
		if (pool->draining && ga_now_ms() >= drain_until)
			ga_pool_release_jobs(pool);
		ga_pg_step(pg, pool);
		if (!pool->draining)
			continue;
		if (ga_pool_idle(pool) && pg->said_goodbye)
			return;
		/* a database that is away keeps nobody: leases run out by themselves */
		if (drained_at == 0 && ga_now_ms() >= drain_until)
			drained_at = ga_now_ms();
		if (drained_at != 0 && ga_now_ms() - drained_at > GOODBYE_MS && pg->state != GA_PG_IDLE &&
		    pg->state != GA_PG_BUSY)
			return;
	}
}

static void
take_down(GaPool *pool)
{
	int64_t end = ga_now_ms() + 15000;
	bool left = true;
	pid_t pid;

	while (left && ga_now_ms() < end)
	{
		left = false;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			ga_pool_child_ended(pool, pid);
		for (int i = 0; i < pool->count; i++)
		{
			GaSandbox *box = &pool->slots[i].box;

			if (box->state != GA_SANDBOX_EMPTY && box->state != GA_SANDBOX_REAPING)
				ga_sandbox_stop(&pool->host, box, false);
			if (box->state == GA_SANDBOX_REAPING)
				ga_sandbox_reap(&pool->host, box);
			left = left || box->state != GA_SANDBOX_EMPTY;
		}
		usleep(20000);
	}
	ga_cgroup_close(&pool->host.groups);
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
main(int argc, char **argv)
{
	static GaPool pool;
	static GaOptions options;
	static GaPg pg;
	char why[GA_WHY_MAX] = "";
	int signals = open_signals();

	umask(0022);
	srandom((unsigned) getpid() ^ (unsigned) time(NULL));
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_DUMPABLE, 0);
	if (!read_options(&options, argc, argv, why))
	{
		fprintf(stderr, "goldenarch-executor: %s\n", why);
		return GA_EXIT_CONFIG;
	}
	ga_pool_init(&pool, &options);
	if (!prepare(&pool, &options, why))
	{
		fprintf(stderr, "goldenarch-executor: %s\n", why);
		if (pool.host.groups.count > 0)
			ga_cgroup_close(&pool.host.groups);
		return GA_EXIT_CONFIG;
	}
	if (options.check)
	{
		printf("goldenarch-executor %s: this host can sandbox\n", GOLDENARCH_VERSION);
		ga_cgroup_close(&pool.host.groups);
		return 0;
	}
	ga_pg_init(&pg, &options);
	loop(&pool, &pg, signals);
	ga_pg_close(&pg);
	take_down(&pool);
	ga_log("drained");
	return 0;
}
