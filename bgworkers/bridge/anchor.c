/* SPDX-License-Identifier: PostgreSQL */
/*
 * Compare, then publish. The stream GOLDENARCH_AUDIT has one subject an origin and denies deletes
 * and purges. Each head is stored by compare-and-set on its subject's last sequence, so of two
 * servers with one origin only one can extend what is anchored; the other finds a head that is not
 * its own and stops for good. Only committed and flushed heads are published, the latest of each
 * second. No transaction is open while the network is used. A crash anywhere in between is healed
 * by the next look: what is stored is known by its content, never by what we remember.
 */
#include "anchor.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "digest.h"
#include "goldenarch/anchor.h"
#include "goldenarch/clock.h"
#include "link.h"
#include "wal.h"
#include "worker.h"

#define MS_NS INT64CONST(1000000)
#define INTERVAL_NS (1000 * MS_NS)
#define QUIET_NS (50 * MS_NS)
/*
 * How many messages to look at for heads: whoever may publish to the subject could put rubbish, or
 * an old head again, behind the last. One is looked for until it is found.
 */
#define LOOK_BACK 256
#define LOOK_A_TURN 512
#define SUBJECT_PREFIX "audit.heads."
#define SUBJECT_BYTES (sizeof(SUBJECT_PREFIX) + 3 * GA_NOTE_NAME_MAX_BYTES)
#define NS_A_US 1000

static const GaNatsStream stream = {GA_ANCHOR_STREAM, {"audit.heads.>"}, .keep = true};

static struct
{
	GaAnchorTree tree; /* as the database has it */
	bool present;
	const char *verdict; /* null: the tree is that of what is held */
	char subject[SUBJECT_BYTES];
	bool looked;   /* the stream's heads were compared with the tree, on this connection */
	uint64 at;     /* looking back: the next message to look at, downwards; 0: not looking */
	uint64 first;  /* sequence of the first message of the stream */
	int seen;      /* messages looked at */
	int strange;   /* of them: on our subject and not ours */
	uint64 last;   /* sequence of the subject's last message, whatever it is */
	GaAnchor held; /* the largest head of ours; sequence 0: there is none */
	GaAnchor heads[LOOK_BACK]; /* those that were found */
	int nheads;
	int64 published; /* its id, when we stored it */
	int64 next_at;
	char trouble[GA_NATS_ERROR_BYTES];
} state;

/* Say it once in the log, and to bridge_status and health(). */
static void
complain(const char *trouble)
{
	if (strcmp(state.trouble, trouble) != 0)
		ereport(WARNING, (errmsg("heads of the audit log are not anchored: %s", trouble)));
	strlcpy(state.trouble, trouble, sizeof(state.trouble));
	ga_anchor_report(trouble);
	ga_link_complain(trouble);
}

static void
look_again(void)
{
	state.looked = false;
	state.at = 0;
	state.next_at = 0;
}

/* One token: what subjects give a meaning to, and the sign of it, as %XX. */
static void
set_subject(const char *origin)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t n = strlcpy(state.subject, SUBJECT_PREFIX, sizeof(state.subject));

	for (; *origin; origin++)
	{
		const char *form = strchr(plain, *origin) ? "%c" : "%%%02X";

		n += (size_t) snprintf(state.subject + n, sizeof(state.subject) - n, form,
		                       (unsigned char) *origin);
	}
}

/* ---- the database's side, a transaction each ---- */

static void
read_tree(void *arg)
{
	static char verdict[GA_NATS_ERROR_BYTES];
	int32 known = state.present ? state.tree.incarnation : 0;
	int keys = state.tree.nkeys;
	const char *reason;

	(void) arg;
	state.verdict = NULL;
	state.present = ga_anchor_tree(&state.tree);
	if (state.present && state.tree.incarnation != known)
	{
		look_again();
		set_subject(state.tree.origin);
		state.published = 0;
	}
	else if (state.present && state.tree.nkeys != keys)
		look_again();
	if (!state.present || state.tree.forked || !state.looked ||
	    state.tree.head_id == state.published)
		return;
	reason = ga_anchor_judge(&state.tree, &state.held, state.held.sequence != 0);
	if (!reason)
		return;
	strlcpy(verdict, reason, sizeof(verdict));
	state.verdict = verdict;
}

static void
compare(void *arg)
{
	const GaAnchor *noted = &state.tree.noted;
	bool *same = arg;

	*same = ga_anchor_judge(&state.tree, state.heads, state.nheads) == NULL;
	if (!*same)
		return;
	if (noted->sequence > state.last || noted->size > state.held.size)
		ereport(WARNING,
		        (errmsg("the stream %s has lost heads of \"%s\"", stream.name, state.tree.origin),
		         errdetail("It held a head of size " UINT64_FORMAT " at " UINT64_FORMAT
		                   "; now its last one is of size " UINT64_FORMAT " at " UINT64_FORMAT ".",
		                   noted->size, noted->sequence, state.held.size, state.held.sequence),
		         errhint("The tree itself is whole; it is anchored again.")));
	ga_anchor_note(&state.tree, &state.held);
}

static void
note_held(void *arg)
{
	(void) arg;
	ga_anchor_note(&state.tree, &state.held);
}

/* ---- the broker's side ---- */

static void
consider(const GaNatsMessage *message)
{
	GaAnchor head = {.sequence = message->seq};

	state.seen++;
	if (strcmp(message->subject, state.subject) != 0)
		return;
	if (!ga_anchor_signed(&state.tree, message->data, message->bytes, &head))
	{
		state.strange++;
		return;
	}
	head.stored_at =
	    message->stored_at_ns / NS_A_US - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	state.heads[state.nheads++] = head;
	if (state.held.sequence == 0 || head.size > state.held.size)
		state.held = head;
}

