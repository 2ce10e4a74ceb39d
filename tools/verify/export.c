/* SPDX-License-Identifier: PostgreSQL */
/*
 * export.c: see export.h. How far an export has come stands in export.state beside it, which no
 * check reads: full tiles are never written again, and the two files that only grow are cut back
 * to where the full tiles end.
 */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "openings.h"
#include "pq.h"
#include "tile.h"

#define STATE_FILE "export.state"
#define STATE_FORMAT \
	"goldenarch-export-state/1 %d %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu64 " %d"
#define ENTRY_MAX 65535
#define PAGE_LEAVES 2048

typedef struct State
{
	int incarnation;
	uint64_t leaf; /* entries and tiles below it are complete; full tiles end there */
	uint64_t openings_bytes;
	int64_t head;
	uint64_t heads_bytes;
	int details;
} State;

typedef struct Incarnation
{
	int64_t number;
	char origin[GA_NOTE_NAME_MAX_BYTES + 1];
	uint64_t size;
	uint64_t minimum;
} Incarnation;

typedef struct Export
{
	GaServer server;
	int folder; /* DIR */
	bool details;
	Incarnation incarnations[GA_INCARNATIONS_MAX];
	int n;
	uint64_t minimum[GA_INCARNATIONS_MAX]; /* of what the folder holds */
	int nminimum;
	uint64_t skipped; /* openings that are no UTF-8 or too long */

	/* of the tree at hand */
	int tree; /* its folder */
	const Incarnation *at;
	char parameter[2][24];
	uint64_t size;
	State state;
	uint8_t *bundle;
	size_t bundle_bytes;
	uint64_t next_leaf;
	FILE *openings;
} Export;

static bool
complain(const char *what)
{
	fprintf(stderr, "goldenarch-verify: %s\n", what);
	return false;
}

static bool
complain_file(const char *path)
{
	fprintf(stderr, "goldenarch-verify: cannot write %s: %s\n", path, strerror(errno));
	return false;
}

/* ---- the folder ---- */

static bool
read_state(int folder, State *state)
{
	char text[200];
	size_t bytes;

	memset(state, 0, sizeof(*state));
	if (ga_file_read(folder, STATE_FILE, text, sizeof(text) - 1, &bytes) != GA_FILE_OK)
		return false;
	text[bytes] = '\0';
	return sscanf(text, STATE_FORMAT, &state->incarnation, &state->leaf, &state->openings_bytes,
	              &state->head, &state->heads_bytes, &state->details) == 6;
}

static bool
write_state(int folder, const State *state)
{
	char text[200];
	int bytes = snprintf(text, sizeof(text),
	                     "goldenarch-export-state/1 %d %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64
	                     " %d\n",
	                     state->incarnation, state->leaf, state->openings_bytes, state->head,
	                     state->heads_bytes, state->details);

	return ga_file_write(folder, STATE_FILE, text, (size_t) bytes) || complain_file(STATE_FILE);
}

