/* SPDX-License-Identifier: PostgreSQL */
/* heads.c: see heads.h. */
#include "heads.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t) 2 * GA_NOTE_READ_MAX_BYTES)
#define ORIGINS_MAX 10000
#define DASH "\xe2\x80\x94 "

bool
ga_trust_read(GaTrust *trust, const char *path, char why[GA_WHY_MAX])
{
	GaLineFile file;
	bool ok = true;

	if (ga_lines_open(&file, AT_FDCWD, path, 4096) != GA_FILE_OK)
	{
		snprintf(why, GA_WHY_MAX, "cannot read the keys in %s", path);
		return false;
	}
	if (trust->keys == NULL)
		trust->keys = calloc(GA_KEYS_MAX, sizeof(*trust->keys));
	while (ok && trust->keys != NULL && ga_lines_next(&file))
	{
		if (file.bytes == 0 || file.line[0] == '#')
			continue;
		ok = trust->n < GA_KEYS_MAX && ga_vkey_parse(file.line, file.bytes, &trust->keys[trust->n]);
		trust->n += ok;
	}
	ok = ok && trust->keys != NULL && !file.broken;
	if (!ok)
		snprintf(why, GA_WHY_MAX, "%s, line %llu: this is no verifier key (name+id+key)", path,
		         (unsigned long long) file.number);
	else if (trust->n == 0)
		snprintf(why, GA_WHY_MAX, "there is no key in %s", path);
	ga_lines_close(&file);
	return ok && trust->n > 0;
}

GaSigned
ga_trust_verify(const GaTrust *trust, const GaCheckpoint *head, bool any_name, int64_t *time)
{
	GaSigned by = head->nsignatures == 0 ? GA_SIGNED_BY_NOBODY : GA_KEY_UNKNOWN;
	GaNoteKey key;

	*time = 0;
	for (size_t i = 0; i < trust->n; i++)
	{
		int64_t seconds;
		GaNoteVerdict plain;
		GaNoteVerdict timed;

		key = trust->keys[i];
		if (strcmp(key.name, head->origin) != 0)
		{
			if (!any_name)
				continue;
			memcpy(key.name, head->origin, sizeof(key.name));
		}
		plain = ga_checkpoint_verify(head, &key);
		timed = ga_checkpoint_time(head, &key, &seconds);
		if (plain == GA_NOTE_BAD_SIGNATURE || timed == GA_NOTE_BAD_SIGNATURE)
			return GA_SIGNED_BADLY;
		if (plain != GA_NOTE_GOOD)
			continue;
		by = GA_SIGNED;
		if (timed == GA_NOTE_GOOD && seconds > *time)
			*time = seconds;
	}
	return by;
}

bool
ga_trust_has_key_only(const GaTrust *trust, const GaCheckpoint *head)
{
	int64_t time;

	return ga_trust_verify(trust, head, false, &time) == GA_KEY_UNKNOWN &&
	       ga_trust_verify(trust, head, true, &time) == GA_SIGNED;
}

static bool
same_text(const char *line, const json_t *value)
{
	char *again = json_dumps(value, JSON_COMPACT);
	bool same = again != NULL && strcmp(again, line) == 0;

	free(again);
	return same;
}

static char *
note_of(const char *line, bool exact)
{
	json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *text = json_string_value(json_object_get(value, "note"));
	char *note = NULL;

	if (text != NULL && (!exact || (json_object_size(value) == 1 && same_text(line, value))))
		note = strdup(text);
	json_decref(value);
	return note;
}

char *
ga_head_line_read(const char *line)
{
	return note_of(line, true);
}

char *
ga_head_line_write(const char *note)
{
	json_t *value = json_pack("{s:s}", "note", note);
	char *line = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	return line;
}

