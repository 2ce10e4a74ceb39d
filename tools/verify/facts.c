/* SPDX-License-Identifier: PostgreSQL */
/* facts.c: see facts.h. */
#include "facts.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BITS 15 /* of a number, within a page of 4 KB */
#define PAGE_WORDS ((1 << PAGE_BITS) / 64)
#define PAGES_MAX (32 * 1024) /* 128 MB, a thousand million numbers when they are dense */

struct GaNumberPage
{
	uint64_t key;
	uint64_t *words; /* NULL: the slot is free */
};

const char *
ga_facts_read(const uint8_t *entry, size_t bytes, GaFacts *facts)
{
	GaEntryValue value;
	size_t offset = 0;
	uint64_t seen = 0;
	const uint64_t required = UINT64_C(1) << GA_ENTRY_ID | UINT64_C(1) << GA_ENTRY_XID |
	                          UINT64_C(1) << GA_ENTRY_ORDINAL | UINT64_C(1) << GA_ENTRY_AT |
	                          UINT64_C(1) << GA_ENTRY_ACTION;
	int result;

	memset(facts, 0, sizeof(*facts));
	memset(&value, 0, sizeof(value));
	facts->id = -1;
	while ((result = ga_entry_next(entry, bytes, &offset, &value)) == 1)
	{
		seen |= UINT64_C(1) << value.field;
		switch (value.field)
		{
			case GA_ENTRY_ORIGIN:
				facts->origin = value;
				break;
			case GA_ENTRY_ID:
				facts->id = value.number;
				break;
			case GA_ENTRY_XID:
				facts->xid = value.number;
				break;
			case GA_ENTRY_ORDINAL:
				facts->ordinal = value.number;
				break;
			case GA_ENTRY_AT:
				facts->at = value.number;
				break;
			case GA_ENTRY_ACTION:
				facts->action = value;
				break;
			case GA_ENTRY_RESOURCE_TYPE:
				facts->resource_type = value;
				break;
			case GA_ENTRY_RESOURCE_ID:
				facts->resource_id = value;
				break;
			case GA_ENTRY_DETAILS:
				facts->details = value;
				break;
			default:
				break;
		}
	}
	if (result < 0)
		return "its bytes are not canonical";
	if ((seen & required) != required)
		return "it lacks its id, transaction, ordinal, time or action";
	if (facts->id < 1 || facts->xid < 1 || facts->ordinal < 1)
		return "its id, transaction or ordinal is below 1";
	if (facts->details.data != NULL && facts->details.bytes != GA_HASH_BYTES)
		return "its commitment is no hash";
	return NULL;
}

bool
ga_value_is(const GaEntryValue *value, const char *text)
{
	return value->data != NULL && value->bytes == strlen(text) &&
	       memcmp(value->data, text, value->bytes) == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
ga_hex_read(const char *text, size_t bytes, uint8_t *out, size_t capacity)
{
	if (bytes != 2 * capacity)
		return false;
	for (size_t i = 0; i < capacity; i++)
	{
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return true;
}

void
ga_hex_write(const uint8_t *data, size_t bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++)
	{
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * bytes] = '\0';
}

/* "ORIGIN SIZE ROOT", or "none 0 -" */
bool
ga_link_read(const GaFacts *facts, const char *action, GaLink *link)
{
	const char *text = (const char *) facts->resource_id.data;
	const char *end;
	const char *space;

	memset(link, 0, sizeof(*link));
	if (!ga_value_is(&facts->action, action) || !ga_value_is(&facts->resource_type, "audit tree") ||
	    text == NULL)
		return false;
	end = text + facts->resource_id.bytes;
	space = memchr(text, ' ', (size_t) (end - text));
	if (space == NULL || space == text || space - text > GA_NOTE_NAME_MAX_BYTES)
		return false;
	memcpy(link->origin, text, (size_t) (space - text));
	for (text = space + 1; text < end && *text >= '0' && *text <= '9'; text++)
	{
		if (link->size > (uint64_t) INT64_MAX / 10)
			return false;
		link->size = link->size * 10 + (uint64_t) (*text - '0');
	}
	if (text == space + 1 || text == end || *text != ' ')
		return false;
	text++;
	if (strcmp(link->origin, "none") == 0)
		return link->size == 0 && end - text == 1 && *text == '-';
	return ga_hex_read(text, (size_t) (end - text), link->root, GA_HASH_BYTES);
}

static struct GaNumberPage *
slot_of(struct GaNumberPage *pages, size_t capacity, uint64_t key)
{
	size_t at = (size_t) (key * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (capacity - 1);

	while (pages[at].words != NULL && pages[at].key != key)
		at = (at + 1) & (capacity - 1);
	return &pages[at];
}

static bool
grow(GaNumbers *numbers)
{
	size_t wanted = numbers->capacity == 0 ? 64 : 2 * numbers->capacity;
	struct GaNumberPage *pages = calloc(wanted, sizeof(*pages));

	if (pages == NULL)
		return false;
	for (size_t i = 0; i < numbers->capacity; i++)
	{
		if (numbers->pages[i].words != NULL)
			*slot_of(pages, wanted, numbers->pages[i].key) = numbers->pages[i];
	}
	free(numbers->pages);
	numbers->pages = pages;
	numbers->capacity = wanted;
	return true;
}

bool
ga_numbers_add(GaNumbers *numbers, uint64_t number)
{
	uint64_t key = number >> PAGE_BITS;
	uint64_t word = (number & ((1 << PAGE_BITS) - 1)) / 64;
	uint64_t bit = UINT64_C(1) << (number % 64);
	struct GaNumberPage *page;

	if (2 * numbers->count >= numbers->capacity && !grow(numbers))
	{
		numbers->full = true;
		return true;
	}
	page = slot_of(numbers->pages, numbers->capacity, key);
	if (page->words == NULL)
	{
		uint64_t *words = numbers->count < PAGES_MAX ? calloc(PAGE_WORDS, sizeof(*words)) : NULL;

		if (words == NULL)
		{
			numbers->full = true;
			return true;
		}
		page->key = key;
		page->words = words;
		numbers->count++;
	}
	if ((page->words[word] & bit) != 0)
		return false;
	page->words[word] |= bit;
	return true;
}

void
ga_numbers_free(GaNumbers *numbers)
{
	for (size_t i = 0; i < numbers->capacity; i++)
		free(numbers->pages[i].words);
	free(numbers->pages);
	memset(numbers, 0, sizeof(*numbers));
}
