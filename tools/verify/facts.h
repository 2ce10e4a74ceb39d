/* SPDX-License-Identifier: PostgreSQL */
/*
 * facts.h: what an entry's canonical bytes say that a check can hold against other entries, and
 * sets of numbers that may not occur twice, in bounded memory.
 */
#ifndef GA_VERIFY_FACTS_H
#define GA_VERIFY_FACTS_H

#define GA_ACTION_LINK "audit.incarnation"
#define GA_ACTION_PRUNE "audit.prune"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entry.h"
#include "note.h"

typedef struct GaFacts
{
	int64_t id;
	int64_t xid;
	int64_t ordinal;
	int64_t at; /* microseconds since 1970 */
	GaEntryValue origin;
	GaEntryValue action; /* data NULL: not in the entry; so for each of these */
	GaEntryValue resource_type;
	GaEntryValue resource_id;
	GaEntryValue details;
} GaFacts;

/* NULL, or what is wrong with the entry. */
extern const char *ga_facts_read(const uint8_t *entry, size_t bytes, GaFacts *facts);
extern bool ga_value_is(const GaEntryValue *value, const char *text);

/*
 * A tree that an entry names: that which an incarnation follows, in its first leaf (origin "none":
 * it is the first), and what was pruned of one.
 */
typedef struct GaLink
{
	char origin[GA_NOTE_NAME_MAX_BYTES + 1];
	uint64_t size;
	uint8_t root[GA_HASH_BYTES];
} GaLink;

extern bool ga_link_read(const GaFacts *facts, const char *action, GaLink *link);
extern bool ga_hex_read(const char *text, size_t bytes, uint8_t *out, size_t capacity);
extern void ga_hex_write(const uint8_t *data, size_t bytes, char *out); /* 2 * bytes + 1 */

/* A sparse bitmap. */
typedef struct GaNumbers
{
	struct GaNumberPage *pages; /* an open hash table */
	size_t capacity;
	size_t count;
	bool full; /* too scattered for the memory allowed: what is added now is not looked at */
} GaNumbers;

/* False: it was there already. */
extern bool ga_numbers_add(GaNumbers *numbers, uint64_t number);
extern void ga_numbers_free(GaNumbers *numbers);

#endif
