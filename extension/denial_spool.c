/* SPDX-License-Identifier: PostgreSQL */
/*
 * The spool of denials (denial_spool.h): goldenarch/denials.OID below the data directory.
 *
 * After a failed flush the end stays where it was: the next append cuts the file there and writes
 * it anew, so that no later frame stands behind one that may have been dropped.
 */
#include "denial_spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "goldenarch/debug.h"

#define DIRECTORY "goldenarch"
#define SPOOL_MAX_BYTES ((size_t) 64 * 1024 * 1024)

typedef struct Content
{
	uint8 *data;
	size_t bytes;
} Content;

static struct
{
	bool exists;
	bool unreadable;   /* never written over: what is in it may have been acknowledged */
	GaJournal journal; /* at the end */
	size_t end;
	int64 waiting; /* records from the position on */
} spool;

/* What is being replayed: the file as it was when that began. */
static struct
{
	Content content;
	GaJournal journal;
	size_t at;
	int64 read; /* records since the last ga_spool_replayed */
} replay;

static const char *
path(void)
{
	static char name[MAXPGPATH];

	snprintf(name, sizeof(name), DIRECTORY "/denials.%u", MyDatabaseId);
	return name;
}

static bool
failed(const char *what)
{
	ereport(LOG, (errcode_for_file_access(), errmsg("could not %s \"%s\": %m", what, path())));
	return false;
}

/*
 * The whole file, palloc'd in TopMemoryContext; false where it cannot be read. No file: no bytes.
 */
static bool
load(Content *content)
{
	int fd = OpenTransientFile(path(), O_RDONLY | PG_BINARY);
	struct stat info;
	bool ok = false;

	*content = (Content){MemoryContextAlloc(TopMemoryContext, 1), 0};
	if (fd < 0)
		return errno == ENOENT ? true : failed("open");
	if (fstat(fd, &info) != 0 || (size_t) info.st_size > SPOOL_MAX_BYTES)
		(void) failed("take up");
	else
	{
		content->data = repalloc(content->data, (size_t) info.st_size + 1);
		while (content->bytes < (size_t) info.st_size)
		{
			ssize_t n =
			    read(fd, content->data + content->bytes, (size_t) info.st_size - content->bytes);

			if (n <= 0)
				break;
			content->bytes += (size_t) n;
		}
		ok = content->bytes == (size_t) info.st_size || failed("read");
	}
	CloseTransientFile(fd);
	return ok;
}

/* Frames from *at on; *at moves to the end of the last whole one. */
static int64
skip_frames(GaJournal *journal, const Content *content, size_t *at, size_t until)
{
	const uint8 *payload;
	size_t bytes;
	int64 n = 0;

	while (*at < until &&
	       ga_journal_next(journal, content->data, content->bytes, at, &payload, &bytes))
		n++;
	return n;
}

void
ga_spool_open(void)
{
	Content content;

	memset(&spool, 0, sizeof(spool));
	spool.unreadable = !load(&content);
	/* A file without a whole header was never acknowledged: it is written over. */
	if (!spool.unreadable && content.bytes >= GA_JOURNAL_HEADER_BYTES)
		spool.unreadable = !ga_journal_open(&spool.journal, content.data, content.bytes);
	if (spool.unreadable)
	{
		spool.waiting = -1;
		ereport(LOG, (errmsg("\"%s\" is not what a spool of denials looks like", path()),
		              errdetail("No denial is spooled until it is taken away.")));
	}
	else if (content.bytes >= GA_JOURNAL_HEADER_BYTES)
	{
		spool.exists = true;
		spool.end = GA_JOURNAL_HEADER_BYTES;
		spool.waiting = skip_frames(&spool.journal, &content, &spool.end, SIZE_MAX);
		if (spool.end < content.bytes)
			ereport(LOG, (errmsg("\"%s\" has %zu bytes behind its last whole record", path(),
			                     content.bytes - spool.end),
			              errdetail("They were never acknowledged and are dropped.")));
	}
	pfree(content.data);
}

int64
ga_spool_waiting(void)
{
	return spool.waiting;
}

int64
ga_spool_count(void)
{
	Content content;
	GaJournal journal;
	size_t at = GA_JOURNAL_HEADER_BYTES;
	int64 n = 0;

	if (!load(&content))
		n = -1;
	else if (content.bytes >= GA_JOURNAL_HEADER_BYTES)
		n = ga_journal_open(&journal, content.data, content.bytes)
		        ? skip_frames(&journal, &content, &at, SIZE_MAX)
		        : -1;
	pfree(content.data);
	return n;
}

static bool
write_at(int fd, const uint8 *data, size_t bytes, size_t at)
{
	while (bytes > 0)
	{
		ssize_t n = pwrite(fd, data, bytes, (off_t) at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			if (n == 0)
				errno = ENOSPC;
			return failed("write to");
		}
		data += n;
		bytes -= (size_t) n;
		at += (size_t) n;
	}
	return true;
}

