/* SPDX-License-Identifier: PostgreSQL */
/*
 * export_check.c: goldenarch-verify's check against exports that this program writes and forges: a
 * table of tamperings with the finding that each must give, then every byte of a small export.
 * With a folder as its argument it only writes an honest export there, and the key beside it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "forge.h"
#include "tile.h"
#include "unit.h"

static uint8_t other_seed[GA_ED25519_KEY_BYTES];
static char base[] = "/tmp/goldenarch-check-XXXXXX";
static GaCheck check;

static void
check_begin(const char *origin)
{
	ga_check_free(&check);
	check.now = FORGE_T0 + 150;
	check.max_age = 120;
	check.trust.keys = calloc(1, sizeof(GaNoteKey));
	forge_must(check.trust.keys != NULL);
	check.trust.n = 1;
	snprintf(check.trust.keys[0].name, sizeof(check.trust.keys[0].name), "%s", origin);
	forge_must(ga_note_public_key(forge_seed, check.trust.keys[0].key));
}

/* The head of an honest log at this place of its history. */
static void
add_anchor(const char *folder_note)
{
	char path[100];
	char why[GA_WHY_MAX];

	snprintf(path, sizeof(path), "%s/%s", base, folder_note);
	check.anchored = true;
	forge_must(ga_anchors_read(&check.anchors, &check.trust, path, why));
}

static const GaFinding *
find(const char *name, int incarnation)
{
	for (size_t i = 0; i < check.report.nfindings; i++)
	{
		const GaFinding *finding = &check.report.findings[i];

		if (strcmp(finding->check, name) == 0 && finding->incarnation == incarnation)
			return finding;
	}
	return NULL;
}

/* The honest log again, as it stands in the folder; changed and written in part by the attacker. */
typedef struct Attack
{
	const char *name;
	void (*act)(ForgedLog *log, int folder);
	const char *check; /* NULL: nothing is bad */
	const char *word;  /* in its detail */
	int leaf;          /* -1: none */
	int id;            /* -1: none */
	const char *good;  /* a check that must still be good; NULL: none */
	bool anchored;     /* the user has the honest log's heads */
} Attack;

static void
act_nothing(ForgedLog *log, int folder)
{
	(void) log;
	(void) folder;
}

static void
act_edit_payload(ForgedLog *log, int folder)
{
	log->altered = 42;
	forge_write(log, folder, WRITE_ENTRIES);
}

static void
act_edit_last_payload(ForgedLog *log, int folder)
{
	log->altered = 290;
	forge_write(log, folder, WRITE_ENTRIES);
}

static void
act_edit_leaf(ForgedLog *log, int folder)
{
	uint8_t tile[GA_TILE_BYTES];
	size_t bytes;

	(void) log;
	forge_must(ga_file_read(folder, "tile/0/000", tile, sizeof(tile), &bytes) == GA_FILE_OK);
	tile[42 * GA_HASH_BYTES] ^= 1;
	forge_must(ga_file_write(folder, "tile/0/000", tile, bytes));
}

static void
act_edit_leaf_and_above(ForgedLog *log, int folder)
{
	log->altered = 42;
	forge_write(log, folder, WRITE_TILES);
}

static void
act_edit_edge(ForgedLog *log, int folder)
{
	log->altered = 290;
	forge_write(log, folder, WRITE_TILES);
}

static void
act_rewrite(ForgedLog *log, int folder)
{
	log->altered = 120;
	forge_write(log, folder, WRITE_ENTRIES | WRITE_TILES | WRITE_OPENINGS);
}

static void
act_stolen_key(ForgedLog *log, int folder)
{
	log->altered = 120;
	forge_write(log, folder, WRITE_ALL);
}

static void
act_wrong_key(ForgedLog *log, int folder)
{
	memcpy(log->seed, other_seed, sizeof(other_seed));
	log->altered = 120;
	forge_write(log, folder, WRITE_ALL);
}

