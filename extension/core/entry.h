/* SPDX-License-Identifier: PostgreSQL */
/*
 * entry.h: the canonical bytes of an audit entry. What is hashed is exactly what is stored.
 *
 * The format is frozen by its first use: the tag "goldenarch.audit/1\n", then fields,
 *
 *     u8 field number | u8 type | u32 length, big-endian | that many bytes
 *
 * Fields stand in ascending order, each at most once; one that has no value is left out. Types: 'i'
 * int64, two's complement, big-endian, length 8; 'm' int64 as 'i', microseconds since 1970 UTC;
 * 't' UTF-8 text; 'b' bytes. A field's type is fixed (see GaEntryField), so one set of values has
 * one encoding.
 *
 * Nothing that may have to be erased stands in an entry: only its commitment does,
 * SHA-256("goldenarch.commit/1\n" || 32-byte random salt || value), with salt and value beside it.
 */
#ifndef GA_ENTRY_H
#define GA_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define GA_ENTRY_TAG "goldenarch.audit/1\n"
#define GA_COMMITMENT_TAG "goldenarch.commit/1\n"

/* Numbers are for ever; new ones go at the end. */
typedef enum GaEntryField
{
	GA_ENTRY_ORIGIN = 1,            /* t: the log's name and incarnation */
	GA_ENTRY_ID = 2,                /* i: the row's id */
	GA_ENTRY_XID = 3,               /* i: xid8 of the writing transaction */
	GA_ENTRY_ORDINAL = 4,           /* i: number of the entry within its transaction, from 1 */
	GA_ENTRY_AT = 5,                /* m: clock_timestamp() */
	GA_ENTRY_SESSION_USER = 6,      /* t */
	GA_ENTRY_CURRENT_USER = 7,      /* t: the role at our entry, not the one we switch to */
	GA_ENTRY_TENANT = 8,            /* t */
	GA_ENTRY_SUBJECT = 9,           /* t: who acted, whoami().subject */
	GA_ENTRY_ROLE = 10,             /* t: roles of the subject, joined by a comma */
	GA_ENTRY_TOKEN_ID = 11,         /* t: jti of the token, if one was shown */
	GA_ENTRY_ACTION = 12,           /* t */
	GA_ENTRY_RESOURCE_TYPE = 13,    /* t */
	GA_ENTRY_RESOURCE_ID = 14,      /* t */
	GA_ENTRY_RESOURCE_VERSION = 15, /* i */
	GA_ENTRY_OUTCOME = 16,          /* t: ok | denied | failed */
	GA_ENTRY_REASON = 17,           /* t: a code, such as an SQLSTATE */
	GA_ENTRY_POLICY_VERSION = 18,   /* i */
	GA_ENTRY_REQUEST_ID = 19,       /* t */
	GA_ENTRY_COUNT = 20,            /* i: how many equal events this entry stands for, if not one */
	GA_ENTRY_DETAILS = 21,          /* b: commitment to the details, 32 bytes */
	GA_ENTRY_BATCH_ROOT = 22,       /* b: Merkle root of a ledger's batch, 32 bytes */
	GA_ENTRY_FIELD_MAX = 22
} GaEntryField;

typedef struct GaEntry
{
	uint8_t *buffer;
	size_t capacity;
	size_t bytes;
	int last_field;
	bool failed;
} GaEntry;

typedef struct GaEntryValue
{
	GaEntryField field;
	char type;
	const uint8_t *data;
	size_t bytes;
	int64_t number; /* types i and m */
} GaEntryValue;

/*
 * Writing: begin, then the fields in ascending order, then finish, which gives the length, or 0
 * when anything was wrong on the way (order, type, room). NULL text or bytes leave the field out.
 */
extern void ga_entry_begin(GaEntry *entry, uint8_t *buffer, size_t capacity);
extern void ga_entry_text(GaEntry *entry, GaEntryField field, const char *text);
extern void ga_entry_int(GaEntry *entry, GaEntryField field, int64_t value);
extern void ga_entry_time(GaEntry *entry, GaEntryField field, int64_t unix_us);
extern void ga_entry_bytes(GaEntry *entry, GaEntryField field, const uint8_t *data, size_t bytes);
extern size_t ga_entry_finish(GaEntry *entry);

/* Reading: start with *offset = 0. 1: a value, 0: the end, -1: these are not canonical bytes. */
extern int ga_entry_next(const uint8_t *data, size_t bytes, size_t *offset, GaEntryValue *value);
extern bool ga_entry_valid(const uint8_t *data, size_t bytes);

/* False only when libcrypto fails. */
extern bool ga_commitment(const uint8_t salt[GA_SALT_BYTES], const void *value, size_t bytes,
                          uint8_t out[GA_HASH_BYTES]);

#endif /* GA_ENTRY_H */