/* A file that grows, cut back to where it was complete. */
static FILE *
open_growing(int folder, const char *name, uint64_t bytes)
{
	int file = openat(folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
	struct stat about;
	FILE *stream = NULL;

	if (file >= 0 && fstat(file, &about) == 0 && (uint64_t) about.st_size >= bytes &&
	    ftruncate(file, (off_t) bytes) == 0 && lseek(file, 0, SEEK_END) >= 0)
		stream = fdopen(file, "w");
	if (stream == NULL)
	{
		(void) complain_file(name);
		if (file >= 0)
			close(file);
	}
	return stream;
}

/* What was the last incarnation's goes where earlier ones are. */
static bool
move_down(Export *export, int incarnation)
{
	static const char *const names[] = {"checkpoint", "tile", "heads", "openings", STATE_FILE};
	char path[GA_FOLDER_PATH_MAX];
	int to;
	bool ok = true;

	snprintf(path, sizeof(path), "incarnation/%d", incarnation);
	to = ga_folder_make(export->folder, path);
	if (to < 0)
		return complain_file(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
	{
		if (renameat(export->folder, names[i], to, names[i]) != 0 && errno != ENOENT)
			ok = complain_file(names[i]);
	}
	close(to);
	return ok;
}

/* ---- entries ---- */

static bool
flush_bundle(Export *export, int width)
{
	char path[GA_TILE_PATH_MAX_BYTES];
	uint64_t index = (export->next_leaf - 1) / GA_TILE_WIDTH;

	(void) ga_tile_path(-1, index, width, path, sizeof(path));
	if (!ga_file_write(export->tree, path, export->bundle, export->bundle_bytes))
		return complain_file(path);
	export->bundle_bytes = 0;
	return true;
}

/* The next leaf's entry; a length of 0 stands for one that is not there. */
static bool
put_entry(Export *export, const uint8_t *entry, size_t bytes)
{
	uint8_t *at = export->bundle + export->bundle_bytes;

	if (entry == NULL || bytes > ENTRY_MAX)
		bytes = 0;
	at[0] = (uint8_t) (bytes >> 8);
	at[1] = (uint8_t) bytes;
	if (bytes > 0)
		memcpy(at + 2, entry, bytes);
	export->bundle_bytes += 2 + bytes;
	export->next_leaf++;
	return export->next_leaf % GA_TILE_WIDTH != 0 || flush_bundle(export, GA_TILE_WIDTH);
}

static bool
put_opening(Export *export, const PGresult *page, int row, int64_t leaf)
{
	size_t salt_bytes;
	size_t bytes;
	const uint8_t *salt = ga_server_bytes(&export->server, page, row, "salt", &salt_bytes);
	const uint8_t *text = ga_server_bytes(&export->server, page, row, "details_text", &bytes);
	char *line;
	bool ok = true;

	if (salt == NULL || text == NULL || salt_bytes != GA_SALT_BYTES)
		return true;
	/* libpq ends each value with a NUL */
	line = strlen((const char *) text) == bytes ? ga_opening_line(leaf, salt, (const char *) text)
	                                            : NULL;
	if (line == NULL || strlen(line) >= GA_OPENING_LINE_MAX)
		export->skipped++;
	else
		ok = fprintf(export->openings, "%s\n", line) > 0;
	free(line);
	return ok || complain_file("openings");
}

static bool
put_row(Export *export, const PGresult *page, int row, uint64_t full_end)
{
	int64_t leaf;
	size_t bytes;
	const uint8_t *entry = ga_server_bytes(&export->server, page, row, "entry", &bytes);

	/* twice the same leaf: the first one counts; later than the checkpoint: for the next time */
	if (!ga_server_int8(&export->server, page, row, "leaf_index", &leaf) ||
	    (uint64_t) leaf < export->next_leaf || (uint64_t) leaf >= export->size)
		return true;
	while (export->next_leaf < (uint64_t) leaf)
	{
		if (!put_entry(export, NULL, 0))
			return false;
	}
	if (!put_entry(export, entry, bytes))
		return false;
	if (export->openings == NULL)
		return true;
	if (!put_opening(export, page, row, leaf))
		return false;
	if ((uint64_t) leaf < full_end)
		export->state.openings_bytes = (uint64_t) ftello(export->openings);
	return true;
}

static bool
export_entries(Export *export, uint64_t from)
{
	const uint64_t full_end = export->size / GA_TILE_WIDTH * GA_TILE_WIDTH;
	char count[24];
	const char *parameters[] = {export->parameter[0], export->parameter[1], count};

	snprintf(count, sizeof(count), "%d", PAGE_LEAVES);
	export->next_leaf = from;
	export->bundle_bytes = 0;
	for (uint64_t at = from; at < export->size; at += PAGE_LEAVES)
	{
		PGresult *page;
		bool ok = true;

		snprintf(export->parameter[1], sizeof(export->parameter[1]), "%" PRIu64, at);
		page = ga_server_ask(&export->server,
		                     "SELECT leaf_index, entry, salt, details_text FROM "
		                     "goldenarch.audit_export_entries($1::pg_catalog.int4, "
		                     "$2::pg_catalog.int8, $3::pg_catalog.int4)",
		                     3, parameters);
		if (page == NULL)
			return false;
		for (int row = 0; ok && row < export->server.rows(page); row++)
			ok = put_row(export, page, row, full_end);
		export->server.clear(page);
		if (!ok)
			return false;
	}
	while (export->next_leaf < export->size)
	{
		if (!put_entry(export, NULL, 0))
			return false;
	}
	return export->bundle_bytes == 0 || flush_bundle(export, (int) (export->size % GA_TILE_WIDTH));
}

/* ---- tiles and heads ---- */

static bool
export_tile(Export *export, int level, uint64_t index, int width)
{
	char numbers[2][24];
	const char *parameters[] = {numbers[0], numbers[1], export->parameter[0]};
	char path[GA_TILE_PATH_MAX_BYTES];
	PGresult *result;
	const uint8_t *hashes;
	size_t bytes;
	bool ok = true;

	snprintf(numbers[0], sizeof(numbers[0]), "%d", level);
	snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu64, index);
	(void) ga_tile_path(level, index, width, path, sizeof(path));
	result = ga_server_ask(&export->server,
	                       "SELECT goldenarch.audit_tile($1::pg_catalog.int4, $2::pg_catalog.int8, "
	                       "$3::pg_catalog.int4) AS hashes",
	                       3, parameters);
	/* a log that lacks a tile is exported all the same: the check says what that means */
	if (result == NULL)
		return export->server.status(export->server.connection) == CONNECTION_OK;
	hashes = ga_server_bytes(&export->server, result, 0, "hashes", &bytes);
	if (hashes == NULL || bytes < (size_t) width * GA_HASH_BYTES)
		fprintf(stderr, "goldenarch-verify: the server has no %s\n", path);
	else if (!ga_file_write(export->tree, path, hashes, (size_t) width * GA_HASH_BYTES))
		ok = complain_file(path);
	export->server.clear(result);
	return ok;
}

static bool
export_tiles(Export *export)
{
	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		uint64_t index = export->state.leaf >> (8 * level) >> 8;
		int width;

		for (; (width = ga_tile_width(export->size, level, index)) > 0; index++)
		{
			if (width == GA_TILE_WIDTH && level == 0 &&
			    (index + 1) * GA_TILE_WIDTH <= export->at->minimum)
				continue;
			if (!export_tile(export, level, index, width))
				return false;
		}
	}
	return true;
}