static void
act_drop_row(ForgedLog *log, int folder)
{
	log->left_out = 50;
	forge_write(log, folder, WRITE_ENTRIES | WRITE_TILES);
}

static void
act_drop_tail(ForgedLog *log, int folder)
{
	(void) log;
	forge_must(unlinkat(folder, "tile/entries/001.p/44", 0) == 0);
}

static void
act_drop_partition(ForgedLog *log, int folder)
{
	(void) log;
	forge_must(unlinkat(folder, "tile/entries/000", 0) == 0);
}

static void
act_drop_tail_whole(ForgedLog *log, int folder)
{
	act_drop_tail(log, folder);
	forge_must(unlinkat(folder, "tile/0/001.p/44", 0) == 0);
}

static void
act_drop_tile(ForgedLog *log, int folder)
{
	(void) log;
	forge_must(unlinkat(folder, "tile/0/000", 0) == 0);
}

static void
act_rewind(ForgedLog *log, int folder)
{
	log->n = 256;
	log->nheads = 3;
	forge_write(log, folder, WRITE_ALL);
}

static void
act_replay_checkpoint(ForgedLog *log, int folder)
{
	log->n = 256;
	log->nheads = 3;
	forge_write(log, folder, WRITE_CHECKPOINT | WRITE_TILES | WRITE_OPENINGS);
}

static void
act_two_primaries(ForgedLog *log, int folder)
{
	char *ours = calloc(1, 20000);
	char *theirs = calloc(1, 20000);
	size_t bytes;
	size_t more;

	forge_must(ours != NULL && theirs != NULL);
	forge_must(ga_file_read(folder, "heads", ours, 10000, &bytes) == GA_FILE_OK);
	log->altered = 280;
	forge_write(log, folder, WRITE_HEADS);
	forge_must(ga_file_read(folder, "heads", theirs, 10000, &more) == GA_FILE_OK);
	/* the other's last head behind our own */
	theirs[more - 1] = '\0';
	memcpy(ours + bytes, strrchr(theirs, '\n') + 1, strlen(strrchr(theirs, '\n') + 1));
	bytes += strlen(strrchr(theirs, '\n') + 1);
	ours[bytes++] = '\n';
	forge_must(ga_file_write(folder, "heads", ours, bytes));
	free(ours);
	free(theirs);
}

static void
act_same_id(ForgedLog *log, int folder)
{
	log->twice = 77;
	forge_write(log, folder, WRITE_ALL);
}

static void
act_same_ordinal(ForgedLog *log, int folder)
{
	log->reordered = 77;
	forge_write(log, folder, WRITE_ALL);
}

static void
act_other_details(ForgedLog *log, int folder)
{
	log->other_details = 33;
	forge_write(log, folder, WRITE_OPENINGS);
}

static void
act_no_link(ForgedLog *log, int folder)
{
	snprintf(log->link, sizeof(log->link), "none 0");
	forge_write(log, folder, WRITE_ALL);
}

