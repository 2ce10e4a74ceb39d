/* SPDX-License-Identifier: PostgreSQL */
/*
 * bundle.c: the root file system and the OCI configuration. One configuration serves every sandbox
 * of a rootfs, since nothing in it depends on the job: a job's code, arguments and input go in by
 * frames and its own limits by cgroup and by sbx-init. The root is read-only; the one host path
 * that can be mounted is /usr, read-only and only under a rootfs whose own usr is empty; no host
 * path is ever writable. The walls that this file asks for are proved at start by preflight.c.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"

#define NOBODY 65534

static const char *const denied_calls[] = {"unshare",
                                           "setns",
                                           "ptrace",
                                           "mount",
                                           "umount2",
                                           "pivot_root",
                                           "chroot",
                                           "keyctl",
                                           "add_key",
                                           "request_key",
                                           "io_uring_setup",
                                           "perf_event_open",
                                           "bpf",
                                           "kexec_load",
                                           "init_module",
                                           "finit_module",
                                           "delete_module",
                                           "process_vm_readv",
                                           "process_vm_writev",
                                           "userfaultfd",
                                           "open_by_handle_at"};

bool
ga_bundle_name_ok(const char *rootfs)
{
	size_t length = strlen(rootfs);

	if (length == 0 || length > 64 || rootfs[0] == '.')
		return false;
	return strspn(rootfs, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       length;
}

bool
ga_bundle_build_default(const GaOptions *options, char *why)
{
	static const char *const folders[] = {"proc", "dev", "tmp", "etc", "usr"};
	static const char *const links[][2] = {
	    {"bin", "usr/bin"}, {"lib", "usr/lib"}, {"lib64", "usr/lib64"}, {"sbin", "usr/sbin"}};
	char root[GA_PATH_MAX], path[GA_PATH_MAX];

	ga_path(root, "%s/%s", options->rootfs_dir, GA_DEFAULT_ROOTFS);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
	{
		ga_path(path, "%s/%s", root, folders[i]);
		if (!ga_make_dirs(path, 0755, why))
			return false;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
	{
		ga_path(path, "%s/%s", root, links[i][0]);
		if (symlink(links[i][1], path) != 0 && errno != EEXIST)
			return ga_fail(why, "cannot create %s: %s", path, strerror(errno));
	}
	ga_path(path, "%s/etc/passwd", root);
	if (access(path, F_OK) != 0 &&
	    !ga_replace_file(path, "root:x:0:0:root:/:/bin/false\n"
	                           "nobody:x:65534:65534:nobody:/tmp:/bin/false\n"))
		return ga_fail(why, "cannot write %s: %s", path, strerror(errno));
	ga_path(path, "%s/etc/group", root);
	if (access(path, F_OK) != 0 && !ga_replace_file(path, "root:x:0:\nnogroup:x:65534:\n"))
		return ga_fail(why, "cannot write %s: %s", path, strerror(errno));
	ga_path(path, "%s/sbx-init", root);
	return ga_copy_file(options->init, path, 0755, why);
}

static json_t *
mount_entry(const char *where, const char *type, const char *source, const char *const *flags)
{
	json_t *list = json_array();

	for (; *flags != NULL; flags++)
		json_array_append_new(list, json_string(*flags));
	return json_pack("{s:s, s:s, s:s, s:o}", "destination", where, "type", type, "source", source,
	                 "options", list);
}

static json_t *
mounts(bool host_usr)
{
	static const char *const proc[] = {"nosuid", "noexec", "nodev", NULL};
	static const char *const dev[] = {"nosuid", "noexec", NULL};
	static const char *const tmp[] = {"nosuid", "nodev", "size=64m", "mode=1777", NULL};
	static const char *const usr[] = {"ro", "rbind", "nosuid", "nodev", NULL};
	json_t *list = json_array();

	json_array_append_new(list, mount_entry("/proc", "proc", "proc", proc));
	json_array_append_new(list, mount_entry("/dev", "tmpfs", "tmpfs", dev));
	json_array_append_new(list, mount_entry("/tmp", "tmpfs", "tmpfs", tmp));
	if (host_usr)
		json_array_append_new(list, mount_entry("/usr", "bind", "/usr", usr));
	return list;
}

static void
add_rlimit(json_t *list, const char *type, json_int_t value)
{
	json_array_append_new(list,
	                      json_pack("{s:s, s:I, s:I}", "type", type, "hard", value, "soft", value));
}

/* The most that any job may have; sbx-init lowers NPROC and AS to what the job asked for. */
static json_t *
rlimits(void)
{
	json_t *list = json_array();

	add_rlimit(list, "RLIMIT_NOFILE", 256);
	add_rlimit(list, "RLIMIT_NPROC", GA_MAX_PIDS);
	add_rlimit(list, "RLIMIT_FSIZE", 32 << 20);
	add_rlimit(list, "RLIMIT_AS", (json_int_t) 64 << 30);
	add_rlimit(list, "RLIMIT_CORE", 0);
	add_rlimit(list, "RLIMIT_STACK", 8 << 20);
	return list;
}