/* *last: the note of the last head, to be freed; NULL where there was none. */
static bool
export_heads(Export *export, char **last)
{
	FILE *heads = open_growing(export->tree, "heads", export->state.heads_bytes);
	const char *parameters[] = {export->parameter[0], export->parameter[1]};
	bool ok = heads != NULL;
	int rows = 1;

	while (ok && rows > 0)
	{
		PGresult *page;

		snprintf(export->parameter[1], sizeof(export->parameter[1]), "%" PRId64,
		         export->state.head);
		page = ga_server_ask(&export->server,
		                     "SELECT head_id, tree_size, note FROM goldenarch.audit_export_heads("
		                     "$1::pg_catalog.int4, $2::pg_catalog.int8, 1000)",
		                     2, parameters);
		rows = page != NULL ? export->server.rows(page) : 0;
		ok = page != NULL;
		for (int row = 0; ok && row < rows; row++)
		{
			size_t bytes;
			int64_t size;
			int64_t id;
			const uint8_t *note = ga_server_bytes(&export->server, page, row, "note", &bytes);
			char *line = note != NULL ? ga_head_line_write((const char *) note) : NULL;

			(void) ga_server_int8(&export->server, page, row, "tree_size", &size);
			(void) ga_server_int8(&export->server, page, row, "head_id", &id);
			/* newer than the checkpoint: for the next time */
			if ((uint64_t) size > export->size || id <= export->state.head)
			{
				rows = 0;
				free(line);
				break;
			}
			ok = line != NULL && fprintf(heads, "%s\n", line) > 0;
			free(line);
			free(*last);
			*last = note != NULL ? strdup((const char *) note) : NULL;
			export->state.head = id;
		}
		export->server.clear(page);
	}
	if (heads != NULL)
		export->state.heads_bytes = (uint64_t) ftello(heads);
	if (heads != NULL && fclose(heads) != 0)
		ok = false;
	return ok || complain("the heads could not be exported");
}

/* ---- trees ---- */

/* The size of an earlier tree's last head: what its own checkpoint will be. */
static char *
last_note(Export *export)
{
	char *last = NULL;
	State begin = export->state;

	/* the pass that writes them finds it */
	if (!export_heads(export, &last))
		return NULL;
	if (last == NULL && begin.head > 0)
	{
		char *kept = calloc(1, GA_NOTE_READ_MAX_BYTES);
		size_t bytes;

		if (kept != NULL && ga_file_read(export->tree, "checkpoint", kept,
		                                 GA_NOTE_READ_MAX_BYTES - 1, &bytes) == GA_FILE_OK)
			return kept;
		free(kept);
	}
	if (last == NULL)
		(void) complain("an incarnation has no head");
	return last;
}

