/* SPDX-License-Identifier: PostgreSQL */
/*
 * check.h: the check of an export without a server: entries to leaves, leaves to tiles, tiles to
 * root, root to signature, every head on the way, and each incarnation to the one before it.
 *
 * DIR/export.json     {"format":"goldenarch-export/1","minimum_index":[...]}, one number for each
 *                     incarnation; without the file DIR is one tree, as any C2SP log would write it
 * DIR/keys            verifier keys as the server names them; none is trusted for standing here
 * DIR/checkpoint, DIR/tile/...   the last incarnation in the layout of C2SP tlog-tiles
 * DIR/heads           its heads, oldest first, a line {"note":"..."} each
 * DIR/openings        {"leaf":N,"salt":"hex","details":"..."} for entries whose commitment can be
 *                     opened, in the order of leaves
 * DIR/incarnation/N/  incarnation N, not the last, in the same layout
 */
#ifndef GA_VERIFY_CHECK_H
#define GA_VERIFY_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "facts.h"
#include "heads.h"
#include "report.h"

#define GA_EXPORT_FORMAT "goldenarch-export/1"
#define GA_EXPORT_FILE "export.json"
#define GA_INCARNATIONS_MAX 1000
#define GA_HEARTBEAT_SECONDS 30
#define GA_HEARTBEAT_SLACK_SECONDS 30
#define GA_CLOCK_SLACK_SECONDS 300

typedef struct GaCheck
{
	GaTrust trust;
	GaAnchors anchors;
	bool anchored; /* --anchor was given */
	int64_t now;
	int64_t max_age;
	GaReport report;
	GaNumbers ids; /* of every incarnation */
	bool pruned;   /* an entry says so: of its own tree, and then of all before it */
} GaCheck;

/* A tree to check, and what its successor or the caller has to know of it. */
typedef struct GaTreeCheck
{
	int folder;
	int incarnation;
	uint64_t minimum;
	bool last;
	const GaLink *successor; /* what the next incarnation names; NULL: that one is not sound */

	bool readable; /* head is set */
	char origin[GA_NOTE_NAME_MAX_BYTES + 1];
	uint64_t size;
	uint8_t root[GA_HASH_BYTES];
	bool sound; /* its leaves make the root that a trusted key, or a sound successor, vouches for */
	bool linked; /* link is what its first leaf says */
	GaLink link;
} GaTreeCheck;

extern void ga_tree_check(GaCheck *check, GaTreeCheck *tree);

/* Findings are in check->report. */
extern void ga_check_folder(GaCheck *check, int folder);
extern void ga_check_free(GaCheck *check);

/* export.json: count numbers into minimum[GA_INCARNATIONS_MAX]; -1: it is none, 0: no file. */
extern int ga_export_read(int folder, uint64_t *minimum);
extern bool ga_export_write(int folder, const uint64_t *minimum, int count);

#endif
