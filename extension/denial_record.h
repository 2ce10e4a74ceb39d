/* SPDX-License-Identifier: PostgreSQL */
/*
 * What is written for a caller by another process: a denial, or the intent of giving out a secret.
 * Of one size, so that it fits a place of the ring, the segment of a one-shot worker, and a frame
 * of the spool. Texts are cut to fit, at a character's end, and padded with zeros, so that equal
 * records are equal bytes.
 */
#ifndef DENIAL_RECORD_H
#define DENIAL_RECORD_H

#include "postgres.h"

#include "goldenarch/audit.h"
#include "limits.h"

typedef struct GaRecord
{
	TimestampTz at;      /* of the first event */
	TimestampTz last_at; /* of the last */
	int64 count;         /* events it stands for */
	/* What equal events have in common, from here on: see ga_record_equal. */
	int32 outcome;
	int32 unused;
	char pg_user[NAMEDATALEN];
	char session_user[NAMEDATALEN];
	char subject[GA_SUBJECT_MAX_BYTES + 1];
	char tenant[GA_TENANT_MAX_BYTES + 1];
	char roles[512]; /* joined by a comma */
	char token_id[128];
	char action[128];
	char resource_type[64];
	char resource_id[512];
	char sqlstate[6]; /* "" unless it is a denial */
	char text[1024];  /* a denial's message; else the details as JSON */
} GaRecord;

/* The running call's principal, now. Details longer than the room for them are 54000. */
extern void ga_record_denial(GaRecord *record, const GaDenial *denial);
extern void ga_record_intent(GaRecord *record, const char *action, const char *resource_type,
                             const char *resource_id, const Jsonb *details);

extern uint64 ga_record_hash(const GaRecord *record);
extern bool ga_record_equal(const GaRecord *a, const GaRecord *b);

/* Its audit row, in the running transaction of a worker. */
extern void ga_record_write(const GaRecord *record);

/*
 * As bytes that another build can read: at most GA_RECORD_MAX_BYTES. Unpacking says false where
 * they are not such bytes.
 */
#define GA_RECORD_MAX_BYTES (sizeof(GaRecord) + 64)
extern size_t ga_record_pack(const GaRecord *record, uint8 *out);
extern bool ga_record_unpack(GaRecord *record, const uint8 *data, size_t bytes);

#endif