static bool
begin_tree(Export *export, const Incarnation *at, int folder)
{
	struct stat about;

	export->at = at;
	export->tree = folder;
	export->size = at->size;
	snprintf(export->parameter[0], sizeof(export->parameter[0]), "%" PRId64, at->number);
	if (!read_state(folder, &export->state))
	{
		if (fstatat(folder, "checkpoint", &about, 0) == 0)
			return complain("the folder holds a log that is no export of ours");
		export->state.incarnation = (int) at->number;
		export->state.details = export->details;
	}
	if (export->state.details != (int) export->details)
		return complain("the folder was exported with another choice of --details");
	if (export->state.leaf > export->size)
		return complain("truncated: the folder holds more of the log than the server has");
	return true;
}

/* What DIR holds from which leaf on: an earlier export may reach further down than the server. */
static void
settle_minimum(Export *export, int i, uint64_t from)
{
	uint64_t kept = i < export->nminimum ? export->minimum[i] : 0;
	bool joined = export->state.leaf > 0 && from == export->state.leaf;

	if (!joined || i >= export->nminimum)
		export->minimum[i] = export->at->minimum;
	else
		export->minimum[i] = kept;
}

/* note: the checkpoint; NULL: the last head of the tree, which no longer grows. */
static bool
export_tree(Export *export, int i, const char *note)
{
	char *last = NULL;
	GaCheckpoint *head = malloc(sizeof(*head));
	uint64_t base = export->at->minimum / GA_TILE_WIDTH * GA_TILE_WIDTH;
	uint64_t from = export->state.leaf > base ? export->state.leaf : base;
	bool ok = head != NULL;

	if (note == NULL)
		note = last = last_note(export);
	ok = ok && note != NULL;
	if (ok && !ga_checkpoint_parse(note, strlen(note), head))
		ok = complain("the server's checkpoint is none");
	if (ok && head->size < export->state.leaf)
		ok = complain("truncated: the folder holds more of the log than the server's checkpoint");
	if (ok)
	{
		export->size = head->size;
		settle_minimum(export, i, from);
	}
	if (ok && export->details)
	{
		export->openings = open_growing(export->tree, "openings", export->state.openings_bytes);
		ok = export->openings != NULL;
	}
	ok = ok && export_entries(export, from);
	if (export->openings != NULL && fclose(export->openings) != 0)
		ok = complain_file("openings");
	export->openings = NULL;
	ok = ok && export_tiles(export);
	if (ok && last == NULL)
		ok = export_heads(export, &last);
	free(last == note ? NULL : last);
	if (ok && !ga_file_write(export->tree, "checkpoint", note, strlen(note)))
		ok = complain_file("checkpoint");
	export->state.leaf = export->size / GA_TILE_WIDTH * GA_TILE_WIDTH;
	ok = ok && write_state(export->tree, &export->state);
	if (last == note)
		free(last);
	free(head);
	return ok;
}

static bool
export_earlier(Export *export)
{
	for (int i = 0; i < export->n - 1; i++)
	{
		char path[GA_FOLDER_PATH_MAX];
		int folder;
		bool ok;

		snprintf(path, sizeof(path), "incarnation/%d", i + 1);
		folder = ga_folder_make(export->folder, path);
		if (folder < 0)
			return complain_file(path);
		ok = begin_tree(export, &export->incarnations[i], folder) && export_tree(export, i, NULL);
		close(folder);
		if (!ok)
			return false;
	}
	return true;
}

static bool
read_incarnations(Export *export)
{
	PGresult *result = ga_server_ask(&export->server,
	                                 "SELECT incarnation, origin, size, minimum_index, "
	                                 "pg_catalog.array_to_string(vkeys, E'\\n') AS vkeys FROM "
	                                 "goldenarch.audit_incarnations()",
	                                 0, NULL);
	char keys[256 * 1024];
	size_t at = 0;
	bool ok = result != NULL;

	export->n = ok ? export->server.rows(result) : 0;
	if (ok && (export->n < 1 || export->n > GA_INCARNATIONS_MAX))
		ok = complain("nothing was sealed yet");
	for (int i = 0; ok && i < export->n; i++)
	{
		Incarnation *to = &export->incarnations[i];
		size_t bytes;
		const uint8_t *text = ga_server_bytes(&export->server, result, i, "origin", &bytes);
		int64_t size;
		int64_t minimum;

		ok = text != NULL && bytes < sizeof(to->origin) &&
		     ga_server_int8(&export->server, result, i, "incarnation", &to->number) &&
		     ga_server_int8(&export->server, result, i, "size", &size) &&
		     ga_server_int8(&export->server, result, i, "minimum_index", &minimum) &&
		     to->number == i + 1 && size >= 0 && minimum >= 0;
		if (!ok)
			return complain("the server's incarnations are not 1, 2, 3 and so on");
		memcpy(to->origin, text, bytes + 1);
		to->size = (uint64_t) size;
		to->minimum = (uint64_t) minimum;
		text = ga_server_bytes(&export->server, result, i, "vkeys", &bytes);
		if (text != NULL && bytes > 0 && bytes + 1 < sizeof(keys) - at)
		{
			memcpy(keys + at, text, bytes);
			at += bytes;
			keys[at++] = '\n';
		}
	}
	export->server.clear(result);
	return ok && (ga_file_write(export->folder, "keys", keys, at) || complain_file("keys"));
}

