/* SPDX-License-Identifier: PostgreSQL */
/* tree_heads.c: see tree.h. */
#include "tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LINE_MAX_BYTES ((size_t) 2 * GA_NOTE_READ_MAX_BYTES)

const char *
ga_signed_text(GaSigned by)
{
	static const char *const texts[] = {"signed", "a trusted key's signature on it does not verify",
	                                    "key unknown: it is not signed",
	                                    "key unknown: no key that was given signed it"};

	return texts[by];
}

static void
note_time(GaTreeWork *work, int64_t time)
{
	GaTally *tally = &work->gaps;

	if (work->last_time > 0 && time < work->last_time - GA_CLOCK_SLACK_SECONDS)
		ga_fault(tally, -1, -1, "the time of a head goes back by %" PRId64 " s, at size %" PRIu64,
		         work->last_time - time, work->next.size);
	if (work->last_time > 0 &&
	    time - work->last_time > GA_HEARTBEAT_SECONDS + GA_HEARTBEAT_SLACK_SECONDS)
	{
		tally->faults++;
		ga_doubt(tally,
		         "no head was signed for %" PRId64 " s after %" PRId64
		         " (unix time): the sealer stood still, or heads are missing",
		         time - work->last_time, work->last_time);
	}
	tally->count++;
	if (time > work->last_time)
		work->last_time = time;
}

static void
next_head(GaTreeWork *work)
{
	GaTally *tally = &work->history;

	work->next_there = false;
	free(work->next_note);
	work->next_note = NULL;
	if (!ga_lines_next(&work->heads))
	{
		if (work->heads.broken)
			ga_fault(tally, -1, -1, "line %" PRIu64 " of heads is cut off or too long",
			         work->heads.number);
		return;
	}
	work->next_note = ga_head_line_read(work->heads.line);
	if (work->next_note == NULL ||
	    !ga_checkpoint_parse(work->next_note, strlen(work->next_note), &work->next))
	{
		ga_fault(tally, -1, -1, "line %" PRIu64 " of heads is no signed head", work->heads.number);
		work->heads.broken = true;
		return;
	}
	tally->count++;
	work->next_there = true;
	work->next_by = ga_trust_verify(&work->check->trust, &work->next, true, &work->next_time);
	if (strcmp(work->next.origin, work->tree->origin) != 0)
		ga_fault(tally, -1, -1, "line %" PRIu64 " of heads is a head of %s", work->heads.number,
		         work->next.origin);
	if (work->next_by == GA_SIGNED_BADLY)
		ga_fault(tally, -1, -1, "line %" PRIu64 " of heads: %s", work->heads.number,
		         ga_signed_text(work->next_by));
	if (work->next_by == GA_SIGNED_BY_NOBODY || work->next_by == GA_KEY_UNKNOWN)
		work->nobody++;
	if (work->next.size < work->last_size)
		ga_fault(tally, (int64_t) work->next.size, -1,
		         "line %" PRIu64 " of heads: the size goes back from %" PRIu64 " to %" PRIu64,
		         work->heads.number, work->last_size, work->next.size);
	work->last_size = work->next.size;
	if (work->next_by == GA_SIGNED && work->next_time == 0)
		ga_doubt(&work->gaps, "the head in line %" PRIu64 " of heads carries no signed time",
		         work->heads.number);
	else if (work->next_by == GA_SIGNED)
		note_time(work, work->next_time);
}

/* A head of this size says what the root is. */
static void
meet(GaTreeWork *work, GaTally *tally, const char *what, const uint8_t said[GA_HASH_BYTES],
     GaSigned by, uint64_t *agreed)
{
	uint8_t root[GA_HASH_BYTES];

	if (!ga_edge_root(&work->edge, root))
		ga_fault(tally, -1, -1, "libcrypto failed");
	else if (memcmp(root, said, GA_HASH_BYTES) != 0)
		ga_fault(tally, (int64_t) *agreed, -1,
		         "%s%s of size %" PRIu64 " (%s) has another root than the leaves here; "
		         "they agree below leaf %" PRIu64,
		         by == GA_SIGNED ? "fork: the " : "the ", what, work->edge.size, ga_signed_text(by),
		         *agreed);
	else if (by == GA_SIGNED)
		*agreed = work->edge.size;
}

