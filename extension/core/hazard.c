/* SPDX-License-Identifier: PostgreSQL */
/*
 * One pass over a text, with one look ahead over each line. Whether a character passes depends only
 * on what stays in the shown text, so showing a shown text changes nothing. Pure.
 */
#include "hazard.h"

#include <string.h>

#include "utf8.h"

typedef struct Range
{
	uint32_t first;
	uint32_t last;
	const char *kind;
} Range;

/* Sorted. What the rules below let pass is decided after it is found here. */
static const Range hazards[] = {
    {0x0000, 0x0008, "control"},      {0x000B, 0x001A, "control"},
    {0x001B, 0x001B, "escape"},       {0x001C, 0x001F, "control"},
    {0x007F, 0x009F, "control"},      {0x00AD, 0x00AD, "zero_width"},
    {0x034F, 0x034F, "zero_width"},   {0x061C, 0x061C, "bidi"},
    {0x115F, 0x1160, "filler"},       {0x17B4, 0x17B5, "filler"},
    {0x180B, 0x180D, "variation"},    {0x180E, 0x180E, "zero_width"},
    {0x180F, 0x180F, "variation"},    {0x200B, 0x200D, "zero_width"},
    {0x200E, 0x200F, "bidi"},         {0x2028, 0x2029, "line_separator"},
    {0x202A, 0x202E, "bidi"},         {0x2060, 0x2065, "zero_width"},
    {0x2066, 0x2069, "bidi"},         {0x206A, 0x206F, "bidi"},
    {0x2800, 0x2800, "filler"},       {0x3164, 0x3164, "filler"},
    {0xFDD0, 0xFDEF, "noncharacter"}, {0xFE00, 0xFE0F, "variation"},
    {0xFEFF, 0xFEFF, "bom"},          {0xFFA0, 0xFFA0, "filler"},
    {0xFFF0, 0xFFF8, "zero_width"},   {0xFFF9, 0xFFFC, "annotation"},
    {0xFFFE, 0xFFFF, "noncharacter"}, {0x1BCA0, 0x1BCA3, "zero_width"},
    {0x1D159, 0x1D159, "filler"},     {0x1D173, 0x1D17A, "zero_width"},
    {0xE0000, 0xE007F, "tag"},        {0xE0080, 0xE00FF, "zero_width"},
    {0xE0100, 0xE01EF, "variation"},  {0xE01F0, 0xE0FFF, "zero_width"},
};

/* The last two characters of every plane. */
static const Range last_of_plane = {0xFFFE, 0xFFFF, "noncharacter"};

/* Scripts whose spelling needs the joiner and the non-joiner. */
static const Range joining[] = {
    {0x0600, 0x0603, NULL},   {0x0620, 0x07FF, NULL},   {0x0840, 0x085F, NULL},
    {0x0860, 0x0DFF, NULL},   {0x0E00, 0x109F, NULL},   {0x1780, 0x17B3, NULL},
    {0x17B6, 0x180A, NULL},   {0x1820, 0x18AF, NULL},   {0x1900, 0x1CFF, NULL},
    {0xA800, 0xABFF, NULL},   {0xFB50, 0xFDCF, NULL},   {0xFE70, 0xFEFC, NULL},
    {0x10A00, 0x10A5F, NULL}, {0x10AC0, 0x10D3F, NULL}, {0x11000, 0x11FFF, NULL},
    {0x1E900, 0x1E95F, NULL},
};

static const Range right_to_left[] = {
    {0x05BE, 0x05F4, NULL}, {0x0608, 0x0608, NULL},   {0x060B, 0x060B, NULL},
    {0x061D, 0x08FF, NULL}, {0xFB1D, 0xFDCF, NULL},   {0xFDF0, 0xFDFF, NULL},
    {0xFE70, 0xFEFC, NULL}, {0x10800, 0x10FFF, NULL}, {0x1E800, 0x1EFFF, NULL},
};

/* What an emoji sequence is made of. */
static const Range pictures[] = {
    {0x00A9, 0x00A9, NULL}, {0x00AE, 0x00AE, NULL},   {0x203C, 0x203C, NULL},
    {0x2049, 0x2049, NULL}, {0x2122, 0x2122, NULL},   {0x2139, 0x2139, NULL},
    {0x2190, 0x21FF, NULL}, {0x2300, 0x23FF, NULL},   {0x24C2, 0x24C2, NULL},
    {0x25A0, 0x27BF, NULL}, {0x2900, 0x297F, NULL},   {0x2B00, 0x2BFF, NULL},
    {0x3030, 0x3030, NULL}, {0x303D, 0x303D, NULL},   {0x3297, 0x3297, NULL},
    {0x3299, 0x3299, NULL}, {0x1F000, 0x1FAFF, NULL},
};

static const Range ideographs[] = {
    {0x3400, 0x4DBF, NULL},
    {0x4E00, 0x9FFF, NULL},
    {0xF900, 0xFAFF, NULL},
    {0x20000, 0x3FFFD, NULL},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const Range *
find(const Range *table, size_t count, uint32_t code)
{
	size_t low = 0;
	size_t high = count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (code < table[middle].first)
			high = middle;
		else if (code > table[middle].last)
			low = middle + 1;
		else
			return &table[middle];
	}
	return NULL;
}

static bool
in(const Range *table, size_t count, uint32_t code)
{
	return find(table, count, code) != NULL;
}

