/* SPDX-License-Identifier: PostgreSQL */
/*
 * The relay: outbox -> JetStream. Read a page, send it in order, wait for the acknowledgement of
 * each, record what became of it, and only then go on. No transaction is open while the network is
 * used. At any crash, here, there or in between, what was not recorded is sent again under the same
 * Nats-Msg-Id.
 */
#include "entry.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "goldenarch/breaker.h"
#include "goldenarch/clock.h"
#include "anchor.h"
#include "link.h"
#include "outbox.h"

#define ACK_DEADLINE_MS 5000
#define COUNT_PAUSE_FACTOR 20
#define COUNT_INTERVAL_NS (INT64CONST(1000000000))
#define ADOPT_OFTEN_NS (5 * INT64CONST(1000000000))
#define ADOPT_SELDOM_NS (60 * INT64CONST(1000000000))
#define HEADERS_MAX 128
#define HOUR_NS (INT64CONST(3600) * INT64CONST(1000000000))

static const GaNatsStream streams[] = {
    {"PRC", {"prc.*.*"}, 7 * 24 * HOUR_NS, false},
    {"ESCALATIONS", {"supervisor.escalation", "alerts.critical"}, 30 * 24 * HOUR_NS, false},
    {"DLQ", {"dlq.>"}, 30 * 24 * HOUR_NS, false},
};

typedef struct Relay
{
	GaNats *nats;
	GaPage page;
	unsigned generation; /* in reply subjects: an answer to an earlier page is not ours */
	int open;            /* rows of the page without an answer */
	int64 started_at;
	int64 adopted_at;
	int64 counted_at;
	bool streams_known; /* they were all there when we last looked */
} Relay;

/* ---- sending ---- */

static int
add_header(GaNatsPair *pairs, int n, const char *name, const char *value)
{
	if (n < HEADERS_MAX)
		pairs[n++] = (GaNatsPair){name, value};
	return n;
}

/* The row's own headers: strings, or arrays of strings. */
static int
row_headers(const GaOutboxRow *row, GaNatsPair *pairs)
{
	JsonbIterator *it = JsonbIteratorInit(&row->headers->root);
	JsonbIteratorToken token;
	const char *name = "";
	JsonbValue v;
	int n = 0;

	n = add_header(pairs, n, "Nats-Msg-Id", row->msg_id);
	if (*row->tenant)
		n = add_header(pairs, n, "Ga-Tenant", row->tenant);
	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if ((token == WJB_VALUE || token == WJB_ELEM) && v.type == jbvString)
			n = add_header(pairs, n, name, pnstrdup(v.val.string.val, v.val.string.len));
	}
	return n;
}

static void
refuse(Relay *relay, GaOutboxRow *row, GaFate fate, const char *error)
{
	row->fate = fate;
	row->error = MemoryContextStrdup(relay->page.context, error);
	ga_link_complain(psprintf("%s: %s", row->subject, error));
}

static GaNatsSent
send_row(Relay *relay, int i)
{
	GaOutboxRow *row = &relay->page.rows[i];
	GaNatsPair pairs[HEADERS_MAX];
	MemoryContext before = MemoryContextSwitchTo(relay->page.context);
	int n = row_headers(row, pairs);
	char *reply = psprintf("%s.%u.%d", ga_nats_inbox(relay->nats), relay->generation, i);
	GaNatsSent sent = ga_nats_publish(relay->nats, row->subject, reply, pairs, n,
	                                  VARDATA_ANY(row->payload), VARSIZE_ANY_EXHDR(row->payload));

	MemoryContextSwitchTo(before);
	if (sent == GA_NATS_TOO_LARGE)
		refuse(relay, row, GA_FATE_UNSENDABLE, "larger than the server's max_payload");
	return sent;
}

