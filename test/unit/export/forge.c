/* SPDX-License-Identifier: PostgreSQL */
/* forge.c: see forge.h. */
#include "forge.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "merkle.h"
#include "openings.h"
#include "tile.h"

typedef struct Taker
{
	int folder;
	bool write;
} Taker;

uint8_t forge_seed[GA_ED25519_KEY_BYTES];

void
forge_must(bool ok)
{
	if (!ok)
	{
		perror("forge");
		abort();
	}
}

static int
remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
	(void) about;
	(void) kind;
	(void) walk;
	return remove(path);
}

void
forge_remove(const char *at)
{
	(void) nftw(at, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
forge_folder(const char *at)
{
	int folder;

	forge_remove(at);
	forge_must(mkdir(at, 0700) == 0);
	folder = ga_folder_open(at);
	forge_must(folder >= 0);
	return folder;
}

void
forge_init(ForgedLog *log)
{
	static const int heads[] = {5, 100, 256, 300, 300};

	memset(log, 0, sizeof(*log));
	log->origin = ORIGIN_1;
	snprintf(log->link, sizeof(log->link), "none 0 -");
	log->n = 300;
	log->altered = log->left_out = log->twice = log->reordered = log->other_details = -1;
	memcpy(log->seed, forge_seed, sizeof(forge_seed));
	log->first_id = 1000;
	memcpy(log->heads, heads, sizeof(heads));
	log->nheads = 5;
}

static void
salt_of(const ForgedLog *log, int leaf, uint8_t salt[GA_SALT_BYTES])
{
	memset(salt, leaf & 255, GA_SALT_BYTES);
	salt[0] = (uint8_t) (log->first_id & 255);
}

static void
details_of(int leaf, char details[64])
{
	snprintf(details, 64, "{\"n\": %d, \"name\": \"\xc3\xa4\"}", leaf);
}

static size_t
entry_of(const ForgedLog *log, int i, uint8_t *bytes)
{
	/* what was left out is made up for by one more at the end */
	int leaf = log->left_out >= 0 && i >= log->left_out ? i + 1 : i;
	uint8_t commitment[GA_HASH_BYTES];
	uint8_t salt[GA_SALT_BYTES];
	char details[64];
	bool pruning = leaf == 270 && log->pruning[0] != '\0';
	GaEntry entry;

	salt_of(log, leaf, salt);
	details_of(leaf, details);
	forge_must(ga_commitment(salt, details, strlen(details), commitment));
	ga_entry_begin(&entry, bytes, GA_ENTRY_MAX_BYTES);
	ga_entry_int(&entry, GA_ENTRY_ID, (int64_t) log->first_id + leaf - (log->twice == leaf));
	ga_entry_int(&entry, GA_ENTRY_XID, 700 + leaf / 3);
	ga_entry_int(&entry, GA_ENTRY_ORDINAL, leaf % 3 + 1 - (log->reordered == leaf));
	ga_entry_time(&entry, GA_ENTRY_AT, (FORGE_T0 + leaf) * 1000000);
	ga_entry_text(&entry, GA_ENTRY_SUBJECT, log->altered == leaf ? "nobody" : "somebody");
	ga_entry_text(&entry, GA_ENTRY_ACTION,
	              leaf == 0 ? GA_ACTION_LINK
	              : pruning ? GA_ACTION_PRUNE
	                        : "task.submit");
	ga_entry_text(&entry, GA_ENTRY_RESOURCE_TYPE, leaf == 0 || pruning ? "audit tree" : "task");
	ga_entry_text(&entry, GA_ENTRY_RESOURCE_ID,
	              leaf == 0 ? log->link
	              : pruning ? log->pruning
	                        : "7");
	ga_entry_text(&entry, GA_ENTRY_OUTCOME, "ok");
	ga_entry_bytes(&entry, GA_ENTRY_DETAILS, commitment, sizeof(commitment));
	forge_must(ga_entry_finish(&entry) > 0);
	return entry.bytes;
}

static void
write_bundles(const ForgedLog *log, int folder)
{
	static uint8_t bundle[GA_TILE_WIDTH * (2 + GA_ENTRY_MAX_BYTES)];
	char path[GA_TILE_PATH_MAX_BYTES];

	for (int first = log->pruned ? 256 : 0; first < log->n; first += GA_TILE_WIDTH)
	{
		int width = ga_tile_width((uint64_t) log->n, 0, (uint64_t) first / GA_TILE_WIDTH);
		size_t at = 0;

		for (int i = first; i < first + width; i++)
		{
			size_t bytes = entry_of(log, i, bundle + at + 2);

			bundle[at] = (uint8_t) (bytes >> 8);
			bundle[at + 1] = (uint8_t) bytes;
			at += 2 + bytes;
		}
		forge_must(ga_tile_path(-1, (uint64_t) first / GA_TILE_WIDTH, width, path, sizeof(path)));
		forge_must(ga_file_write(folder, path, bundle, at));
	}
}

static bool
write_tile(void *context, int level, uint64_t index, const uint8_t hashes[GA_TILE_BYTES])
{
	const Taker *taker = context;
	char path[GA_TILE_PATH_MAX_BYTES];

	return !taker->write || (ga_tile_path(level, index, GA_TILE_WIDTH, path, sizeof(path)) &&
	                         ga_file_write(taker->folder, path, hashes, GA_TILE_BYTES));
}

static void
write_partial_tiles(const GaTileEdge *edge, int folder)
{
	char path[GA_TILE_PATH_MAX_BYTES];

	for (int level = 0; level < GA_TILE_LEVELS; level++)
	{
		uint64_t last = edge->size >> (8 * level) >> 8;
		int width = ga_tile_width(edge->size, level, last);

		if (width == 0)
			continue;
		forge_must(ga_tile_path(level, last, width, path, sizeof(path)));
		forge_must(
		    ga_file_write(folder, path, edge->hashes[level], (size_t) width * GA_HASH_BYTES));
	}
}

static size_t
sign(const ForgedLog *log, const GaTileEdge *edge, int64_t time, char note[GA_NOTE_MAX_BYTES])
{
	uint8_t root[GA_HASH_BYTES];
	char body[400];
	size_t bytes;

	forge_must(ga_edge_root(edge, root));
	bytes = ga_checkpoint_body(log->origin, edge->size, root, body, sizeof(body));
	bytes = ga_checkpoint_sign(body, bytes, log->origin,
	                           (const uint8_t(*)[GA_ED25519_KEY_BYTES]) log->seed, 1, time, note,
	                           GA_NOTE_MAX_BYTES);
	forge_must(bytes > 0);
	return bytes;
}

static void
write_openings(const ForgedLog *log, int folder)
{
	static char text[LEAVES_MAX * 200];
	size_t at = 0;

	for (int i = log->pruned ? 256 : 0; i < log->n; i++)
	{
		uint8_t salt[GA_SALT_BYTES];
		char details[64];
		char *line;

		if (i % 10 == 9)
			continue; /* erased */
		salt_of(log, i, salt);
		details_of(log->other_details == i ? i + 1 : i, details);
		line = ga_opening_line(i, salt, details);
		forge_must(line != NULL);
		at += (size_t) snprintf(text + at, sizeof(text) - at, "%s\n", line);
		free(line);
	}
	forge_must(ga_file_write(folder, "openings", text, at));
}

/* heads are 30 s apart; the last is the checkpoint */
void
forge_write(ForgedLog *log, int folder, int what)
{
	static GaTileEdge edge;
	static char heads[8 * 2000];
	Taker taker = {folder, (what & WRITE_TILES) != 0};
	char note[GA_NOTE_MAX_BYTES];
	uint8_t entry[GA_ENTRY_MAX_BYTES];
	uint8_t leaf[GA_HASH_BYTES];
	size_t at = 0;
	size_t bytes = 0;
	int head = 0;

	ga_edge_init(&edge);
	for (int i = 0; i <= log->n; i++)
	{
		for (; head < log->nheads && log->heads[head] == i; head++)
		{
			char *line;

			bytes = sign(log, &edge, FORGE_T0 + 30 * head, note);
			line = ga_head_line_write(note);
			at += (size_t) snprintf(heads + at, sizeof(heads) - at, "%s\n", line);
			free(line);
		}
		if (i == log->n)
			break;
		forge_must(ga_merkle_leaf(entry, entry_of(log, i, entry), leaf));
		forge_must(ga_edge_append(&edge, leaf, write_tile, &taker));
	}
	forge_must(ga_edge_root(&edge, log->root));
	if (what & WRITE_TILES)
		write_partial_tiles(&edge, folder);
	if (what & WRITE_ENTRIES)
		write_bundles(log, folder);
	if (what & WRITE_HEADS)
		forge_must(ga_file_write(folder, "heads", heads, at));
	if (what & WRITE_CHECKPOINT)
		forge_must(ga_file_write(folder, "checkpoint", note, bytes));
	if (what & WRITE_OPENINGS)
		write_openings(log, folder);
}

void
forge_manifest(int folder, int incarnations, uint64_t last_minimum)
{
	uint64_t minimum[3] = {0, 0, 0};
	static const char *const origins[] = {ORIGIN_1, ORIGIN_2};
	char keys[2 * GA_VKEY_MAX_BYTES];
	size_t at = 0;

	minimum[incarnations - 1] = last_minimum;
	forge_must(ga_export_write(folder, minimum, incarnations));
	for (int i = 0; i < incarnations; i++)
	{
		GaNoteKey key;

		snprintf(key.name, sizeof(key.name), "%s", origins[i]);
		forge_must(ga_note_public_key(forge_seed, key.key));
		forge_must(ga_vkey_format(&key, keys + at, sizeof(keys) - at));
		at += strlen(keys + at);
		keys[at++] = '\n';
	}
	forge_must(ga_file_write(folder, "keys", keys, at));
}