static void
act_hide_parent(ForgedLog *log, int folder)
{
	snprintf(log->link, sizeof(log->link),
	         "goldenarch/before 20 "
	         "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
	forge_write(log, folder, WRITE_ALL);
}

static void
act_stop(ForgedLog *log, int folder)
{
	(void) log;
	(void) folder;
	check.now = FORGE_T0 + 500;
}

static void
act_silence(ForgedLog *log, int folder)
{
	(void) log;
	(void) folder;
	check.now = FORGE_T0 - 1000;
}

static void
act_link_out(ForgedLog *log, int folder)
{
	(void) log;
	forge_must(renameat(folder, "tile/entries/000", folder, "elsewhere") == 0);
	forge_must(symlinkat("../../elsewhere", folder, "tile/entries/000") == 0);
}

static void
act_fifo(ForgedLog *log, int folder)
{
	(void) log;
	forge_must(unlinkat(folder, "heads", 0) == 0);
	forge_must(mkfifoat(folder, "heads", 0600) == 0);
}

static void
act_long_line(ForgedLog *log, int folder)
{
	char *text = malloc(2000000);

	(void) log;
	forge_must(text != NULL);
	memset(text, 'a', 2000000);
	forge_must(ga_file_write(folder, "heads", text, 2000000));
	free(text);
}

static const Attack attacks[] = {
    {"nothing", act_nothing, NULL, NULL, -1, -1, "heads", true},
    {"edit a payload", act_edit_payload, "entries", "not the one", 42, 1042, "root", false},
    {"edit one of the last", act_edit_last_payload, "entries", "not the one", 290, 1290, "tiles",
     false},
    {"edit a stored leaf", act_edit_leaf, "tiles", "stored leaf", 42, 1042, "entries", false},
    {"edit a leaf and the hash above", act_edit_leaf_and_above, "tiles", "level 1", 0, -1,
     "entries", false},
    {"edit the edge", act_edit_edge, "tiles", "stored leaf", 290, 1290, "entries", false},
    {"rewrite entries and tiles", act_rewrite, "root", "another root", 100, -1, "signature", false},
    {"rewrite, seen by heads", act_rewrite, "heads", "fork", 100, -1, "entries", false},
    {"re-sign with a stolen key", act_stolen_key, "anchors", "fork", 100, -1, "signature", true},
    {"re-sign with another key", act_wrong_key, "signature", "key unknown", -1, -1, "root", false},
    {"delete a row", act_drop_row, "heads", "fork", 5, -1, "tiles", false},
    {"delete the tail", act_drop_tail, "leaves", "truncated", 256, -1, "root", false},
    {"delete a partition", act_drop_partition, "leaves", "missing", 0, -1, "root", false},
    {"delete the tail and its tile", act_drop_tail_whole, "leaves", "truncated", 256, -1,
     "signature", false},
    {"delete a tile", act_drop_tile, "tiles", "missing", 0, -1, "root", false},
    {"rewind data and heads", act_rewind, "anchors", "truncated", 256, -1, "root", true},
    {"replay an old checkpoint", act_replay_checkpoint, "heads", "truncated", 256, -1, "root",
     false},
    {"two primaries", act_two_primaries, "heads", "fork", 300, -1, "root", false},
    {"one id twice", act_same_id, "rules", "twice", 77, 1076, "root", false},
    {"one ordinal twice", act_same_ordinal, "rules", "behind", 77, 1077, "root", false},
    {"other details", act_other_details, "commitments", "not those", 33, 1033, "root", false},
    {"a first leaf that is no link", act_no_link, "link", "does not name", 0, -1, "root", false},
    {"hide the tree before", act_hide_parent, "link", "truncated", 0, -1, "root", false},
    {"stop the sealer", act_stop, "age", "stale", -1, -1, "root", false},
    {"a head from the future", act_silence, "age", "future", -1, -1, "root", false},
    {"a link for a file", act_link_out, "entries", "cannot be read", 0, -1, "root", false},
    {"a pipe for a file", act_fifo, "heads", "cannot be read", -1, -1, "root", false},
    {"a line without an end", act_long_line, "heads", "too long", -1, -1, "root", false},
};

static void
run_attack(const Attack *attack)
{
	ForgedLog log;
	int folder = forge_folder(base);
	const GaFinding *found;
	bool right;

	forge_init(&log);
	forge_write(&log, folder, WRITE_ALL);
	forge_manifest(folder, 1, 0);
	check_begin(ORIGIN_1);
	if (attack->anchored)
		add_anchor("heads");
	attack->act(&log, folder);
	ga_check_folder(&check, folder);
	close(folder);
	if (attack->check == NULL)
		right = ga_report_verdict(&check.report) == GA_OK;
	else
	{
		found = find(attack->check, 1);
		right = found != NULL && found->verdict == GA_BAD && found->leaf == attack->leaf &&
		        found->id == attack->id && strstr(found->detail, attack->word) != NULL;
	}
	found = attack->good != NULL ? find(attack->good, 1) : NULL;
	right = right && (attack->good == NULL || (found != NULL && found->verdict == GA_OK));
	CHECK(right);
	if (!right)
	{
		printf("%s:\n", attack->name);
		ga_report_text(&check.report, stdout);
	}
}

/* Two incarnations; what the second says of the first. */
static void
write_two(int folder, int first_size, const char *said_origin, int said_size, bool said_root)
{
	ForgedLog first;
	ForgedLog second;
	int below = ga_folder_make(folder, "incarnation/1");
	char root[2 * GA_HASH_BYTES + 1];

	forge_must(below >= 0);
	forge_init(&first);
	first.n = first_size;
	first.nheads = 2;
	first.heads[1] = first_size;
	first.first_id = 1;
	forge_write(&first, below, WRITE_ALL);
	close(below);
	forge_init(&second);
	second.origin = ORIGIN_2;
	if (!said_root)
		first.root[0] ^= 1;
	ga_hex_write(first.root, GA_HASH_BYTES, root);
	snprintf(second.link, sizeof(second.link), "%s %d %s", said_origin, said_size, root);
	forge_write(&second, folder, WRITE_ALL);
	forge_manifest(folder, 2, 0);
}

static void
run_two(const char *trusted, int first_size, const char *said_origin, int said_size, bool said_root,
        const char *name, int incarnation, GaVerdict verdict, const char *word)
{
	int folder = forge_folder(base);
	const GaFinding *found;
	bool right;

	write_two(folder, first_size, said_origin, said_size, said_root);
	check_begin(trusted);
	ga_check_folder(&check, folder);
	close(folder);
	found = find(name, incarnation);
	right = found != NULL && found->verdict == verdict && strstr(found->detail, word) != NULL;
	CHECK(right);
	CHECK(ga_report_verdict(&check.report) == verdict);
	if (!right)
		ga_report_text(&check.report, stdout);
}

static void
check_incarnations(void)
{
	run_two(ORIGIN_2, 20, ORIGIN_1, 20, true, "link", 2, GA_OK, "names size and root");
	run_two(ORIGIN_1, 20, ORIGIN_1, 20, true, "signature", 2, GA_BAD, "key unknown");
	run_two(ORIGIN_2, 20, ORIGIN_1, 21, true, "link", 2, GA_BAD, "truncated");
	run_two(ORIGIN_2, 20, ORIGIN_1, 19, true, "link", 2, GA_BAD, "fork");
	run_two(ORIGIN_2, 20, ORIGIN_1, 20, false, "link", 2, GA_BAD, "fork");
	run_two(ORIGIN_2, 20, ORIGIN_2, 20, true, "link", 2, GA_BAD, "follows");
}

static void
write_pruned(int folder, uint64_t minimum, bool said, GaVerdict verdict)
{
	ForgedLog log;
	char root[2 * GA_HASH_BYTES + 1];

	forge_init(&log);
	log.n = 256;
	log.nheads = 3;
	forge_write(&log, folder, 0);
	ga_hex_write(log.root, GA_HASH_BYTES, root);
	forge_init(&log);
	snprintf(log.pruning, sizeof(log.pruning), "%s 256 %s", ORIGIN_1, said ? root : "-");
	log.heads[0] = log.heads[1] = 256; /* those of sizes that were pruned are gone */
	log.pruned = true;
	forge_write(&log, folder, WRITE_ALL);
	forge_manifest(folder, 1, minimum);
	(void) unlinkat(folder, "tile/0/000", 0);
	check_begin(ORIGIN_1);
	ga_check_folder(&check, folder);
	CHECK(find("root", 1) != NULL && (minimum != 256 || find("root", 1)->verdict == GA_OK));
	CHECK(find("leaves", 1) != NULL && find("leaves", 1)->verdict == verdict);
	if (find("leaves", 1)->verdict != verdict)
		ga_report_text(&check.report, stdout);
	if (verdict == GA_OK) /* all but the link, which was in the first leaf */
		CHECK(ga_report_verdict(&check.report) == GA_UNKNOWN);
}

static void
check_pruned(void)
{
	int folder = forge_folder(base);

	write_pruned(folder, 256, true, GA_OK);
	write_pruned(folder, 256, false, GA_BAD);
	write_pruned(folder, 255, true, GA_BAD);
	write_pruned(folder, 257, true, GA_BAD);
	write_pruned(folder, 0, true, GA_BAD);
	write_pruned(folder, 512, true, GA_BAD);
	close(folder);
}

/* What files a small export has; every byte of each is changed once, and each is cut off. */
static const char *const small_files[] = {
    "checkpoint",          "heads", "openings", "keys", "export.json", "tile/0/000.p/7",
    "tile/entries/000.p/7"};

static bool
accepted(int folder)
{
	check_begin(ORIGIN_1);
	ga_check_folder(&check, folder);
	return ga_report_verdict(&check.report) == GA_OK;
}

static void
check_every_byte(void)
{
	static char text[10000];
	ForgedLog log;
	int folder = forge_folder(base);
	uint64_t random = 5;
	int wrong = 0;

	forge_init(&log);
	log.n = 7;
	log.nheads = 2;
	log.heads[1] = 7;
	forge_write(&log, folder, WRITE_ALL);
	forge_manifest(folder, 1, 0);
	CHECK(accepted(folder));
	for (size_t f = 0; f < sizeof(small_files) / sizeof(*small_files); f++)
	{
		size_t bytes;

		forge_must(ga_file_read(folder, small_files[f], text, sizeof(text), &bytes) == GA_FILE_OK);
		for (size_t i = 0; i < bytes; i++)
		{
			char was = text[i];

			text[i] = (char) (was ^ (1 << unit_random(&random) % 8));
			forge_must(ga_file_write(folder, small_files[f], text, bytes));
			if (accepted(folder))
			{
				printf("%s: byte %zu, %02x for %02x, is accepted\n", small_files[f], i,
				       (unsigned char) text[i], (unsigned char) was);
				wrong++;
			}
			text[i] = was;
		}
		/* cut off: a history that ends early is one all the same, if it ends with a line */
		for (size_t n = 0; n < bytes; n += 1 + bytes / 50)
		{
			forge_must(ga_file_write(folder, small_files[f], text, n));
			if (accepted(folder) && !(n == 0 || text[n - 1] == '\n'))
			{
				printf("%s: cut off at %zu, is accepted\n", small_files[f], n);
				wrong++;
			}
		}
		forge_must(ga_file_write(folder, small_files[f], text, bytes));
	}
	CHECK_INT(wrong, 0);
	CHECK(accepted(folder));
	close(folder);
}

static bool
anchors_from(int folder, const char *text)
{
	char path[100];
	char why[GA_WHY_MAX];

	forge_must(ga_file_write(folder, "anchors", text, strlen(text)));
	snprintf(path, sizeof(path), "%s/anchors", base);
	check_begin(ORIGIN_1);
	check.anchored = true;
	return ga_anchors_read(&check.anchors, &check.trust, path, why);
}

/* Heads from outside in both forms, by strangers, of another log, and what is none. */
static void
check_anchors(void)
{
	static char ours[20000];
	static char theirs[20000];
	ForgedLog log;
	int folder = forge_folder(base);
	size_t bytes;
	char *note;

	forge_init(&log);
	memcpy(log.seed, other_seed, sizeof(other_seed));
	forge_write(&log, folder, WRITE_ALL);
	forge_must(ga_file_read(folder, "heads", theirs, sizeof(theirs) - 1, &bytes) == GA_FILE_OK);
	forge_init(&log);
	forge_write(&log, folder, WRITE_ALL);
	forge_manifest(folder, 1, 0);
	forge_must(ga_file_read(folder, "checkpoint", ours, 5000, &bytes) == GA_FILE_OK);
	note = strdup(ours);
	snprintf(ours + bytes, sizeof(ours) - bytes, "\n%s%s", note, note);
	CHECK(anchors_from(folder, ours) && check.anchors.n == 3);
	ga_check_folder(&check, folder);
	CHECK(find("anchors", 1) != NULL && find("anchors", 1)->verdict == GA_OK);
	CHECK(anchors_from(folder, theirs) && check.anchors.n == 5);
	ga_check_folder(&check, folder);
	CHECK(ga_report_verdict(&check.report) == GA_UNKNOWN);
	CHECK(strstr(find("anchors", 1)->detail, "key unknown") != NULL);
	CHECK(!anchors_from(folder, "nothing\n"));
	CHECK(!anchors_from(folder, "{\"note\":\"nothing\"}\n"));
	CHECK(!anchors_from(folder, "{\"note\":"));
	CHECK(anchors_from(folder, "") && check.anchors.n == 0);

	/* of an incarnation that the export does not have */
	log.origin = ORIGIN_2;
	forge_write(&log, folder, WRITE_CHECKPOINT);
	forge_must(ga_file_read(folder, "checkpoint", ours, 5000, &bytes) == GA_FILE_OK);
	ours[bytes] = '\0';
	log.origin = ORIGIN_1;
	forge_write(&log, folder, WRITE_CHECKPOINT);
	CHECK(anchors_from(folder, ours));
	ga_check_folder(&check, folder);
	CHECK(find("anchors", 0) != NULL && find("anchors", 0)->verdict == GA_BAD);
	CHECK(strstr(find("anchors", 0)->detail, "truncated") != NULL);
	free(note);
	close(folder);
}

static void
check_numbers(void)
{
	GaNumbers numbers;
	uint64_t random = 9;
	int lost = 0;

	memset(&numbers, 0, sizeof(numbers));
	for (uint64_t i = 0; i < 50000; i++)
		lost += !ga_numbers_add(&numbers, i * 7) + ga_numbers_add(&numbers, i * 7);
	CHECK_INT(lost, 0);
	CHECK(!numbers.full);
	CHECK(ga_numbers_add(&numbers, UINT64_MAX) && !ga_numbers_add(&numbers, UINT64_MAX));
	for (int i = 0; i < 40000; i++)
		(void) ga_numbers_add(&numbers, unit_random(&random));
	CHECK(numbers.full);
	ga_numbers_free(&numbers);
}

static int
write_for_others(const char *path)
{
	ForgedLog log;
	GaNoteKey key;
	char vkey[GA_VKEY_MAX_BYTES + 1];
	int folder;

	forge_must(mkdir(path, 0700) == 0);
	folder = ga_folder_open(path);
	forge_must(folder >= 0);
	forge_init(&log);
	log.n = LEAVES_MAX - 30;
	log.nheads = 6;
	log.heads[5] = log.n;
	forge_write(&log, folder, WRITE_ALL);
	forge_manifest(folder, 1, 0);
	snprintf(key.name, sizeof(key.name), "%s", ORIGIN_1);
	forge_must(ga_note_public_key(forge_seed, key.key));
	forge_must(ga_vkey_format(&key, vkey, GA_VKEY_MAX_BYTES));
	strcat(vkey, "\n");
	forge_must(ga_file_write(folder, "trusted", vkey, strlen(vkey)));
	close(folder);
	return 0;
}

int
main(int argc, char **argv)
{
	memset(forge_seed, 0x17, sizeof(forge_seed));
	memset(other_seed, 0x71, sizeof(other_seed));
	if (argc == 2)
		return write_for_others(argv[1]);
	forge_must(mkdtemp(base) != NULL);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++)
		run_attack(&attacks[i]);
	check_incarnations();
	check_pruned();
	check_anchors();
	check_numbers();
	check_every_byte();
	ga_check_free(&check);
	forge_remove(base);
	return unit_done();
}
