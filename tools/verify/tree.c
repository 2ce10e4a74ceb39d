/* SPDX-License-Identifier: PostgreSQL */
/*
 * tree.c: the check of one incarnation, in one pass over its leaves. The tree is grown again from
 * the entries; heads and anchors are met at their size on the way. Where an entry and the stored
 * leaf differ, the hash above them says which of the two was signed, and that one is gone on with,
 * so that one altered entry is one finding.
 */
#include "tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "merkle.h"

static bool
read_head(GaTreeWork *work)
{
	GaTally *tally = &work->signature;
	size_t bytes;
	GaFileState state =
	    ga_file_read(work->tree->folder, "checkpoint", work->note, sizeof(work->note), &bytes);

	if (state != GA_FILE_OK)
		ga_fault(tally, -1, -1, "the checkpoint %s", ga_file_state_text(state));
	else if (!ga_checkpoint_parse(work->note, bytes, &work->head))
		ga_fault(tally, -1, -1, "the checkpoint is no C2SP checkpoint");
	else
		work->tree->readable = true;
	if (!work->tree->readable)
		return false;
	memcpy(work->tree->origin, work->head.origin, sizeof(work->tree->origin));
	work->tree->size = work->head.size;
	memcpy(work->tree->root, work->head.root, GA_HASH_BYTES);
	return true;
}

/* True when the tree's root is to be believed. */
static bool
judge_signature(GaTreeWork *work)
{
	const GaTreeCheck *tree = work->tree;
	GaTally *tally = &work->signature;
	const GaLink *by = tree->successor;

	work->head_by =
	    ga_trust_verify(&work->check->trust, &work->head, !tree->last, &work->head_time);
	if (work->head_by == GA_SIGNED && work->head_time == 0)
	{
		ga_doubt(tally, "%s is signed at size %" PRIu64 ", without a time", tree->origin,
		         tree->size);
		return true;
	}
	if (work->head_by == GA_SIGNED)
	{
		ga_praise(tally, "%s is signed at size %" PRIu64, tree->origin, tree->size);
		return true;
	}
	if (work->head_by == GA_SIGNED_BADLY)
	{
		ga_fault(tally, -1, -1, "%s: %s", tree->origin, ga_signed_text(work->head_by));
		return false;
	}
	if (by != NULL && strcmp(by->origin, tree->origin) == 0 && by->size == tree->size &&
	    memcmp(by->root, tree->root, GA_HASH_BYTES) == 0)
	{
		ga_doubt(tally, "%s: %s, but incarnation %d names its size and root", tree->origin,
		         ga_signed_text(work->head_by), tree->incarnation + 1);
		return true;
	}
	if (ga_trust_has_key_only(&work->check->trust, &work->head))
		ga_fault(tally, -1, -1,
		         "key unknown: a key that was given signed it, but as %s; trust that name too if "
		         "you know of the new incarnation",
		         tree->origin);
	else
		ga_fault(tally, -1, -1, "%s: %s", tree->origin, ga_signed_text(work->head_by));
	return false;
}

/* ---- entries ---- */

static void
check_order(GaTreeWork *work, int64_t leaf, const GaFacts *facts)
{
	bool joined = work->tree->linked && strcmp(work->tree->link.origin, "none") != 0;

	if (!ga_numbers_add(&work->check->ids, (uint64_t) facts->id))
		ga_fault(&work->rules, leaf, facts->id, "audit id %" PRId64 " occurs twice", facts->id);
	if (facts->xid == work->run_xid)
	{
		/* what a restore brought may share a transaction's number with another */
		if (facts->ordinal < work->run_ordinal ||
		    (facts->ordinal == work->run_ordinal && (!joined || facts->id <= work->run_id)))
			ga_fault(&work->rules, leaf, facts->id,
			         "entry %" PRId64 " of transaction %" PRId64 " stands behind entry %" PRId64,
			         facts->ordinal, facts->xid, work->run_ordinal);
	}
	else if (!joined && !ga_numbers_add(&work->xids, (uint64_t) facts->xid))
		ga_fault(&work->rules, leaf, facts->id,
		         "the entries of transaction %" PRId64 " do not stand together", facts->xid);
	work->run_xid = facts->xid;
	work->run_ordinal = facts->ordinal;
	work->run_id = facts->id;
}

