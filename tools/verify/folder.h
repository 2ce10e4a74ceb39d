/* SPDX-License-Identifier: PostgreSQL */
/*
 * folder.h: files below an export's folder. Paths are relative and of our own making. What is read
 * may be hostile: no symbolic link is followed below the folder, only regular files are opened,
 * and nothing is read beyond a bound that the caller sets.
 */
#ifndef GA_VERIFY_FOLDER_H
#define GA_VERIFY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define GA_FOLDER_PATH_MAX 256

typedef enum GaFileState
{
	GA_FILE_OK,
	GA_FILE_ABSENT,
	GA_FILE_TOO_LARGE,
	GA_FILE_UNREADABLE /* no regular file, or an error in reading */
} GaFileState;

/* A file that is read line by line. */
typedef struct GaLineFile
{
	FILE *stream; /* NULL: there is no file */
	char *line;
	size_t capacity;
	size_t limit; /* bytes of a line */
	size_t bytes;
	uint64_t number;
	bool broken; /* a line that is too long, holds a NUL, or has no newline */
} GaLineFile;

extern int ga_folder_open(const char *path);            /* -1 and errno */
extern int ga_folder_below(int folder, const char *at); /* -1: there is none */
extern int ga_folder_make(int folder, const char *at);  /* with its parents */

extern const char *ga_file_state_text(GaFileState state);
/* The file as a whole; *bytes on success. */
extern GaFileState ga_file_read(int folder, const char *path, void *buffer, size_t capacity,
                                size_t *bytes);
/* Replaces the file at once, or leaves what was there. Makes the folders on the way. */
extern bool ga_file_write(int folder, const char *path, const void *data, size_t bytes);

/* folder AT_FDCWD: any path and any kind of file, as the user named it. */
extern GaFileState ga_lines_open(GaLineFile *file, int folder, const char *path, size_t limit);
/* The next line, without its newline, NUL-terminated, in file->line; false: the end, or broken. */
extern bool ga_lines_next(GaLineFile *file);
extern void ga_lines_close(GaLineFile *file);

#endif
