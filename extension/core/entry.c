/* SPDX-License-Identifier: PostgreSQL */
/*
 * entry.c: see entry.h. Writer and reader share one table of types, and the reader accepts nothing
 * that the writer could not have made.
 */
#include "entry.h"

#include <string.h>

#include "digest.h"

#define TAG_BYTES (sizeof(GA_ENTRY_TAG) - 1)
#define FIELD_HEADER_BYTES 6
#define INT_BYTES 8

static const char field_types[GA_ENTRY_FIELD_MAX + 1] = {
    [GA_ENTRY_ORIGIN] = 't',        [GA_ENTRY_ID] = 'i',          [GA_ENTRY_XID] = 'i',
    [GA_ENTRY_ORDINAL] = 'i',       [GA_ENTRY_AT] = 'm',          [GA_ENTRY_SESSION_USER] = 't',
    [GA_ENTRY_CURRENT_USER] = 't',  [GA_ENTRY_TENANT] = 't',      [GA_ENTRY_SUBJECT] = 't',
    [GA_ENTRY_ROLE] = 't',          [GA_ENTRY_TOKEN_ID] = 't',    [GA_ENTRY_ACTION] = 't',
    [GA_ENTRY_RESOURCE_TYPE] = 't', [GA_ENTRY_RESOURCE_ID] = 't', [GA_ENTRY_RESOURCE_VERSION] = 'i',
    [GA_ENTRY_OUTCOME] = 't',       [GA_ENTRY_REASON] = 't',      [GA_ENTRY_POLICY_VERSION] = 'i',
    [GA_ENTRY_REQUEST_ID] = 't',    [GA_ENTRY_COUNT] = 'i',       [GA_ENTRY_DETAILS] = 'b',
    [GA_ENTRY_BATCH_ROOT] = 'b',
};

static bool
field_ok(int field, char type, int last_field)
{
	return field > last_field && field <= GA_ENTRY_FIELD_MAX && field_types[field] == type;
}

void
ga_entry_begin(GaEntry *entry, uint8_t *buffer, size_t capacity)
{
	memset(entry, 0, sizeof(*entry));
	entry->buffer = buffer;
	entry->capacity = capacity;
	if (capacity < TAG_BYTES)
	{
		entry->failed = true;
		return;
	}
	memcpy(buffer, GA_ENTRY_TAG, TAG_BYTES);
	entry->bytes = TAG_BYTES;
}

static void
put_field(GaEntry *entry, GaEntryField field, char type, const void *data, size_t bytes)
{
	uint8_t *at;

	if (entry->failed || !field_ok((int) field, type, entry->last_field) ||
	    bytes > entry->capacity || entry->capacity - entry->bytes < FIELD_HEADER_BYTES ||
	    entry->capacity - entry->bytes - FIELD_HEADER_BYTES < bytes)
	{
		entry->failed = true;
		return;
	}
	at = entry->buffer + entry->bytes;
	at[0] = (uint8_t) field;
	at[1] = (uint8_t) type;
	for (int i = 0; i < 4; i++)
		at[2 + i] = (uint8_t) (bytes >> (8 * (3 - i)));
	if (bytes > 0)
		memcpy(at + FIELD_HEADER_BYTES, data, bytes);
	entry->bytes += FIELD_HEADER_BYTES + bytes;
	entry->last_field = (int) field;
}

static void
put_number(GaEntry *entry, GaEntryField field, char type, int64_t value)
{
	uint8_t raw[INT_BYTES];

	for (int i = 0; i < INT_BYTES; i++)
		raw[i] = (uint8_t) ((uint64_t) value >> (8 * (INT_BYTES - 1 - i)));
	put_field(entry, field, type, raw, INT_BYTES);
}

void
ga_entry_text(GaEntry *entry, GaEntryField field, const char *text)
{
	if (text != NULL)
		put_field(entry, field, 't', text, strlen(text));
}

void
ga_entry_int(GaEntry *entry, GaEntryField field, int64_t value)
{
	put_number(entry, field, 'i', value);
}

void
ga_entry_time(GaEntry *entry, GaEntryField field, int64_t unix_us)
{
	put_number(entry, field, 'm', unix_us);
}

void
ga_entry_bytes(GaEntry *entry, GaEntryField field, const uint8_t *data, size_t bytes)
{
	if (data != NULL)
		put_field(entry, field, 'b', data, bytes);
}

size_t
ga_entry_finish(GaEntry *entry)
{
	return entry->failed || entry->bytes > GA_ENTRY_MAX_BYTES ? 0 : entry->bytes;
}

int
ga_entry_next(const uint8_t *data, size_t bytes, size_t *offset, GaEntryValue *value)
{
	const uint8_t *at;
	int last_field = 0;
	size_t length = 0;

	if (*offset == 0)
	{
		if (bytes > GA_ENTRY_MAX_BYTES || bytes < TAG_BYTES ||
		    memcmp(data, GA_ENTRY_TAG, TAG_BYTES) != 0)
			return -1;
		*offset = TAG_BYTES;
	}
	else
		last_field = (int) value->field; /* value still holds the field before */
	if (*offset == bytes)
		return 0;
	if (*offset > bytes || bytes - *offset < FIELD_HEADER_BYTES)
		return -1;
	at = data + *offset;
	for (int i = 0; i < 4; i++)
		length = length << 8 | at[2 + i];
	if (!field_ok(at[0], (char) at[1], last_field) || bytes - *offset - FIELD_HEADER_BYTES < length)
		return -1;
	value->field = (GaEntryField) at[0];
	value->type = (char) at[1];
	value->data = at + FIELD_HEADER_BYTES;
	value->bytes = length;
	value->number = 0;
	if (value->type == 'i' || value->type == 'm')
	{
		uint64_t number = 0;

		if (length != INT_BYTES)
			return -1;
		for (int i = 0; i < INT_BYTES; i++)
			number = number << 8 | value->data[i];
		value->number = (int64_t) number;
	}
	*offset += FIELD_HEADER_BYTES + length;
	return 1;
}

bool
ga_entry_valid(const uint8_t *data, size_t bytes)
{
	GaEntryValue value;
	size_t offset = 0;
	int result;

	memset(&value, 0, sizeof(value));
	while ((result = ga_entry_next(data, bytes, &offset, &value)) == 1)
		continue;
	return result == 0;
}

bool
ga_commitment(const uint8_t salt[GA_SALT_BYTES], const void *value, size_t bytes,
              uint8_t out[GA_HASH_BYTES])
{
	const GaBytes pieces[] = {
	    {GA_COMMITMENT_TAG, sizeof(GA_COMMITMENT_TAG) - 1}, {salt, GA_SALT_BYTES}, {value, bytes}};

	return ga_sha256(pieces, 3, out);
}