/* It names the tree and the index, and the root that the tree has there. */
static void
check_prune(GaTreeWork *work, const GaFacts *facts)
{
	GaLink pruned;

	if (ga_link_read(facts, GA_ACTION_PRUNE, &pruned) &&
	    strcmp(pruned.origin, work->tree->origin) == 0 && pruned.size == work->tree->minimum &&
	    memcmp(pruned.root, work->minimum_root, GA_HASH_BYTES) == 0)
		work->check->pruned = true;
}

static void
check_entry(GaTreeWork *work, int64_t leaf, const uint8_t *entry, size_t bytes)
{
	GaFacts facts;
	const char *wrong = ga_facts_read(entry, bytes, &facts);
	const char *opening;

	work->rules.count++;
	if (wrong != NULL)
	{
		ga_fault(&work->rules, leaf, facts.id, "entry: %s", wrong);
		return;
	}
	if (leaf == 0)
		work->tree->linked = ga_link_read(&facts, GA_ACTION_LINK, &work->tree->link);
	if (work->tree->minimum > 0)
		check_prune(work, &facts);
	check_order(work, leaf, &facts);
	if (facts.origin.data != NULL && !ga_value_is(&facts.origin, work->tree->origin))
		ga_fault(&work->rules, leaf, facts.id, "the entry names another log as its own");
	if (facts.details.data != NULL)
		work->commitments++;
	opening = ga_openings_check(&work->openings, leaf, &facts);
	if (opening != NULL)
		ga_fault(&work->opened, leaf, facts.id, "%s", opening);
}

static void
note_missing(GaTreeWork *work, uint64_t leaf)
{
	if (work->missing == 0)
		work->first_missing = leaf;
	work->last_missing = leaf;
	work->missing++;
}

/* Takes the file apart; what cannot be, is not there. */
static void
split_bundle(GaTreeWork *work, const char *path, uint64_t first, int width)
{
	GaBundle *bundle = &work->bundle;
	size_t at = 0;
	int i;

	for (i = 0; i < width; i++)
	{
		size_t length;

		if (bundle->nbytes - at < 2)
			break;
		length = (size_t) bundle->bytes[at] << 8 | bundle->bytes[at + 1];
		if (bundle->nbytes - at - 2 < length)
			break;
		if (length > 0)
		{
			bundle->entry[i] = bundle->bytes + at + 2;
			bundle->length[i] = length;
		}
		at += 2 + length;
	}
	if (i < width || at != bundle->nbytes)
		ga_fault(&work->entries, (int64_t) first + i, -1, "%s is %s", path,
		         i < width ? "cut off" : "longer than its entries");
}

static void
read_bundle(GaTreeWork *work, uint64_t index, int width)
{
	char path[GA_TILE_PATH_MAX_BYTES];
	GaBundle *bundle = &work->bundle;
	GaFileState state;

	memset(bundle->entry, 0, sizeof(bundle->entry));
	(void) ga_tile_path(-1, index, width, path, sizeof(path));
	state = ga_file_read(work->tree->folder, path, bundle->bytes, sizeof(bundle->bytes),
	                     &bundle->nbytes);
	if (state == GA_FILE_OK)
		split_bundle(work, path, index * GA_TILE_WIDTH, width);
	else if (state != GA_FILE_ABSENT)
		ga_fault(&work->entries, (int64_t) (index * GA_TILE_WIDTH), -1, "%s %s", path,
		         ga_file_state_text(state));
}

/* ---- tiles ---- */