/* Open for appending; a file that is new has its header in *out and its name flushed. */
static int
open_for_append(GaJournal *journal, uint8 *out, size_t *used)
{
	uint8 generation[GA_JOURNAL_CHECK_BYTES];
	int fd;

	if (!spool.exists && MakePGDirectory(DIRECTORY) != 0 && errno != EEXIST)
	{
		(void) failed("make the directory of");
		return -1;
	}
	fd = OpenTransientFile(path(), O_RDWR | O_CREAT | PG_BINARY);
	if (fd < 0)
	{
		(void) failed("open");
		return -1;
	}
	*journal = spool.journal;
	if (!spool.exists)
	{
		if (!pg_strong_random(generation, sizeof(generation)) ||
		    fsync_fname_ext(DIRECTORY, true, false, LOG) != 0 ||
		    fsync_fname_ext(".", true, false, LOG) != 0)
		{
			CloseTransientFile(fd);
			return -1;
		}
		ga_journal_begin(journal, generation, out);
		*used = GA_JOURNAL_HEADER_BYTES;
	}
	if (ftruncate(fd, (off_t) spool.end) != 0)
	{
		(void) failed("truncate");
		CloseTransientFile(fd);
		return -1;
	}
	return fd;
}

static size_t
frame_records(GaJournal *journal, GaSpoolSource source, const void *arg, int n, uint8 *out)
{
	uint8 packed[GA_RECORD_MAX_BYTES];
	size_t used = 0;
	int i;

	for (i = 0; i < n; i++)
	{
		size_t bytes = ga_record_pack(source(arg, i), packed);
		size_t framed = ga_journal_append(journal, packed, bytes, out + used);

		if (framed == 0)
			return 0;
		used += framed;
	}
	return used;
}

bool
ga_spool_append(GaSpoolSource source, const void *arg, int n)
{
	size_t capacity =
	    GA_JOURNAL_HEADER_BYTES + (size_t) n * (GA_RECORD_MAX_BYTES + GA_JOURNAL_FRAME_BYTES);
	uint8 *buffer;
	GaJournal journal;
	size_t used = 0;
	size_t framed;
	bool ok;
	int fd;

	if (spool.unreadable)
		ga_spool_open();
	if (spool.unreadable)
		return false;
	if (spool.end + capacity > SPOOL_MAX_BYTES)
	{
		ereport(LOG, (errmsg("\"%s\" is full", path())));
		return false;
	}
	buffer = MemoryContextAlloc(TopMemoryContext, capacity);
	fd = open_for_append(&journal, buffer, &used);
	if (fd < 0)
	{
		pfree(buffer);
		return false;
	}
	framed = frame_records(&journal, source, arg, n, buffer + used);
	ok = framed > 0 && write_at(fd, buffer, used + framed, spool.end) &&
	     (pg_fsync(fd) == 0 || failed("flush"));
	if (CloseTransientFile(fd) != 0)
		(void) failed("close");
	pfree(buffer);
	if (!ok)
		return false;
	spool.exists = true;
	spool.journal = journal;
	spool.end += used + framed;
	spool.waiting += n;
	return true;
}

const uint8 *
ga_spool_generation(void)
{
	return spool.journal.generation;
}

static void
end_replay(void)
{
	if (replay.content.data)
		pfree(replay.content.data);
	memset(&replay, 0, sizeof(replay));
}

void
ga_spool_seek(int64 position)
{
	size_t skipped = GA_JOURNAL_HEADER_BYTES;
	GaJournal rest;

	if (replay.content.data && replay.content.bytes == spool.end && replay.at == (size_t) position)
	{
		replay.read = 0;
		return;
	}
	end_replay();
	(void) load(&replay.content);
	replay.content.bytes = Min(replay.content.bytes, spool.end);
	if (!ga_journal_open(&replay.journal, replay.content.data, replay.content.bytes))
	{
		end_replay();
		return;
	}
	(void) skip_frames(&replay.journal, &replay.content, &skipped, (size_t) position);
	replay.at = skipped;
	rest = replay.journal;
	spool.waiting = skip_frames(&rest, &replay.content, &skipped, SIZE_MAX);
}

bool
ga_spool_read(GaRecord *record)
{
	const uint8 *payload;
	size_t bytes;

	if (!replay.content.data ||
	    !ga_journal_next(&replay.journal, replay.content.data, replay.content.bytes, &replay.at,
	                     &payload, &bytes))
		return false;
	if (!ga_record_unpack(record, payload, bytes))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("\"%s\" holds a record of another version", path())));
	replay.read++;
	return true;
}

int64
ga_spool_position(void)
{
	return (int64) replay.at;
}

bool
ga_spool_replayed(void)
{
	spool.waiting = Max(spool.waiting - replay.read, 0);
	replay.read = 0;
	if (replay.at < spool.end)
		return false;
	GA_DEBUG_POINT("spool-before-remove");
	end_replay();
	if (durable_unlink(path(), LOG) != 0)
		return false;
	memset(&spool, 0, sizeof(spool));
	return true;
}