/* False: the connection is in trouble; nothing more was sent. */
static bool
send_page(Relay *relay)
{
	int i;

	relay->generation++;
	relay->open = 0;
	for (i = 0; i < relay->page.n; i++)
	{
		if (relay->page.rows[i].fate != GA_FATE_OPEN)
			continue;
		switch (send_row(relay, i))
		{
			case GA_NATS_SENT:
				relay->open++;
				break;
			case GA_NATS_TOO_LARGE:
				break;
			case GA_NATS_NOT_SENT:
				return false;
		}
	}
	return true;
}

/* ---- answers ---- */

static char *
member_text(const char *json, const char *name)
{
	const char *at = strstr(json, name);
	const char *end;

	if (!at)
		return NULL;
	at += strlen(name);
	end = strchr(at, '"');
	return end ? pnstrdup(at, end - at) : NULL;
}

/*
 * A publish answer is {"stream":...,"seq":N} or {"error":{"code":...,"err_code":N,"description":
 * ...}}. Of errors, those that say "not now" leave the row open; the others are about this row.
 */
static void
read_answer(Relay *relay, GaOutboxRow *row, const GaNatsMessage *answer)
{
	char *json = pnstrdup(answer->data, answer->bytes);
	const char *code = strstr(json, "\"err_code\":");
	const char *error = strstr(json, "\"error\":");
	char *why;

	if (!error && strstr(json, "\"seq\":"))
	{
		row->fate = GA_FATE_ACKED;
		return;
	}
	why = member_text(json, "\"description\":\"");
	if (why && !pg_verify_mbstr(PG_UTF8, why, (int) strlen(why), true))
		why = NULL;
	why = psprintf("%s (%d)", why ? why : "unreadable answer of JetStream",
	               code ? atoi(code + strlen("\"err_code\":")) : 0);
	switch (code ? atoi(code + strlen("\"err_code\":")) : 0)
	{
		case 10002: /* resource limits of the account */
		case 10008: /* temporarily unavailable */
		case 10009: /* no leader */
		case 10023: /* insufficient resources */
		case 10028:
		case 10047: /* storage */
		case 10077: /* the stream is full */
			ga_link_complain(why);
			break;
		case 10054: /* larger than the stream allows */
			refuse(relay, row, GA_FATE_UNSENDABLE, why);
			break;
		default:
			refuse(relay, row, GA_FATE_REFUSED, why);
			break;
	}
}

static void
take_answer(Relay *relay, GaNatsMessage *answer, int *nobody)
{
	unsigned generation;
	int i;
	GaOutboxRow *row;

	if (strlen(answer->subject) <= strlen(ga_nats_inbox(relay->nats)) ||
	    sscanf(answer->subject + strlen(ga_nats_inbox(relay->nats)), ".%u.%d", &generation, &i) !=
	        2)
		return;
	if (generation != relay->generation || i < 0 || i >= relay->page.n)
		return;
	row = &relay->page.rows[i];
	if (row->fate != GA_FATE_OPEN)
		return;
	relay->open--;
	if (answer->status == 503)
	{
		refuse(relay, row, GA_FATE_REFUSED, "no stream takes this subject");
		(*nobody)++;
	}
	else
		read_answer(relay, row, answer);
}

/* JetStream itself being away is nobody's fault: those rows stay open. */
static void
pardon(Relay *relay)
{
	char error[GA_NATS_ERROR_BYTES];
	int i;

	if (ga_nats_storing(relay->nats, error))
		return;
	ga_link_complain(error);
	for (i = 0; i < relay->page.n; i++)
		if (relay->page.rows[i].fate == GA_FATE_REFUSED)
			relay->page.rows[i].fate = GA_FATE_OPEN;
}