/* A malformed byte counts as one character, so that the scan always ends. */
static size_t
read_at(const GaHazardScan *scan, size_t at, uint32_t *code)
{
	int length = at < scan->bytes ? ga_utf8_decode(scan->text + at, scan->bytes - at, code) : 0;

	if (length > 0)
		return (size_t) length;
	*code = 0;
	return at < scan->bytes ? 1 : 0;
}

static void
look_at_line(GaHazardScan *scan, size_t from)
{
	const char *end = memchr(scan->text + from, '\n', scan->bytes - from);
	size_t open = 0;
	uint32_t code;

	scan->line_end = end == NULL ? scan->bytes : (size_t) (end - scan->text) + 1;
	scan->balanced = true;
	scan->right_to_left = false;
	for (size_t at = from; at < scan->line_end; at += read_at(scan, at, &code))
	{
		read_at(scan, at, &code);
		if (code < 0x0590)
			continue;
		if (code >= 0x2066 && code <= 0x2068)
			open++;
		else if (code == 0x2069 && open == 0)
			scan->balanced = false;
		else if (code == 0x2069)
			open--;
		else if (!scan->right_to_left)
			scan->right_to_left = in(right_to_left, COUNT(right_to_left), code);
	}
	if (open > 0)
		scan->balanced = false;
}

/* The bytes of a subdivision flag's tags at "at", closed by the cancel tag; 0 where none are. */
static size_t
flag_tags(const GaHazardScan *scan, size_t at)
{
	size_t from = at;
	uint32_t code;
	size_t length;

	while ((length = read_at(scan, at, &code)) > 0)
	{
		bool letter = (code >= 0xE0061 && code <= 0xE007A) || (code >= 0xE0030 && code <= 0xE0039);

		at += length;
		if (code == 0xE007F && at - from > 2 * length && at - from <= 8 * length)
			return at - from;
		if (!letter)
			return 0;
	}
	return 0;
}

static bool
variation_passes(uint32_t base, uint32_t code)
{
	if (code == 0xFE0E || code == 0xFE0F)
		return in(pictures, COUNT(pictures), base) || (base >= '0' && base <= '9') || base == '#' ||
		       base == '*';
	if (code >= 0x180B && code <= 0x180F)
		return base >= 0x1820 && base <= 0x18AF;
	if (code >= 0xE0100)
		return in(ideographs, COUNT(ideographs), base);
	return in(ideographs, COUNT(ideographs), base) || (base >= 0x2200 && base <= 0x22FF) ||
	       (base >= 0x1000 && base <= 0x109F) || (base >= 0x13000 && base <= 0x143FA);
}

/* Whether honest text needs this character here. "next": where the following one starts. */
static bool
passes(const GaHazardScan *scan, uint32_t code, size_t next)
{
	uint32_t following;
	uint32_t before = scan->previous;

	read_at(scan, next, &following);
	switch (code)
	{
		case '\r':
			return following == '\n';
		case 0x061C:
		case 0x200E:
		case 0x200F:
			return scan->right_to_left;
		case 0x2066:
		case 0x2067:
		case 0x2068:
		case 0x2069:
			return scan->balanced;
		case 0x200C:
			return in(joining, COUNT(joining), before);
		case 0x200D:
			if (in(joining, COUNT(joining), before))
				return true;
			return (before == 0xFE0F || in(pictures, COUNT(pictures), before)) &&
			       in(pictures, COUNT(pictures), following);
		case 0x2800:
			return (before > 0x2800 && before <= 0x28FF) ||
			       (following > 0x2800 && following <= 0x28FF);
		default:
			return false;
	}
}

void
ga_hazard_begin(GaHazardScan *scan, const char *text, size_t bytes)
{
	memset(scan, 0, sizeof(*scan));
	scan->text = text;
	scan->bytes = bytes;
}

bool
ga_hazard_next(GaHazardScan *scan, GaHazard *hazard)
{
	while (scan->at < scan->bytes)
	{
		size_t at = scan->at;
		uint32_t code;
		size_t length;
		const Range *range;

		if (at >= scan->line_end)
			look_at_line(scan, at);
		length = read_at(scan, at, &code);
		scan->at += length;
		range = code > 0xE0FFF ? NULL : find(hazards, COUNT(hazards), code);
		if (range == NULL && (code & 0xFFFE) == 0xFFFE)
			range = &last_of_plane;
		if (range == NULL || passes(scan, code, scan->at) ||
		    (range->kind[0] == 'v' && variation_passes(scan->previous, code)))
		{
			scan->previous = code;
			continue;
		}
		if (range->kind[0] == 't' && scan->previous == 0x1F3F4 && flag_tags(scan, at) > 0)
		{
			scan->at = at + flag_tags(scan, at);
			scan->previous = 0x1F3F4;
			continue;
		}
		*hazard = (GaHazard){range->kind, at, length, code};
		scan->previous = ']';
		return true;
	}
	return false;
}

size_t
ga_hazard_show(uint32_t code, char *to)
{
	static const char digits[] = "0123456789ABCDEF";
	int width = code > 0xFFFFF ? 6 : code > 0xFFFF ? 5 : 4;
	size_t n = 0;

	memcpy(to, "[U+", 3);
	n = 3;
	for (int shift = (width - 1) * 4; shift >= 0; shift -= 4)
		to[n++] = digits[(code >> shift) & 0xF];
	to[n++] = ']';
	to[n] = '\0';
	return n;
}
