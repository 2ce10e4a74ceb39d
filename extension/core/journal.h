/* SPDX-License-Identifier: PostgreSQL */
/*
 * journal.h: a file of frames that tells a torn tail from a whole one.
 *
 *     "goldenarch.spool/1\n" | 16 bytes generation, random for each file
 *     then frames: u32 length, big-endian | 16 bytes check | that many bytes
 *
 * A frame's check is the beginning of SHA-256 of the check before it (the first: the generation),
 * the length and the bytes: a frame left over from another file, or out of order, does not fit.
 * The first frame that does not fit ends the journal.
 */
#ifndef GA_JOURNAL_H
#define GA_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define GA_JOURNAL_TAG "goldenarch.spool/1\n"
#define GA_JOURNAL_CHECK_BYTES 16
#define GA_JOURNAL_HEADER_BYTES (sizeof(GA_JOURNAL_TAG) - 1 + GA_JOURNAL_CHECK_BYTES)
#define GA_JOURNAL_FRAME_BYTES (4 + GA_JOURNAL_CHECK_BYTES)
#define GA_JOURNAL_PAYLOAD_MAX_BYTES (64 * 1024)

typedef struct GaJournal
{
	uint8_t generation[GA_JOURNAL_CHECK_BYTES];
	uint8_t check[GA_JOURNAL_CHECK_BYTES]; /* of the last frame */
} GaJournal;

/* Writes the header to out, which has GA_JOURNAL_HEADER_BYTES. */
extern void ga_journal_begin(GaJournal *journal, const uint8_t generation[GA_JOURNAL_CHECK_BYTES],
                             uint8_t *out);
/* Reads it; false when this is no journal. */
extern bool ga_journal_open(GaJournal *journal, const uint8_t *data, size_t bytes);

/* Writes a frame to out, which has bytes + GA_JOURNAL_FRAME_BYTES; 0 when libcrypto fails. */
extern size_t ga_journal_append(GaJournal *journal, const uint8_t *payload, size_t bytes,
                                uint8_t *out);
/* The frame at *offset, which moves behind it; false at the end, torn or not. */
extern bool ga_journal_next(GaJournal *journal, const uint8_t *data, size_t bytes, size_t *offset,
                            const uint8_t **payload, size_t *payload_bytes);

#endif /* GA_JOURNAL_H */