static void
await_answers(Relay *relay)
{
	int64 deadline = ga_monotonic_ns() + ACK_DEADLINE_MS * INT64CONST(1000000);
	unsigned connects = ga_nats_connects(relay->nats);
	MemoryContext before = MemoryContextSwitchTo(relay->page.context);
	int nobody = 0;

	while (relay->open > 0)
	{
		GaNatsMessage *answer = ga_nats_take(relay->nats);
		int64 left = (deadline - ga_monotonic_ns()) / 1000000;

		if (answer)
		{
			take_answer(relay, answer, &nobody);
			ga_nats_free(answer);
			continue;
		}
		if (left <= 0 || connects != ga_nats_connects(relay->nats) ||
		    !ga_nats_connected(relay->nats))
			break;
		(void) ga_link_wait(relay->nats, Min((long) left, 1000));
	}
	if (nobody > 0)
	{
		/* One of ours may have been deleted. */
		relay->streams_known = false;
		pardon(relay);
	}
	MemoryContextSwitchTo(before);
}

/* ---- the loop ---- */

static void
count_now_and_then(Relay *relay)
{
	int64 now = ga_monotonic_ns();

	if (relay->counted_at != 0 && now - relay->counted_at < COUNT_INTERVAL_NS)
		return;
	(void) ga_outbox_count();
	/* A long backlog takes a while to count: that must not become the relay's work. */
	relay->counted_at = now + (ga_monotonic_ns() - now) * COUNT_PAUSE_FACTOR;
}

/* The relay may be running already while a dump is loaded: often at first, seldom later. */
static void
adopt_now_and_then(Relay *relay)
{
	int64 now = ga_monotonic_ns();
	int64 interval = now - relay->started_at < ADOPT_SELDOM_NS ? ADOPT_OFTEN_NS : ADOPT_SELDOM_NS;

	if (relay->adopted_at != 0 && now - relay->adopted_at < interval)
		return;
	relay->adopted_at = now;
	(void) ga_outbox_adopt();
}

static bool
ensure_streams(Relay *relay)
{
	char error[GA_NATS_ERROR_BYTES];
	int i;

	for (i = 0; i < (int) lengthof(streams); i++)
		if (!ga_nats_ensure_stream(relay->nats, &streams[i], error))
		{
			ga_link_complain(error);
			return false;
		}
	return true;
}

/* Send what the page holds and record it. False: wait before the next. */
static bool
work_off(Relay *relay)
{
	bool sent;
	int settled;

	if (!ga_breaker_try("nats"))
		return false;
	sent = send_page(relay);
	await_answers(relay);
	if (!ga_outbox_settle(&relay->page, &settled))
		return false;
	sent = sent && settled == relay->page.n;
	ga_breaker_report("nats", sent, sent ? NULL : "messages were not acknowledged");
	return sent;
}

/* How long to wait before the next turn. */
static long
turn(Relay *relay)
{
	long next_ms = 1000;

	if (!ga_outbox_read_parked(&relay->page, &next_ms))
		return 1000;
	if (relay->page.n > 0 && !work_off(relay))
		return 250;
	if (!ga_outbox_read(&relay->page))
		return 1000;
	if (relay->page.n == 0)
		return next_ms;
	return work_off(relay) ? 0 : 250;
}

/*
 * The pages must be read by index, whatever the statistics say of a table that is empty at
 * night.
 */
static void
pin_plans(void)
{
	SetConfigOption("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION);
	/* The cost that stands for "off" would have every statement compiled first. */
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
}

void
ga_bridge_relay_run(void)
{
	Relay relay = {0};

	pin_plans();
	relay.page.context =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch relay page", ALLOCSET_DEFAULT_SIZES);
	relay.nats = ga_link_open(GA_PEER_NATS, "relay");
	relay.started_at = ga_monotonic_ns();
	for (;;)
	{
		bool fresh;
		long wait_ms = 1000;

		CHECK_FOR_INTERRUPTS();
		adopt_now_and_then(&relay);
		count_now_and_then(&relay);
		if (ga_link_up(relay.nats, &fresh))
		{
			if (fresh || !relay.streams_known)
				relay.streams_known = ensure_streams(&relay);
			if (relay.streams_known)
				wait_ms = turn(&relay);
			wait_ms = Min(wait_ms, ga_anchor_turn(relay.nats, fresh));
		}
		if (wait_ms > 0)
			(void) ga_link_wait(relay.nats, wait_ms);
	}
}
