/* SPDX-License-Identifier: PostgreSQL */
/* folder.c: see folder.h. */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int
ga_folder_open(const char *path)
{
	return open(path, DIRECTORY_FLAGS);
}

/*
 * Opens the folder that a relative path's last part lies in, one part at a time; *name is that
 * last part. With make, what is missing on the way is made.
 */
static int
walk(int folder, const char *path, bool make, const char **name)
{
	char part[GA_FOLDER_PATH_MAX];
	int at = dup(folder);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/')) != NULL)
	{
		size_t bytes = (size_t) (slash - path);
		int next;

		if (bytes == 0 || bytes >= sizeof(part))
		{
			close(at);
			errno = EINVAL;
			return -1;
		}
		memcpy(part, path, bytes);
		part[bytes] = '\0';
		if (make && mkdirat(at, part, 0777) != 0 && errno != EEXIST)
		{
			close(at);
			return -1;
		}
		next = openat(at, part, DIRECTORY_FLAGS | O_NOFOLLOW);
		close(at);
		at = next;
		path = slash + 1;
	}
	*name = path;
	return at;
}

static int
open_below(int folder, const char *path, int flags)
{
	const char *name;
	int at = walk(folder, path, false, &name);
	int file;

	if (at < 0)
		return -1;
	file = openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC);
	close(at);
	return file;
}

int
ga_folder_below(int folder, const char *at)
{
	return open_below(folder, at, O_RDONLY | O_DIRECTORY);
}

int
ga_folder_make(int folder, const char *path)
{
	const char *name;
	int at = walk(folder, path, true, &name);
	int made = -1;

	if (at < 0)
		return -1;
	if (mkdirat(at, name, 0777) == 0 || errno == EEXIST)
		made = openat(at, name, DIRECTORY_FLAGS | O_NOFOLLOW);
	close(at);
	return made;
}

const char *
ga_file_state_text(GaFileState state)
{
	static const char *const texts[] = {"is there", "is missing", "is too large", "cannot be read"};

	return texts[state];
}

static GaFileState
open_regular(int folder, const char *path, int *file)
{
	struct stat about;

	/* what the user names himself may be a pipe */
	if (folder == AT_FDCWD)
	{
		*file = open(path, O_RDONLY | O_CLOEXEC);
		if (*file < 0)
			return errno == ENOENT ? GA_FILE_ABSENT : GA_FILE_UNREADABLE;
		return GA_FILE_OK;
	}
	/* a FIFO would block the open, and a device anything */
	*file = open_below(folder, path, O_RDONLY | O_NONBLOCK);
	if (*file < 0)
		return errno == ENOENT || errno == ENOTDIR ? GA_FILE_ABSENT : GA_FILE_UNREADABLE;
	if (fstat(*file, &about) != 0 || !S_ISREG(about.st_mode))
	{
		close(*file);
		return GA_FILE_UNREADABLE;
	}
	return GA_FILE_OK;
}

GaFileState
ga_file_read(int folder, const char *path, void *buffer, size_t capacity, size_t *bytes)
{
	int file;
	GaFileState state = open_regular(folder, path, &file);
	ssize_t got = 0;

	*bytes = 0;
	if (state != GA_FILE_OK)
		return state;
	while (*bytes < capacity)
	{
		got = read(file, (char *) buffer + *bytes, capacity - *bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		*bytes += (size_t) got;
	}
	if (*bytes == capacity)
	{
		char more;

		if (read(file, &more, 1) == 1)
			state = GA_FILE_TOO_LARGE;
	}
	close(file);
	return got < 0 ? GA_FILE_UNREADABLE : state;
}

static bool
write_all(int file, const char *data, size_t bytes)
{
	while (bytes > 0)
	{
		ssize_t written = write(file, data, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		bytes -= (size_t) written;
	}
	return true;
}

bool
ga_file_write(int folder, const char *path, const void *data, size_t bytes)
{
	const char *name;
	char temporary[GA_FOLDER_PATH_MAX];
	int at = walk(folder, path, true, &name);
	int file;
	bool ok;

	if (at < 0)
		return false;
	snprintf(temporary, sizeof(temporary), ".new.%s", name);
	file = openat(at, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	ok = file >= 0 && write_all(file, data, bytes);
	if (file >= 0 && close(file) != 0)
		ok = false;
	ok = ok && renameat(at, temporary, at, name) == 0;
	close(at);
	return ok;
}

GaFileState
ga_lines_open(GaLineFile *file, int folder, const char *path, size_t limit)
{
	int descriptor;
	GaFileState state;

	memset(file, 0, sizeof(*file));
	file->limit = limit;
	state = open_regular(folder, path, &descriptor);
	if (state != GA_FILE_OK)
		return state;
	file->stream = fdopen(descriptor, "r");
	if (file->stream != NULL)
		return GA_FILE_OK;
	close(descriptor);
	return GA_FILE_UNREADABLE;
}

static bool
add_byte(GaLineFile *file, int byte)
{
	if (file->bytes + 1 >= file->capacity)
	{
		size_t wanted = file->capacity == 0 ? 1024 : 2 * file->capacity;
		char *grown = realloc(file->line, wanted);

		if (grown == NULL)
			return false;
		file->line = grown;
		file->capacity = wanted;
	}
	file->line[file->bytes++] = (char) byte;
	file->line[file->bytes] = '\0';
	return true;
}

bool
ga_lines_next(GaLineFile *file)
{
	int byte;

	file->bytes = 0;
	if (file->stream == NULL || file->broken)
		return false;
	file->number++;
	while ((byte = getc_unlocked(file->stream)) != EOF && byte != '\n')
	{
		if (byte == 0 || file->bytes >= file->limit || !add_byte(file, byte))
		{
			file->broken = true;
			return false;
		}
	}
	if (byte == '\n')
	{
		if (file->bytes > 0)
			return true;
		/* an empty line still needs a place for its NUL */
		if (!add_byte(file, ' '))
			return false;
		file->line[--file->bytes] = '\0';
		return true;
	}
	file->broken = file->bytes > 0 || ferror(file->stream) != 0;
	return false;
}

void
ga_lines_close(GaLineFile *file)
{
	if (file->stream != NULL)
		fclose(file->stream);
	free(file->line);
	memset(file, 0, sizeof(*file));
}