void
ga_tree_heads_meet(GaTreeWork *work)
{
	const GaAnchors *anchors = &work->check->anchors;

	while (work->next_there && work->next.size <= work->edge.size)
	{
		if (work->next.size < work->base)
			work->pruned_heads++;
		else if (work->next.size == work->edge.size && work->next_by != GA_SIGNED_BADLY)
			meet(work, &work->history, "head", work->next.root, work->next_by, &work->agreed);
		next_head(work);
	}
	for (; work->anchor < work->anchors_end; work->anchor++)
	{
		const GaAnchor *anchor = &anchors->list[work->anchor];

		if (anchor->size > work->edge.size)
			break;
		if (anchor->by != GA_SIGNED)
			work->strange_anchors++;
		else if (anchor->size == work->edge.size)
			meet(work, &work->anchored, "anchored head", anchor->root, anchor->by,
			     &work->agreed_anchor);
		else
			work->pruned_heads++;
		work->anchored.count += anchor->by == GA_SIGNED;
		if (anchor->by == GA_SIGNED && anchor->time > work->anchor_time)
			work->anchor_time = anchor->time;
	}
}

/* Heads that say that there is more. */
static void
judge_rest(GaTreeWork *work)
{
	const GaAnchors *anchors = &work->check->anchors;

	while (work->next_there)
	{
		if (work->next.size > work->tree->size)
			ga_fault(&work->history, (int64_t) work->tree->size, -1,
			         "truncated: a head of size %" PRIu64 " (%s) is in the history",
			         work->next.size, ga_signed_text(work->next_by));
		next_head(work);
	}
	for (; work->anchor < work->anchors_end; work->anchor++)
	{
		const GaAnchor *anchor = &anchors->list[work->anchor];

		if (anchor->by != GA_SIGNED)
			work->strange_anchors++;
		else if (!work->broken || anchor->size > work->tree->size)
			ga_fault(&work->anchored, (int64_t) work->tree->size, -1,
			         "truncated: a head of size %" PRIu64 " was anchored", anchor->size);
		else
			ga_doubt(&work->anchored, "the leaves up to an anchored head could not be looked at");
		work->anchored.count += anchor->by == GA_SIGNED;
		if (anchor->by == GA_SIGNED && anchor->time > work->anchor_time)
			work->anchor_time = anchor->time;
	}
}

static void
judge_history(GaTreeWork *work)
{
	GaTally *tally = &work->history;

	if (work->nobody > 0)
		ga_doubt(tally, "%" PRIu64 " of %" PRIu64 " heads are not signed by a key that was given",
		         work->nobody, tally->count);
	if (work->pruned_heads > 0)
		ga_doubt(tally, "%" PRIu64 " heads are of sizes that were pruned", work->pruned_heads);
	if (work->broken)
		ga_doubt(tally, "not every head could be compared");
	ga_praise(tally, "%" PRIu64 " heads are signed and agree with the leaves", tally->count);
}

void
ga_tree_age(GaTreeWork *work, GaTally *tally)
{
	const GaCheck *check = work->check;
	int64_t newest = work->head_time > work->last_time ? work->head_time : work->last_time;
	int64_t age = check->now - newest;

	if (newest == 0)
		ga_fault(tally, -1, -1, "stale: no trusted key says when the head was signed");
	else if (age < -GA_CLOCK_SLACK_SECONDS)
		ga_fault(tally, -1, -1, "the last head was signed %" PRId64 " s in the future", -age);
	else if (age > check->max_age)
		ga_fault(tally, -1, -1,
		         "stale: the last head was signed %" PRId64 " s ago, allowed are %" PRId64, age,
		         check->max_age);
	ga_praise(tally, "the last head was signed %" PRId64 " s ago", age);
}

void
ga_tree_anchor_lag(GaTreeWork *work, GaTally *tally)
{
	int64_t newest = work->head_time > work->last_time ? work->head_time : work->last_time;

	if (work->anchor_time == 0)
		ga_doubt(tally, "no anchored head of this log carries a time");
	else if (newest - work->anchor_time > work->check->max_age)
		ga_fault(tally, -1, -1, "stale: the last anchored head is %" PRId64 " s behind",
		         newest - work->anchor_time);
	ga_praise(tally, "the last anchored head is %" PRId64 " s behind",
	          newest > work->anchor_time ? newest - work->anchor_time : 0);
}

void
ga_tree_heads_rest(GaTreeWork *work)
{
	judge_rest(work);
	judge_history(work);
}

void
ga_tree_heads_open(GaTreeWork *work)
{
	GaFileState state =
	    ga_lines_open(&work->heads, work->tree->folder, "heads", HEAD_LINE_MAX_BYTES);
	size_t anchors;

	if (state == GA_FILE_UNREADABLE)
		ga_fault(&work->history, -1, -1, "heads %s", ga_file_state_text(state));
	else if (state == GA_FILE_ABSENT)
		ga_doubt(&work->history, "no history of heads is here");
	next_head(work);
	work->anchor = ga_anchors_of(&work->check->anchors, work->tree->origin, &anchors);
	work->anchors_end = work->anchor + anchors;
}

void
ga_tree_heads_close(GaTreeWork *work)
{
	ga_lines_close(&work->heads);
	free(work->next_note);
}
