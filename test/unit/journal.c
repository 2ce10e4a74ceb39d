/* SPDX-License-Identifier: PostgreSQL */
/* journal.c: what was written is read; every tear, flip and swap ends the journal before it. */
#include "journal.h"

#include <string.h>

#include "unit.h"

#define FRAMES 5

static uint8_t file[4096];
static size_t ends[FRAMES + 1];

static size_t
write_journal(const char *generation)
{
	GaJournal journal;
	size_t at = GA_JOURNAL_HEADER_BYTES;

	ga_journal_begin(&journal, (const uint8_t *) generation, file);
	ends[0] = at;
	for (int i = 0; i < FRAMES; i++)
	{
		uint8_t payload[64];

		memset(payload, 'a' + i, sizeof(payload));
		at += ga_journal_append(&journal, payload, (size_t) (i * 7), file + at);
		ends[i + 1] = at;
	}
	return at;
}

/* Number of frames that are read, all of them as they were written. */
static int
read_journal(size_t bytes)
{
	GaJournal journal;
	size_t at = GA_JOURNAL_HEADER_BYTES;
	const uint8_t *payload;
	size_t length;
	int n = 0;

	if (!ga_journal_open(&journal, file, bytes))
		return -1;
	while (ga_journal_next(&journal, file, bytes, &at, &payload, &length))
	{
		if (length != (size_t) (n * 7) || (n > 0 && payload[length - 1] != 'a' + n))
			return -2;
		n++;
	}
	return at == ends[n] ? n : -3;
}

int
main(void)
{
	uint8_t first[sizeof(file)];
	size_t bytes = write_journal("0123456789abcdef");
	uint8_t big[GA_JOURNAL_PAYLOAD_MAX_BYTES + 1] = {0};
	uint8_t out[sizeof(big) + GA_JOURNAL_FRAME_BYTES];
	GaJournal journal;
	int expected = 0;

	CHECK_INT(read_journal(bytes), FRAMES);
	for (size_t cut = 0; cut < bytes; cut++)
	{
		while (expected < FRAMES && ends[expected + 1] <= cut)
			expected++;
		CHECK_INT(read_journal(cut), cut < GA_JOURNAL_HEADER_BYTES ? -1 : expected);
	}
	expected = 0;
	for (size_t at = GA_JOURNAL_HEADER_BYTES; at < bytes; at++)
	{
		while (ends[expected + 1] <= at)
			expected++;
		file[at] ^= 1;
		CHECK_INT(read_journal(bytes), expected);
		file[at] ^= 1;
	}
	/* The frames of one file behind the header of another. */
	memcpy(first, file, sizeof(file));
	(void) write_journal("another one, new");
	memcpy(file + GA_JOURNAL_HEADER_BYTES, first + GA_JOURNAL_HEADER_BYTES,
	       bytes - GA_JOURNAL_HEADER_BYTES);
	CHECK_INT(read_journal(bytes), 0);
	ga_journal_begin(&journal, big, out);
	CHECK_INT(ga_journal_append(&journal, big, sizeof(big), out), 0);
	CHECK_INT(ga_journal_append(&journal, big, sizeof(big) - 1, out),
	          sizeof(big) - 1 + GA_JOURNAL_FRAME_BYTES);
	return unit_done();
}
