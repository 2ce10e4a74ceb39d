/* SPDX-License-Identifier: PostgreSQL */
/* openings.c: see openings.h. */
#include "openings.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

char *
ga_opening_line(int64_t leaf, const uint8_t salt[GA_SALT_BYTES], const char *details)
{
	char hex[2 * GA_SALT_BYTES + 1];
	json_t *value;
	char *line;

	ga_hex_write(salt, GA_SALT_BYTES, hex);
	value =
	    json_pack("{s:I, s:s, s:s}", "leaf", (json_int_t) leaf, "salt", hex, "details", details);
	line = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
	json_decref(value);
	return line;
}

/* Only the one form that a line is written in. */
static bool
read_line(GaOpenings *openings)
{
	json_t *value = json_loads(openings->file.line, JSON_REJECT_DUPLICATES, NULL);
	const json_t *leaf = json_object_get(value, "leaf");
	const char *salt = json_string_value(json_object_get(value, "salt"));
	const char *details = json_string_value(json_object_get(value, "details"));
	char *again = NULL;
	bool ok = json_is_integer(leaf) && salt != NULL && details != NULL &&
	          ga_hex_read(salt, strlen(salt), openings->salt, GA_SALT_BYTES);

	if (ok)
	{
		openings->leaf = (int64_t) json_integer_value(leaf);
		openings->details = strdup(details);
		again = ga_opening_line(openings->leaf, openings->salt, details);
	}
	ok =
	    ok && openings->details != NULL && again != NULL && strcmp(again, openings->file.line) == 0;
	free(again);
	json_decref(value);
	return ok;
}

static void
next(GaOpenings *openings)
{
	free(openings->details);
	openings->details = NULL;
	openings->there = false;
	if (openings->invalid)
		return;
	if (ga_lines_next(&openings->file))
	{
		openings->there = read_line(openings);
		openings->invalid = !openings->there;
	}
	else
		openings->invalid = openings->file.broken;
}

bool
ga_openings_open(GaOpenings *openings, int folder)
{
	GaFileState state = ga_lines_open(&openings->file, folder, "openings", GA_OPENING_LINE_MAX);

	if (state == GA_FILE_OK)
		next(openings);
	return state == GA_FILE_OK || state == GA_FILE_ABSENT;
}

const char *
ga_openings_check(GaOpenings *openings, int64_t leaf, const GaFacts *facts)
{
	uint8_t commitment[GA_HASH_BYTES];
	bool opens;

	if (!openings->there || openings->leaf > leaf)
		return NULL;
	if (openings->leaf < leaf)
	{
		next(openings);
		return "the openings are not in the order of leaves";
	}
	opens =
	    facts->details.data != NULL &&
	    ga_commitment(openings->salt, openings->details, strlen(openings->details), commitment) &&
	    memcmp(commitment, facts->details.data, GA_HASH_BYTES) == 0;
	openings->opened += opens;
	next(openings);
	return opens ? NULL : "the details here are not those that the entry commits to";
}

void
ga_openings_skip(GaOpenings *openings, int64_t leaf)
{
	while (openings->there && openings->leaf <= leaf)
		next(openings);
}

const char *
ga_openings_rest(GaOpenings *openings)
{
	if (openings->invalid)
		return "a line of openings is none";
	return openings->there ? "there is an opening for a leaf that is not here" : NULL;
}

void
ga_openings_close(GaOpenings *openings)
{
	ga_lines_close(&openings->file);
	free(openings->details);
	openings->details = NULL;
}
