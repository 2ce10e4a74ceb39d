/* SPDX-License-Identifier: PostgreSQL */
/*
 * check.c: the check of an export as a whole. Incarnations are checked from the last back: each
 * sound one vouches for the size and the root of the one before it.
 */
#include "check.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT_FILE_MAX_BYTES 32768

static json_t *
manifest(const uint64_t *minimum, int count)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(list, json_integer((json_int_t) minimum[i]));
	return json_pack("{s:s, s:o}", "format", GA_EXPORT_FORMAT, "minimum_index", list);
}

/* The text in its one form, to be freed. */
static char *
manifest_text(const uint64_t *minimum, int count)
{
	json_t *value = manifest(minimum, count);
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
	size_t bytes = text != NULL ? strlen(text) : 0;
	char *line = text != NULL ? realloc(text, bytes + 2) : NULL;

	json_decref(value);
	if (line == NULL)
	{
		free(text);
		return NULL;
	}
	memcpy(line + bytes, "\n", 2);
	return line;
}

bool
ga_export_write(int folder, const uint64_t *minimum, int count)
{
	char *text = manifest_text(minimum, count);
	bool ok = text != NULL && ga_file_write(folder, GA_EXPORT_FILE, text, strlen(text));

	free(text);
	return ok;
}

int
ga_export_read(int folder, uint64_t *minimum)
{
	char text[EXPORT_FILE_MAX_BYTES + 1];
	size_t bytes;
	GaFileState state = ga_file_read(folder, GA_EXPORT_FILE, text, EXPORT_FILE_MAX_BYTES, &bytes);
	json_t *value;
	const json_t *list;
	char *again;
	size_t count;
	bool ok;

	if (state == GA_FILE_ABSENT)
		return 0;
	if (state != GA_FILE_OK)
		return -1;
	text[bytes] = '\0';
	value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
	list = json_object_get(value, "minimum_index");
	count = json_array_size(list);
	ok = count > 0 && count <= GA_INCARNATIONS_MAX;
	for (size_t i = 0; ok && i < count; i++)
	{
		const json_t *number = json_array_get(list, i);

		ok = json_is_integer(number) && json_integer_value(number) >= 0;
		minimum[i] = (uint64_t) json_integer_value(number);
	}
	json_decref(value);
	again = ok ? manifest_text(minimum, (int) count) : NULL;
	ok = again != NULL && strlen(again) == bytes && memcmp(again, text, bytes) == 0;
	free(again);
	return ok ? (int) count : -1;
}

/* Keys that the export claims; whom to trust is the user's to say. */
static void
check_keys(GaCheck *check, int folder)
{
	GaLineFile file;
	GaTally tally;
	GaNoteKey key;
	uint64_t trusted = 0;
	GaFileState state = ga_lines_open(&file, folder, "keys", GA_VKEY_MAX_BYTES);

	if (state == GA_FILE_ABSENT)
		return;
	ga_tally_init(&tally);
	while (ga_lines_next(&file))
	{
		tally.count++;
		if (!ga_vkey_parse(file.line, file.bytes, &key))
			ga_fault(&tally, -1, -1, "line %" PRIu64 " of keys is no verifier key", file.number);
		for (size_t i = 0; i < check->trust.n; i++)
		{
			if (memcmp(check->trust.keys[i].key, key.key, sizeof(key.key)) == 0)
			{
				trusted++;
				break;
			}
		}
	}
	if (file.broken || state != GA_FILE_OK)
		ga_fault(&tally, -1, -1, "keys cannot be read");
	ga_praise(&tally, "%" PRIu64 " of the %" PRIu64 " keys that the log names are trusted", trusted,
	          tally.count);
	ga_lines_close(&file);
	ga_report_add(&check->report, GA_INTEGRITY, "keys", 0, &tally);
}