/* The first `width` hashes of a tile; blame: say so if they are not there. */
static bool
read_tile(GaTreeWork *work, int level, uint64_t index, int width, uint8_t *hashes, bool blame)
{
	char path[GA_TILE_PATH_MAX_BYTES];
	size_t bytes;
	GaFileState state;

	(void) ga_tile_path(level, index, width, path, sizeof(path));
	state = ga_file_read(work->tree->folder, path, hashes, GA_TILE_BYTES, &bytes);
	if (state == GA_FILE_OK && bytes == (size_t) width * GA_HASH_BYTES)
		return true;
	if (blame)
		ga_fault(&work->tiles, (int64_t) (index * GA_TILE_WIDTH << (8 * level)), -1, "%s %s", path,
		         state == GA_FILE_OK ? "has another length than its width"
		                             : ga_file_state_text(state));
	return false;
}

static void
compare_tile(GaTreeWork *work, int level, uint64_t index, int width, const uint8_t *wanted)
{
	uint8_t stored[GA_TILE_BYTES];

	if (!read_tile(work, level, index, width, stored, true))
		return;
	for (int i = 0; i < width; i++)
	{
		if (memcmp(stored + i * GA_HASH_BYTES, wanted + i * GA_HASH_BYTES, GA_HASH_BYTES) == 0)
			continue;
		ga_fault(&work->tiles, (int64_t) ((index * GA_TILE_WIDTH + (uint64_t) i) << (8 * level)),
		         -1, "hash %d of tile %" PRIu64 " of level %d is not that of the leaves below it",
		         i, index, level);
		return;
	}
}

static bool
take_tile(void *context, int level, uint64_t index, const uint8_t hashes[GA_TILE_BYTES])
{
	GaTreeWork *work = context;

	work->tiles.count++;
	if (level > 0)
		compare_tile(work, level, index, GA_TILE_WIDTH, hashes);
	return true;
}

/* Is this what the tree was signed with? For a full tile the hash above tells, else the root. */
static bool
signed_so(GaTreeWork *work, uint64_t index, int width, const GaHashes *hashes)
{
	uint8_t root[GA_HASH_BYTES];
	int above = ga_tile_width(work->tree->size, 1, index >> 8);

	if (width < GA_TILE_WIDTH)
	{
		memcpy(&work->trial, &work->edge, sizeof(work->trial));
		for (int i = 0; i < width; i++)
		{
			if (!ga_edge_append(&work->trial, hashes->of[i], NULL, NULL))
				return false;
		}
		return ga_edge_root(&work->trial, root) &&
		       memcmp(root, work->tree->root, GA_HASH_BYTES) == 0;
	}
	if (work->above_width == 0 || work->above_index != index >> 8)
	{
		work->above_width = 0;
		if (!read_tile(work, 1, index >> 8, above, work->above, false))
			return false;
		work->above_width = above;
		work->above_index = index >> 8;
	}
	return ga_merkle_root_of(hashes->of[0], (size_t) width, root) &&
	       memcmp(root, work->above + (index & 255) * GA_HASH_BYTES, GA_HASH_BYTES) == 0;
}

/* A pruned log begins with the hashes that its tiles hold of what is gone. */
static bool
start_edge(GaTreeWork *work, GaTileEdge *edge)
{
	uint64_t minimum = work->base;
	uint8_t tile[GA_TILE_BYTES];

	ga_edge_init(edge);
	for (int level = 1; level < GA_TILE_LEVELS; level++)
	{
		uint64_t at = minimum >> (8 * level);
		size_t bytes = (size_t) (at & 255) * GA_HASH_BYTES;

		if (bytes == 0)
			continue;
		if (!read_tile(work, level, at >> 8, ga_tile_width(work->tree->size, level, at >> 8), tile,
		               true))
			return false;
		memcpy(edge->hashes[level], tile, bytes);
	}
	edge->size = minimum;
	return true;
}