static bool
add_anchor(GaAnchors *anchors, const GaTrust *trust, const char *note, size_t bytes)
{
	GaCheckpoint *head = malloc(sizeof(*head));
	GaAnchor *anchor;
	size_t origin = 0;
	bool ok = head != NULL && ga_checkpoint_parse(note, bytes, head);

	if (ok && anchors->origins == NULL)
		anchors->origins = calloc(ORIGINS_MAX, sizeof(*anchors->origins));
	while (ok && origin < anchors->norigins && strcmp(anchors->origins[origin], head->origin) != 0)
		origin++;
	ok = ok && anchors->origins != NULL && origin < ORIGINS_MAX && anchors->n < GA_ANCHORS_MAX;
	if (ok && anchors->n == anchors->capacity)
	{
		size_t wanted = anchors->capacity == 0 ? 64 : 2 * anchors->capacity;
		GaAnchor *grown = realloc(anchors->list, wanted * sizeof(*grown));

		ok = grown != NULL;
		if (ok)
		{
			anchors->list = grown;
			anchors->capacity = wanted;
		}
	}
	if (ok)
	{
		if (origin == anchors->norigins)
			memcpy(anchors->origins[anchors->norigins++], head->origin, sizeof(head->origin));
		anchor = &anchors->list[anchors->n++];
		anchor->size = head->size;
		memcpy(anchor->root, head->root, GA_HASH_BYTES);
		anchor->origin = (uint32_t) origin;
		anchor->by = ga_trust_verify(trust, head, true, &anchor->time);
	}
	free(head);
	return ok;
}

/* What is gathered of a note that spans lines. */
typedef struct Gathered
{
	char text[GA_NOTE_READ_MAX_BYTES];
	size_t bytes;
	bool signatures; /* the empty line has been */
} Gathered;

static bool
end_note(Gathered *note, GaAnchors *anchors, const GaTrust *trust)
{
	bool ok = note->bytes == 0 || add_anchor(anchors, trust, note->text, note->bytes);

	note->bytes = 0;
	note->signatures = false;
	return ok;
}

/* A note ends where a line behind its empty line is no signature. */
static bool
take_line(Gathered *note, const GaLineFile *file, GaAnchors *anchors, const GaTrust *trust)
{
	if (note->signatures && strncmp(file->line, DASH, sizeof(DASH) - 1) != 0 &&
	    !end_note(note, anchors, trust))
		return false;
	if (file->bytes == 0 && note->bytes == 0)
		return true;
	if (file->bytes + 1 > sizeof(note->text) - note->bytes)
		return false;
	memcpy(note->text + note->bytes, file->line, file->bytes);
	note->bytes += file->bytes;
	note->text[note->bytes++] = '\n';
	note->signatures = note->signatures || file->bytes == 0;
	return true;
}

bool
ga_anchors_read(GaAnchors *anchors, const GaTrust *trust, const char *path, char why[GA_WHY_MAX])
{
	Gathered *note = calloc(1, sizeof(*note));
	GaLineFile file;
	bool ok = note != NULL;

	if (ga_lines_open(&file, AT_FDCWD, path, LINE_MAX_BYTES) != GA_FILE_OK)
	{
		snprintf(why, GA_WHY_MAX, "cannot read the anchored heads in %s", path);
		free(note);
		return false;
	}
	while (ok && ga_lines_next(&file))
	{
		char *text = file.line[0] == '{' ? note_of(file.line, false) : NULL;

		if (file.line[0] != '{')
			ok = take_line(note, &file, anchors, trust);
		else
			ok = text != NULL && add_anchor(anchors, trust, text, strlen(text));
		free(text);
	}
	ok = ok && !file.broken && end_note(note, anchors, trust);
	if (!ok)
		snprintf(why, GA_WHY_MAX, "%s, near line %llu: this is no signed head", path,
		         (unsigned long long) file.number);
	ga_lines_close(&file);
	free(note);
	return ok;
}

static int
compare_anchors(const void *left, const void *right)
{
	const GaAnchor *a = left;
	const GaAnchor *b = right;

	if (a->origin != b->origin)
		return a->origin < b->origin ? -1 : 1;
	return a->size < b->size ? -1 : a->size > b->size;
}

void
ga_anchors_sort(GaAnchors *anchors)
{
	if (anchors->n > 0)
		qsort(anchors->list, anchors->n, sizeof(*anchors->list), compare_anchors);
}

size_t
ga_anchors_of(const GaAnchors *anchors, const char *origin, size_t *count)
{
	size_t first = 0;

	*count = 0;
	while (first < anchors->n && strcmp(anchors->origins[anchors->list[first].origin], origin) != 0)
		first++;
	while (first + *count < anchors->n &&
	       anchors->list[first + *count].origin == anchors->list[first].origin)
		++*count;
	return first;
}

void
ga_anchors_free(GaAnchors *anchors)
{
	free(anchors->list);
	free(anchors->origins);
	memset(anchors, 0, sizeof(*anchors));
}
