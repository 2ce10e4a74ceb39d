/* SPDX-License-Identifier: PostgreSQL */
/*
 * sys.c: time, buffers, files and the log of the executor. Time is the monotonic clock, in
 * milliseconds, so that a stepped wall clock neither kills nor spares a job. Running out of memory
 * ends the daemon: its sandboxes die with it and its leases pass on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

int64_t
ga_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
ga_log(const char *format, ...)
{
	char line[2048];
	char when[32];
	time_t now = time(NULL);
	struct tm utc;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	for (char *at = line; *at != '\0'; at++)
		if ((unsigned char) *at < ' ')
			*at = ' ';
	fprintf(stderr, "%s goldenarch-executor: %s\n", when, line);
}

/* Say why something failed and return false, so that callers can pass both on in one statement. */
bool
ga_fail(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, GA_WHY_MAX, format, args);
	va_end(args);
	return false;
}

void *
ga_alloc(size_t size)
{
	void *data = calloc(1, size);

	if (data == NULL)
	{
		ga_log("out of memory");
		_exit(1);
	}
	return data;
}

void
ga_buffer_add(GaBuffer *buffer, const void *data, size_t length)
{
	if (buffer->length + length > buffer->room)
	{
		size_t room = buffer->room < 4096 ? 4096 : buffer->room * 2;
		char *grown;

		while (room < buffer->length + length)
			room *= 2;
		grown = realloc(buffer->data, room);
		if (grown == NULL)
		{
			ga_log("out of memory");
			_exit(1);
		}
		buffer->data = grown;
		buffer->room = room;
	}
	if (length > 0)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

void
ga_buffer_free(GaBuffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

bool
ga_path(char *path, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, GA_PATH_MAX, format, args);
	va_end(args);
	return length >= 0 && length < GA_PATH_MAX;
}

bool
ga_make_dirs(const char *path, unsigned mode, char *why)
{
	char part[GA_PATH_MAX];
	struct stat info;

	if (!ga_path(part, "%s", path))
		return ga_fail(why, "path too long: %s", path);
	for (char *at = part + 1;; at++)
	{
		char kept = *at;

		if (kept != '/' && kept != '\0')
			continue;
		*at = '\0';
		if (mkdir(part, mode) != 0 && errno != EEXIST)
			return ga_fail(why, "cannot create %s: %s", part, strerror(errno));
		if (kept == '\0')
			break;
		*at = kept;
	}
	if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
		return ga_fail(why, "%s is not a folder", path);
	return true;
}

bool
ga_write_file(const char *path, const char *text)
{
	size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, text, length) == (ssize_t) length;
	return close(fd) == 0 && written;
}

bool
ga_replace_file(const char *path, const char *text)
{
	char fresh[GA_PATH_MAX];

	return ga_path(fresh, "%s.new", path) && ga_write_file(fresh, text) && rename(fresh, path) == 0;
}

long
ga_read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while (length < room - 1 && (got = read(fd, text + length, room - 1 - length)) > 0)
		length += (size_t) got;
	close(fd);
	text[length] = '\0';
	return (long) length;
}

bool
ga_copy_file(const char *from, const char *to, unsigned mode, char *why)
{
	char fresh[GA_PATH_MAX];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out;
	ssize_t moved;

	if (in < 0)
		return ga_fail(why, "cannot read %s: %s", from, strerror(errno));
	if (!ga_path(fresh, "%s.new", to))
	{
		close(in);
		return ga_fail(why, "path too long: %s", to);
	}
	unlink(fresh);
	out = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0)
	{
		close(in);
		return ga_fail(why, "cannot create %s: %s", fresh, strerror(errno));
	}
	while ((moved = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	close(in);
	if (moved < 0 || fchmod(out, mode) != 0 || close(out) != 0 || rename(fresh, to) != 0)
		return ga_fail(why, "cannot write %s: %s", to, strerror(errno));
	return true;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
	(void) info;
	(void) walk;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

bool
ga_remove_tree(const char *path)
{
	struct stat info;

	if (lstat(path, &info) != 0)
		return errno == ENOENT;
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0;
}