/* The whole log once more, from its entries alone: then it is tiles that were altered. */
static bool
entries_make_root(GaTreeWork *work)
{
	const GaTreeCheck *tree = work->tree;
	GaTally told = work->entries;
	uint8_t root[GA_HASH_BYTES];
	bool ok = start_edge(work, &work->trial);
	int width;

	for (uint64_t index = work->base / GA_TILE_WIDTH;
	     ok && (width = ga_tile_width(tree->size, 0, index)) > 0; index++)
	{
		read_bundle(work, index, width);
		for (int i = 0; ok && i < width; i++)
			ok = work->bundle.entry[i] != NULL &&
			     ga_merkle_leaf(work->bundle.entry[i], work->bundle.length[i], root) &&
			     ga_edge_append(&work->trial, root, NULL, NULL);
	}
	work->entries = told;
	return ok && ga_edge_root(&work->trial, root) && memcmp(root, tree->root, sizeof(root)) == 0;
}

/* Some entries and their stored leaves differ: blame the side that was not signed. */
static const GaHashes *
blame(GaTreeWork *work, uint64_t index, int width)
{
	bool tile_signed;
	bool entries_signed;

	if (!work->tried)
	{
		work->entries_signed = entries_make_root(work);
		work->tried = true;
		read_bundle(work, index, width);
	}
	tile_signed = !work->entries_signed && signed_so(work, index, width, &work->stored);
	entries_signed =
	    work->entries_signed || (!tile_signed && signed_so(work, index, width, &work->computed));
	for (int i = 0; i < width; i++)
	{
		int64_t leaf = (int64_t) (index * GA_TILE_WIDTH) + i;
		GaFacts facts;

		if (work->bundle.entry[i] == NULL ||
		    memcmp(work->stored.of[i], work->computed.of[i], GA_HASH_BYTES) == 0)
			continue;
		(void) ga_facts_read(work->bundle.entry[i], work->bundle.length[i], &facts);
		if (!entries_signed)
			ga_fault(&work->entries, leaf, facts.id, "%s",
			         tile_signed ? "the entry is not the one that the leaf was made of"
			                     : "entry and leaf differ, and neither is what was signed");
		if (!tile_signed)
			ga_fault(&work->tiles, leaf, facts.id, "%s",
			         entries_signed ? "the stored leaf is not that of its entry"
			                        : "entry and leaf differ, and neither is what was signed");
	}
	return entries_signed ? &work->computed : &work->stored;
}

static void
check_tile(GaTreeWork *work, uint64_t index, int width)
{
	uint64_t first = index * GA_TILE_WIDTH;
	bool stored = read_tile(work, 0, index, width, work->stored.of[0], true);
	const GaHashes *used = stored ? &work->stored : &work->computed;
	bool differ = false;

	read_bundle(work, index, width);
	for (int i = 0; i < width; i++)
	{
		const uint8_t *entry = work->bundle.entry[i];

		if (entry == NULL)
		{
			if (first + (uint64_t) i >= work->tree->minimum)
				note_missing(work, first + (uint64_t) i);
			work->broken = work->broken || !stored;
			memcpy(work->computed.of[i], work->stored.of[i], GA_HASH_BYTES);
			continue;
		}
		work->entries.count++;
		if (!ga_merkle_leaf(entry, work->bundle.length[i], work->computed.of[i]))
			work->broken = true;
		differ = differ ||
		         (stored && memcmp(work->stored.of[i], work->computed.of[i], GA_HASH_BYTES) != 0);
	}
	if (work->broken)
		return;
	if (differ)
		used = blame(work, index, width);
	for (int i = 0; i < width && !work->broken; i++)
	{
		if (work->bundle.entry[i] == NULL)
			ga_openings_skip(&work->openings, (int64_t) first + i);
		else
			check_entry(work, (int64_t) first + i, work->bundle.entry[i], work->bundle.length[i]);
		work->broken = !ga_edge_append(&work->edge, used->of[i], take_tile, work);
		if (work->edge.size == work->tree->minimum)
			(void) ga_edge_root(&work->edge, work->minimum_root);
		ga_tree_heads_meet(work);
	}
}