/* What the first leaf says of the tree before, and what that tree is; before NULL: not here. */
static void
check_link(GaCheck *check, const GaTreeCheck *tree, const GaTreeCheck *before)
{
	GaTally tally;
	const GaLink *link = &tree->link;

	ga_tally_init(&tally);
	if (!tree->readable)
		return;
	if (tree->minimum > 0)
		ga_doubt(&tally, "the first leaf, which names the tree before, was pruned");
	else if (!tree->linked && tree->size > 0)
		ga_fault(&tally, 0, -1, "the first leaf does not name the tree before");
	else if (before == NULL && strcmp(link->origin, "none") != 0 && tree->size > 0)
		ga_fault(&tally, 0, -1, "truncated: %s, which this tree follows, is not here",
		         link->origin);
	else if (before != NULL && !before->readable)
		ga_doubt(&tally, "the tree before cannot be read");
	else if (before != NULL && strcmp(link->origin, before->origin) != 0)
		ga_fault(&tally, 0, -1, "this tree follows %s, before it is %s", link->origin,
		         before->origin);
	else if (before != NULL && link->size != before->size)
		ga_fault(&tally, -1, -1, "%s: %s ended with %" PRIu64 " leaves, here it has %" PRIu64,
		         before->size < link->size ? "truncated" : "fork", link->origin, link->size,
		         before->size);
	else if (before != NULL && memcmp(link->root, before->root, GA_HASH_BYTES) != 0)
		ga_fault(&tally, -1, -1, "fork: %s ended with another root than it has here", link->origin);
	if (before == NULL)
		ga_praise(&tally, "the first leaf says that no tree was before");
	else
		ga_praise(&tally, "the first leaf names size and root of %s", before->origin);
	ga_report_add(&check->report, GA_COMPLETENESS, "link", tree->incarnation, &tally);
}

/* Anchors of logs that are not in the export at all. */
static void
check_strangers(GaCheck *check, const GaTreeCheck *trees, int count)
{
	GaTally tally;

	ga_tally_init(&tally);
	for (size_t origin = 0; origin < check->anchors.norigins; origin++)
	{
		const char *name = check->anchors.origins[origin];
		bool here = false;
		size_t n;
		size_t first = ga_anchors_of(&check->anchors, name, &n);

		for (int i = 0; i < count; i++)
			here = here || (trees[i].readable && strcmp(trees[i].origin, name) == 0);
		if (here)
			continue;
		for (size_t i = first; i < first + n; i++)
		{
			if (check->anchors.list[i].by == GA_SIGNED)
				ga_fault(&tally, -1, -1, "truncated: a head of %s was anchored, which is not here",
				         name);
		}
		ga_doubt(&tally, "an anchored head is of %s, which is not here", name);
	}
	if (tally.verdict != GA_OK)
		ga_report_add(&check->report, GA_COMPLETENESS, "anchors", 0, &tally);
}

static void
check_trees(GaCheck *check, int folder, GaTreeCheck *trees, int count)
{
	for (int i = count - 1; i >= 0; i--)
	{
		GaTreeCheck *tree = &trees[i];
		char path[GA_FOLDER_PATH_MAX];

		tree->incarnation = i + 1;
		tree->last = i == count - 1;
		tree->folder = folder;
		if (!tree->last)
		{
			snprintf(path, sizeof(path), "incarnation/%d", i + 1);
			tree->folder = ga_folder_below(folder, path);
			if (trees[i + 1].sound && trees[i + 1].linked)
				tree->successor = &trees[i + 1].link;
		}
		ga_tree_check(check, tree);
		if (!tree->last && tree->folder >= 0)
			close(tree->folder);
	}
	for (int i = 0; i < count; i++)
		check_link(check, &trees[i], i > 0 ? &trees[i - 1] : NULL);
}

void
ga_check_folder(GaCheck *check, int folder)
{
	GaTreeCheck *trees = calloc(GA_INCARNATIONS_MAX, sizeof(*trees));
	uint64_t *minimum = calloc(GA_INCARNATIONS_MAX, sizeof(*minimum));
	int count;
	GaTally tally;

	if (trees == NULL || minimum == NULL)
		abort();
	ga_anchors_sort(&check->anchors);
	count = ga_export_read(folder, minimum);
	ga_tally_init(&tally);
	if (count < 0)
	{
		ga_fault(&tally, -1, -1, "%s is not what an export writes", GA_EXPORT_FILE);
		ga_report_add(&check->report, GA_INTEGRITY, "export", 0, &tally);
		count = 1;
		minimum[0] = 0;
	}
	else if (count == 0)
		count = 1;
	for (int i = 0; i < count; i++)
		trees[i].minimum = minimum[i];
	check_keys(check, folder);
	check_trees(check, folder, trees, count);
	check_strangers(check, trees, count);
	free(minimum);
	free(trees);
}

void
ga_check_free(GaCheck *check)
{
	ga_report_free(&check->report);
	ga_anchors_free(&check->anchors);
	ga_numbers_free(&check->ids);
	free(check->trust.keys);
	memset(check, 0, sizeof(*check));
}