static json_t *
deny_when(const char *name, int index, json_int_t value, json_int_t second, const char *op)
{
	return json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names", name, "action",
	                 "SCMP_ACT_ERRNO", "args", "index", index, "value", value, "valueTwo", second,
	                 "op", op);
}

/*
 * The filter on top of the sentry's own emulation: no new namespaces (a user namespace would hand
 * untrusted code every capability in it), no tracing, no device nodes (this sentry asks for no
 * capability), and of sockets only the Unix kind.
 */
static json_t *
seccomp(void)
{
	json_t *names = json_array();
	json_t *calls = json_array();

	for (size_t i = 0; i < sizeof(denied_calls) / sizeof(denied_calls[0]); i++)
		json_array_append_new(names, json_string(denied_calls[i]));
	json_array_append_new(calls,
	                      json_pack("{s:o, s:s}", "names", names, "action", "SCMP_ACT_ERRNO"));
	json_array_append_new(
	    calls, deny_when("clone", 0, CLONE_NEWUSER, CLONE_NEWUSER, "SCMP_CMP_MASKED_EQ"));
	for (size_t i = 0; i < 2; i++)
	{
		json_int_t kind = i == 0 ? S_IFCHR : S_IFBLK;

		json_array_append_new(calls, deny_when("mknod", 1, S_IFMT, kind, "SCMP_CMP_MASKED_EQ"));
		json_array_append_new(calls, deny_when("mknodat", 2, S_IFMT, kind, "SCMP_CMP_MASKED_EQ"));
	}
	json_array_append_new(calls, deny_when("socket", 0, AF_UNIX, 0, "SCMP_CMP_NE"));
	return json_pack("{s:s, s:[s], s:o}", "defaultAction", "SCMP_ACT_ALLOW", "architectures",
	                 "SCMP_ARCH_X86_64", "syscalls", calls);
}

static json_t *
configuration(const char *root, bool host_usr)
{
	json_t *process = json_pack(
	    "{s:b, s:{s:i, s:i}, s:[s], s:[s, s, s], s:s, s:{s:[], s:[], s:[], s:[], s:[]}, s:o, s:b}",
	    "terminal", 0, "user", "uid", NOBODY, "gid", NOBODY, "args", "/sbx-init", "env",
	    "PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "cwd", "/tmp", "capabilities",
	    "bounding", "effective", "inheritable", "permitted", "ambient", "rlimits", rlimits(),
	    "noNewPrivileges", 1);
	json_t *linux_part = json_pack("{s:[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}], s:o}", "namespaces",
	                               "type", "pid", "type", "network", "type", "ipc", "type", "uts",
	                               "type", "mount", "seccomp", seccomp());

	return json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion", "1.0.0", "process",
	                 process, "root", "path", root, "readonly", 1, "hostname", "sandbox", "mounts",
	                 mounts(host_usr), "linux", linux_part);
}

static bool
is_empty(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool empty = true;

	while (folder != NULL && (entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			empty = false;
	if (folder != NULL)
		closedir(folder);
	return folder != NULL && empty;
}

bool
ga_bundle_prepare(const GaOptions *options, const char *rootfs, char *bundle, char *why)
{
	char root[GA_PATH_MAX], path[GA_PATH_MAX];
	struct stat info;
	json_t *config;
	char *text;
	bool written;

	if (!ga_bundle_name_ok(rootfs))
		return ga_fail(why, "rootfs \"%.64s\" is not a plain name", rootfs);
	ga_path(root, "%s/%s", options->rootfs_dir, rootfs);
	ga_path(path, "%s/sbx-init", root);
	if (lstat(root, &info) != 0 || !S_ISDIR(info.st_mode))
		return ga_fail(why, "this executor has no rootfs \"%s\"", rootfs);
	if (strcmp(rootfs, GA_DEFAULT_ROOTFS) != 0 && !ga_copy_file(options->init, path, 0755, why))
		return false;
	ga_path(bundle, "%s/bundles/%s", options->state_dir, rootfs);
	if (!ga_make_dirs(bundle, 0700, why))
		return false;
	ga_path(path, "%s/usr", root);
	config = configuration(root, is_empty(path));
	text = config != NULL ? json_dumps(config, JSON_INDENT(1)) : NULL;
	json_decref(config);
	ga_path(path, "%s/config.json", bundle);
	written = text != NULL && ga_replace_file(path, text);
	free(text);
	return written || ga_fail(why, "cannot write %s: %s", path, strerror(errno));
}