static void
check_leaves(GaTreeWork *work)
{
	const GaTreeCheck *tree = work->tree;
	uint64_t index = tree->minimum / GA_TILE_WIDTH;
	int width;

	work->base = index * GA_TILE_WIDTH;
	if (work->base > 0) /* from an export before the pruning */
		ga_openings_skip(&work->openings, (int64_t) work->base - 1);
	work->broken = !start_edge(work, &work->edge);
	if (!work->broken)
	{
		(void) ga_edge_root(&work->edge, work->minimum_root);
		ga_tree_heads_meet(work);
	}
	for (; !work->broken && (width = ga_tile_width(tree->size, 0, index)) > 0; index++)
		check_tile(work, index, width);
	for (int level = 1; !work->broken && level < GA_TILE_LEVELS; level++)
	{
		uint64_t last = tree->size >> (8 * level) >> 8;
		int partial = ga_tile_width(tree->size, level, last);

		if (partial > 0)
			compare_tile(work, level, last, partial, work->edge.hashes[level]);
	}
}

/* ---- verdicts ---- */

static void
judge_root(GaTreeWork *work, bool believed)
{
	GaTally *tally = &work->root;
	uint8_t root[GA_HASH_BYTES];

	if (work->broken || !ga_edge_root(&work->edge, root))
		ga_fault(tally, (int64_t) work->edge.size, -1,
		         "the root cannot be made: neither entries nor leaves are here from leaf %" PRIu64
		         " on",
		         work->edge.size);
	else if (memcmp(root, work->tree->root, GA_HASH_BYTES) != 0)
		ga_fault(tally, (int64_t) work->agreed, -1,
		         "the leaves make another root than that of the checkpoint; signed heads agree "
		         "with them below leaf %" PRIu64,
		         work->agreed);
	else
		ga_praise(tally, "%" PRIu64 " leaves make the root of the checkpoint", work->tree->size);
	work->tree->sound = tally->verdict == GA_OK && believed;
}

static void
judge_missing(const GaTreeWork *work, GaTally *tally)
{
	const GaTreeCheck *tree = work->tree;

	if (work->missing > 0 &&
	    (work->broken || (work->last_missing + 1 == tree->size &&
	                      work->last_missing - work->first_missing + 1 == work->missing)))
		ga_fault(tally, (int64_t) work->first_missing, -1,
		         "truncated: entries are missing from leaf %" PRIu64 " on", work->first_missing);
	else if (work->missing > 0)
		ga_fault(tally, (int64_t) work->first_missing, -1,
		         "%" PRIu64 " entries between leaf %" PRIu64 " and %" PRIu64 " are missing",
		         work->missing, work->first_missing, work->last_missing);
	else if (work->broken)
		ga_fault(tally, (int64_t) work->edge.size, -1,
		         "what follows leaf %" PRIu64 " could not be looked at", work->edge.size);
	if (tree->minimum > 0 && !work->check->pruned)
		ga_fault(tally, 0, -1, "truncated: no entry says that leaves below %" PRIu64 " were pruned",
		         tree->minimum);
	if (tree->minimum > 0)
		ga_praise(tally,
		          "leaves below %" PRIu64 " were pruned, as an entry says; all others are here",
		          tree->minimum);
	ga_praise(tally, "all leaves from %" PRIu64 " to %" PRIu64 " are here", tree->minimum,
	          tree->size);
}

static void
praise_all(GaTreeWork *work)
{
	ga_praise(&work->entries, "%" PRIu64 " entries hash to their leaves", work->entries.count);
	ga_praise(&work->tiles, "%" PRIu64 " full tiles agree with what is below them",
	          work->tiles.count);
	if (work->xids.full || work->check->ids.full)
		ga_doubt(&work->rules, "the ids are too scattered to look for one that occurs twice");
	ga_praise(&work->rules, "%" PRIu64 " entries are canonical, their ids unique",
	          work->rules.count);
	if (work->commitments > work->openings.opened)
		ga_praise(&work->opened,
		          "%" PRIu64 " of %" PRIu64
		          " commitments opened; the rest was erased or not exported",
		          work->openings.opened, work->commitments);
	ga_praise(&work->opened, "%" PRIu64 " commitments opened", work->openings.opened);
	ga_praise(&work->gaps, "%" PRIu64 " times of heads, no gap above %d s", work->gaps.count,
	          GA_HEARTBEAT_SECONDS + GA_HEARTBEAT_SLACK_SECONDS);
}

