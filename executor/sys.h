/* SPDX-License-Identifier: PostgreSQL */
/*
 * sys.h: the few things every part of the executor needs of the system: time, buffers, files, log.
 */
#ifndef GOLDENARCH_EXECUTOR_SYS_H
#define GOLDENARCH_EXECUTOR_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GA_PATH_MAX 1024
#define GA_WHY_MAX 512
#define GA_EXIT_CONFIG 78 /* EX_CONFIG: this host cannot sandbox; do not restart */

typedef struct GaBuffer
{
	char *data;
	size_t length;
	size_t room;
} GaBuffer;

int64_t ga_now_ms(void);
void ga_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool ga_fail(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *ga_alloc(size_t size);
void ga_buffer_add(GaBuffer *buffer, const void *data, size_t length);
void ga_buffer_free(GaBuffer *buffer);

/* Write a path built by format; false when it does not fit. */
bool ga_path(char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool ga_make_dirs(const char *path, unsigned mode, char *why);
bool ga_write_file(const char *path, const char *text);
/* The same, seen by readers as a whole or not at all. */
bool ga_replace_file(const char *path, const char *text);
/* Read at most room - 1 bytes of a file, zero-terminated; -1 when it cannot be read. */
long ga_read_file(const char *path, char *text, size_t room);
bool ga_copy_file(const char *from, const char *to, unsigned mode, char *why);
/* Remove a folder of our own making and everything in it, never following a link out of it. */
bool ga_remove_tree(const char *path);

#endif
