/* SPDX-License-Identifier: PostgreSQL */
/* Frames with chained checks: see journal.h. */
#include "journal.h"

#include <string.h>

#include "digest.h"

#define TAG_BYTES (sizeof(GA_JOURNAL_TAG) - 1)

void
ga_journal_begin(GaJournal *journal, const uint8_t generation[GA_JOURNAL_CHECK_BYTES], uint8_t *out)
{
	memcpy(out, GA_JOURNAL_TAG, TAG_BYTES);
	memcpy(out + TAG_BYTES, generation, GA_JOURNAL_CHECK_BYTES);
	memcpy(journal->generation, generation, GA_JOURNAL_CHECK_BYTES);
	memcpy(journal->check, generation, GA_JOURNAL_CHECK_BYTES);
}

bool
ga_journal_open(GaJournal *journal, const uint8_t *data, size_t bytes)
{
	if (bytes < GA_JOURNAL_HEADER_BYTES || memcmp(data, GA_JOURNAL_TAG, TAG_BYTES) != 0)
		return false;
	memcpy(journal->generation, data + TAG_BYTES, GA_JOURNAL_CHECK_BYTES);
	memcpy(journal->check, data + TAG_BYTES, GA_JOURNAL_CHECK_BYTES);
	return true;
}

static bool
check_of(const GaJournal *journal, const uint8_t length[4], const uint8_t *payload, size_t bytes,
         uint8_t out[GA_HASH_BYTES])
{
	const GaBytes pieces[] = {
	    {journal->check, GA_JOURNAL_CHECK_BYTES}, {length, 4}, {payload, bytes}};

	return ga_sha256(pieces, 3, out);
}

size_t
ga_journal_append(GaJournal *journal, const uint8_t *payload, size_t bytes, uint8_t *out)
{
	uint8_t hash[GA_HASH_BYTES];

	if (bytes > GA_JOURNAL_PAYLOAD_MAX_BYTES)
		return 0;
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t) (bytes >> (24 - 8 * i));
	if (!check_of(journal, out, payload, bytes, hash))
		return 0;
	memcpy(out + 4, hash, GA_JOURNAL_CHECK_BYTES);
	memcpy(out + GA_JOURNAL_FRAME_BYTES, payload, bytes);
	memcpy(journal->check, hash, GA_JOURNAL_CHECK_BYTES);
	return GA_JOURNAL_FRAME_BYTES + bytes;
}

bool
ga_journal_next(GaJournal *journal, const uint8_t *data, size_t bytes, size_t *offset,
                const uint8_t **payload, size_t *payload_bytes)
{
	const uint8_t *frame = data + *offset;
	uint8_t hash[GA_HASH_BYTES];
	size_t length = 0;

	if (*offset > bytes || bytes - *offset < GA_JOURNAL_FRAME_BYTES)
		return false;
	for (int i = 0; i < 4; i++)
		length = length << 8 | frame[i];
	if (length > GA_JOURNAL_PAYLOAD_MAX_BYTES ||
	    length > bytes - *offset - GA_JOURNAL_FRAME_BYTES ||
	    !check_of(journal, frame, frame + GA_JOURNAL_FRAME_BYTES, length, hash) ||
	    memcmp(frame + 4, hash, GA_JOURNAL_CHECK_BYTES) != 0)
		return false;
	memcpy(journal->check, hash, GA_JOURNAL_CHECK_BYTES);
	*payload = frame + GA_JOURNAL_FRAME_BYTES;
	*payload_bytes = length;
	*offset += GA_JOURNAL_FRAME_BYTES + length;
	return true;
}