static void
report(GaTreeWork *work)
{
	GaReport *to = &work->check->report;
	const GaTreeCheck *tree = work->tree;
	GaTally leaves;
	GaTally age;
	GaTally lag;

	ga_tally_init(&leaves);
	ga_tally_init(&age);
	ga_tally_init(&lag);
	praise_all(work);
	judge_missing(work, &leaves);
	ga_tree_age(work, &age);
	ga_tree_anchor_lag(work, &lag);
	ga_report_add(to, GA_INTEGRITY, "signature", tree->incarnation, &work->signature);
	ga_report_add(to, GA_INTEGRITY, "entries", tree->incarnation, &work->entries);
	ga_report_add(to, GA_INTEGRITY, "tiles", tree->incarnation, &work->tiles);
	ga_report_add(to, GA_INTEGRITY, "root", tree->incarnation, &work->root);
	ga_report_add(to, GA_INTEGRITY, "heads", tree->incarnation, &work->history);
	ga_report_add(to, GA_INTEGRITY, "rules", tree->incarnation, &work->rules);
	ga_report_add(to, GA_INTEGRITY, "commitments", tree->incarnation, &work->opened);
	if (work->anchored.count + work->strange_anchors > 0 || (tree->last && work->check->anchored))
	{
		if (work->strange_anchors > 0)
			ga_doubt(&work->anchored,
			         "key unknown: no key that was given signed %" PRIu64 " of the anchored heads",
			         work->strange_anchors);
		if (work->anchored.count == 0)
			ga_doubt(&work->anchored, "no anchored head is of this log");
		ga_praise(&work->anchored, "%" PRIu64 " anchored heads agree with the leaves",
		          work->anchored.count);
		ga_report_add(to, GA_INTEGRITY, "anchors", tree->incarnation, &work->anchored);
	}
	ga_report_add(to, GA_COMPLETENESS, "leaves", tree->incarnation, &leaves);
	ga_report_add(to, GA_FRESHNESS, "gaps", tree->incarnation, &work->gaps);
	if (tree->last)
		ga_report_add(to, GA_FRESHNESS, "age", tree->incarnation, &age);
	if (tree->last && work->check->anchored)
		ga_report_add(to, GA_FRESHNESS, "anchor lag", tree->incarnation, &lag);
}

void
ga_tree_check(GaCheck *check, GaTreeCheck *tree)
{
	GaTreeWork *work = calloc(1, sizeof(*work));
	GaTally *tallies[] = {&work->signature, &work->entries, &work->tiles,
	                      &work->root,      &work->history, &work->anchored,
	                      &work->rules,     &work->opened,  &work->gaps};
	const char *left;

	if (work == NULL)
		abort();
	for (size_t i = 0; i < sizeof(tallies) / sizeof(*tallies); i++)
		ga_tally_init(tallies[i]);
	work->check = check;
	work->tree = tree;
	if (!read_head(work))
		ga_report_add(&check->report, GA_INTEGRITY, "signature", tree->incarnation,
		              &work->signature);
	else
	{
		bool believed = judge_signature(work);

		if (tree->minimum > tree->size)
		{
			ga_fault(&work->signature, -1, -1, "%s: the minimum index is above the size",
			         GA_EXPORT_FILE);
			tree->minimum = 0;
		}
		ga_tree_heads_open(work);
		if (!ga_openings_open(&work->openings, tree->folder))
			ga_fault(&work->opened, -1, -1, "openings cannot be read");
		check_leaves(work);
		judge_root(work, believed);
		left = ga_openings_rest(&work->openings);
		if (left != NULL && !work->broken)
			ga_fault(&work->opened, (int64_t) tree->size, -1, "%s", left);
		ga_tree_heads_rest(work);
		report(work);
	}
	ga_tree_heads_close(work);
	ga_openings_close(&work->openings);
	ga_numbers_free(&work->xids);
	free(work);
}