/* The head that the export is of, to be freed. */
static char *
read_checkpoint(Export *export)
{
	const Incarnation *last = &export->incarnations[export->n - 1];
	char *note = NULL;
	PGresult *result;
	const uint8_t *text;
	size_t bytes;

	/* so that the rows that tell of what was pruned are in it; a standby cannot */
	result = ga_server_ask(&export->server, "SELECT goldenarch.audit_seal()", 0, NULL);
	export->server.clear(result);
	result = ga_server_ask(&export->server,
	                       "SELECT origin, note FROM goldenarch.audit_checkpoint()", 0, NULL);
	text = result != NULL ? ga_server_bytes(&export->server, result, 0, "origin", &bytes) : NULL;
	if (text != NULL && strcmp((const char *) text, last->origin) == 0)
	{
		text = ga_server_bytes(&export->server, result, 0, "note", &bytes);
		note = text != NULL ? strdup((const char *) text) : NULL;
	}
	if (note == NULL)
		(void) complain("the server has no head of its last incarnation yet; try again");
	export->server.clear(result);
	return note;
}

static bool
prepare_session(Export *export)
{
	static const char *const settings[] = {"SET client_encoding = 'UTF8'",
	                                       "SET search_path = pg_catalog"};
	const char *token = getenv("GOLDENARCH_TOKEN");
	PGresult *result;

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
	{
		result = ga_server_ask(&export->server, settings[i], 0, NULL);
		if (result == NULL)
			return false;
		export->server.clear(result);
	}
	if (token == NULL || *token == '\0')
		return true;
	result = ga_server_ask(&export->server, "SELECT goldenarch.authenticate($1, true)", 1, &token);
	if (result == NULL)
		return false;
	export->server.clear(result);
	return true;
}

static bool
export_all(Export *export)
{
	State state;
	char *note = NULL;
	bool ok = prepare_session(export) && read_incarnations(export);

	if (ok && (note = read_checkpoint(export)) == NULL)
		ok = false;
	if (ok && read_state(export->folder, &state) && state.incarnation > export->n)
		ok = complain("truncated: the folder holds an incarnation that the server does not have");
	else if (ok && read_state(export->folder, &state) && state.incarnation < export->n)
		ok = move_down(export, state.incarnation);
	ok = ok && export_earlier(export) &&
	     begin_tree(export, &export->incarnations[export->n - 1], export->folder) &&
	     export_tree(export, export->n - 1, note);
	if (ok && !ga_export_write(export->folder, export->minimum, export->n))
		ok = complain_file(GA_EXPORT_FILE);
	if (ok && export->skipped > 0)
		fprintf(stderr,
		        "goldenarch-verify: the details of %" PRIu64
		        " entries are too long or no UTF-8, and were left out\n",
		        export->skipped);
	free(note);
	return ok;
}

bool
ga_export(const char *dsn, const char *path, bool details)
{
	Export *export = calloc(1, sizeof(*export));
	bool ok;

	if (export == NULL)
		return complain("out of memory");
	export->details = details;
	export->bundle = malloc((size_t) GA_TILE_WIDTH * (2 + ENTRY_MAX));
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		ok = complain_file(path);
	else
	{
		export->folder = ga_folder_open(path);
		export->nminimum =
		    export->folder >= 0 ? ga_export_read(export->folder, export->minimum) : 0;
		ok = export->folder >= 0 || complain_file(path);
		ok = ok && export->bundle != NULL && ga_server_connect(&export->server, dsn) &&
		     export_all(export);
		ga_server_close(&export->server);
		if (export->folder >= 0)
			close(export->folder);
	}
	free(export->bundle);
	free(export);
	return ok;
}