/* The subject's last message; state.at: where to go on. False: the broker cannot say. */
static bool
begin_look(GaNats *nats)
{
	char error[GA_NATS_ERROR_BYTES];
	GaNatsMessage *message;
	GaNatsStreamState now;

	state.seen = state.strange = 0;
	state.last = 0;
	state.held = (GaAnchor){0};
	state.nheads = 0;
	/* Without a key there will be no head: only look. */
	if (state.tree.nkeys > 0 && !ga_nats_ensure_stream(nats, &stream, error))
	{
		complain(error);
		return false;
	}
	switch (ga_nats_stored(nats, stream.name, state.subject, 0, &message, error))
	{
		case GA_NATS_ABSENT:
			return true;
		case GA_NATS_FAILED:
			complain(error);
			return false;
		case GA_NATS_OK:
			break;
	}
	state.last = message->seq;
	consider(message);
	ga_nats_free(message);
	if (ga_nats_stream_state(nats, stream.name, &now, error) != GA_NATS_OK)
	{
		complain(error);
		return false;
	}
	state.first = now.first;
	state.at = state.last - 1;
	return true;
}

/* False: the broker cannot say, or there is more to look at in the next turn. */
static bool
look_back(GaNats *nats)
{
	char error[GA_NATS_ERROR_BYTES];
	int end = state.seen + LOOK_A_TURN;

	while (state.at >= Max(state.first, 1) && (state.seen < LOOK_BACK || state.nheads == 0))
	{
		GaNatsMessage *message;

		CHECK_FOR_INTERRUPTS();
		if (state.seen == end)
		{
			state.next_at = 0;
			return false;
		}
		switch (ga_nats_stored(nats, stream.name, NULL, state.at, &message, error))
		{
			case GA_NATS_ABSENT: /* gone by the stream's own limits */
				state.seen++;
				break;
			case GA_NATS_FAILED:
				complain(error);
				state.at = 0;
				return false;
			case GA_NATS_OK:
				consider(message);
				ga_nats_free(message);
				break;
		}
		state.at--;
	}
	state.at = 0;
	return true;
}

static bool
look(GaNats *nats)
{
	bool same = false;

	if (state.at == 0 && !begin_look(nats))
		return false;
	if (!look_back(nats))
		return false;
	if (state.strange > 0)
		ereport(WARNING, (errmsg("%d messages on %s are not heads that this log signed",
		                         state.strange, state.subject),
		                  errhint("Only goldenarch's NATS user should be allowed to publish "
		                          "there.")));
	if (!ga_worker_transaction("comparing with anchored heads", compare, &same))
		return false;
	state.looked = same;
	return same;
}

static void
publish(GaNats *nats)
{
	GaBytes note = {state.tree.note, state.tree.note_bytes};
	uint8 digest[GA_HASH_BYTES];
	char error[GA_NATS_ERROR_BYTES];
	char msg_id[2 * GA_HASH_BYTES + 1] = {0};
	GaNatsEntry entry = {.stream = stream.name,
	                     .subject = state.subject,
	                     .msg_id = msg_id,
	                     .after = state.last,
	                     .data = state.tree.note,
	                     .bytes = state.tree.note_bytes};
	uint64 seq;

	if (!ga_sha256(&note, 1, digest))
		return;
	hex_encode((const char *) digest, sizeof(digest), msg_id);
	ga_wal_replicate();
	switch (ga_nats_append(nats, &entry, &seq, error))
	{
		case GA_NATS_KEPT:
			break;
		case GA_NATS_OVERTAKEN:
			look_again();
			return;
		case GA_NATS_UNKNOWN:
			complain(error);
			state.looked = false;
			return;
	}
	state.published = state.tree.head_id;
	/* Below it: stored before, the answer was lost. */
	if (seq > state.last)
	{
		state.held = state.tree.head;
		state.last = state.held.sequence = seq;
		state.held.stored_at = ga_now();
	}
	(void) ga_worker_transaction("noting an anchored head", note_held, NULL);
}

/* Is there anything to anchor, and has nothing been found that forbids it? */
static bool
may_go_on(void)
{
	if (state.verdict)
		ga_anchor_report(state.verdict);
	if (state.tree.forked || state.verdict)
	{
		state.looked = false;
		state.at = 0;
		return false;
	}
	return true;
}

long
ga_anchor_turn(GaNats *nats, bool fresh)
{
	int64 now = ga_monotonic_ns();

	if (fresh)
		look_again();
	if (now < state.next_at)
		return (long) ((state.next_at - now) / MS_NS) + 1;
	state.next_at = now + INTERVAL_NS;
	if (!ga_worker_transaction("reading audit heads", read_tree, NULL) || !state.present ||
	    !may_go_on())
		return INTERVAL_NS / MS_NS;
	if (!state.looked && !look(nats))
		return state.next_at == 0 ? 0 : INTERVAL_NS / MS_NS;
	/* A head that comes after a quiet second goes out as soon as the sealer wakes us. */
	if (state.tree.head_id == 0 || state.tree.head_id == state.published ||
	    state.tree.head.size < state.held.size)
		state.next_at = now + QUIET_NS;
	else
		publish(nats);
	if (state.looked)
	{
		state.trouble[0] = '\0';
		ga_anchor_report(NULL);
	}
	return state.next_at == 0 ? 0 : INTERVAL_NS / MS_NS;
}
