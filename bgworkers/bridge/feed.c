/* SPDX-License-Identifier: PostgreSQL */
/*
 * Pull consumers by hand. One request a feed is out at a time; it ends by its messages, by a status
 * of the server's or by its time, whichever comes first, and a lost one costs that time and no
 * more. Holds no transaction while it talks, but for keeping the acknowledged floor, which does
 * not.
 */
#include "feed.h"

#include "utils/memutils.h"

#include "goldenarch/clock.h"
#include "link.h"

#define SECOND_NS INT64CONST(1000000000)
#define MS_NS INT64CONST(1000000)
#define REQUEST_MS 5000
#define REQUEST_GRACE_MS 2000
#define LOOK_AGAIN_NS SECOND_NS
#define FLOOR_EVERY_NS (15 * SECOND_NS)

GaFeed *
ga_feed_new(const GaSubscription *subscription)
{
	static unsigned numbers;
	GaFeed *feed = MemoryContextAllocZero(TopMemoryContext, sizeof(*feed));

	feed->subscription = *subscription;
	feed->number = ++numbers;
	feed->last = &feed->first;
	return feed;
}

GaNatsMessage *
ga_feed_take(GaFeed *feed)
{
	GaNatsMessage *message = feed->first;

	if (!message)
		return NULL;
	feed->first = message->next;
	if (!feed->first)
		feed->last = &feed->first;
	message->next = NULL;
	feed->queued--;
	return message;
}

void
ga_feed_free(GaFeed *feed)
{
	GaNatsMessage *message;

	while ((message = ga_feed_take(feed)) != NULL)
		ga_nats_free(message);
	pfree(feed);
}

void
ga_feed_reconnected(GaFeed *feed)
{
	feed->ready = false;
	feed->wanted = 0;
	feed->look_at = 0;
}

/* The floor is one of a certain stream; another one under the old name is read from its start. */
static bool
make_consumer(GaFeed *feed, GaNats *nats, char *error)
{
	GaSubscription *s = &feed->subscription;
	GaNatsConsumer consumer = {.stream = s->stream,
	                           .durable = s->durable,
	                           .subject = s->subject,
	                           .ack_wait_ns = s->ack_wait_ms * MS_NS};
	GaNatsStreamState state;

	if (ga_nats_stream_state(nats, s->stream, &state, error) != GA_NATS_OK)
		return false;
	if (s->stream_created != state.created_ns)
	{
		if (!ga_inbox_keep_floor(s, 0, state.created_ns))
		{
			snprintf(error, GA_NATS_ERROR_BYTES, "cannot note which stream %s is", s->stream);
			return false;
		}
		s->ack_floor = 0;
		s->stream_created = state.created_ns;
	}
	consumer.first_seq = s->ack_floor > 0 ? (uint64_t) s->ack_floor + 1 : 0;
	return ga_nats_ensure_consumer(nats, &consumer, error) == GA_NATS_OK;
}

static void
keep_floor(GaFeed *feed, GaNats *nats)
{
	GaSubscription *s = &feed->subscription;
	uint64_t floor;

	if (!ga_nats_ack_floor(nats, s->stream, s->durable, &floor))
		feed->ready = false;
	else if ((int64) floor != s->ack_floor &&
	         ga_inbox_keep_floor(s, (int64) floor, s->stream_created))
		s->ack_floor = (int64) floor;
}

static void
request(GaFeed *feed, GaNats *nats)
{
	char subject[400];
	char reply[200];
	char body[100];
	int n;

	feed->generation++;
	snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", feed->subscription.stream,
	         feed->subscription.durable);
	snprintf(reply, sizeof(reply), "%s.%u.%u", ga_nats_inbox(nats), feed->number, feed->generation);
	n = snprintf(body, sizeof(body), "{\"batch\":%d,\"expires\":" INT64_FORMAT "}",
	             feed->subscription.batch, REQUEST_MS * MS_NS);
	if (ga_nats_publish(nats, subject, reply, NULL, 0, body, (size_t) n) != GA_NATS_SENT)
		return;
	feed->wanted = feed->subscription.batch;
	feed->wanted_until = ga_monotonic_ns() + (REQUEST_MS + REQUEST_GRACE_MS) * MS_NS;
}

void
ga_feed_tend(GaFeed *feed, GaNats *nats)
{
	char error[GA_NATS_ERROR_BYTES];
	int64 now = ga_monotonic_ns();

	if (!feed->ready)
	{
		if (now < feed->look_at)
			return;
		feed->ready = make_consumer(feed, nats, error);
		feed->look_at = now + (feed->ready ? FLOOR_EVERY_NS : LOOK_AGAIN_NS);
		if (!feed->ready)
		{
			ga_link_complain(error);
			return;
		}
	}
	else if (now >= feed->look_at)
	{
		keep_floor(feed, nats);
		feed->look_at = now + FLOOR_EVERY_NS;
	}
	if (feed->queued == 0 && (feed->wanted <= 0 || now >= feed->wanted_until))
		request(feed, nats);
}

/* 404, 408, 409: this request brings no more; 503: the consumer is gone. */
static void
take_status(GaFeed **feeds, int n, GaNats *nats, const GaNatsMessage *message)
{
	unsigned number;
	unsigned generation;
	int i;

	if (sscanf(message->subject + strlen(ga_nats_inbox(nats)), ".%u.%u", &number, &generation) != 2)
		return;
	for (i = 0; i < n; i++)
		if (feeds[i]->number == number && feeds[i]->generation == generation)
		{
			feeds[i]->wanted = 0;
			if (message->status == 503)
				ga_feed_reconnected(feeds[i]);
		}
}

static bool
queue(GaFeed **feeds, int n, GaNatsMessage *message)
{
	GaNatsOrigin origin;
	int i;

	if (!ga_nats_origin(message, &origin))
		return false;
	for (i = 0; i < n; i++)
		if (strcmp(feeds[i]->subscription.durable, origin.consumer) == 0)
		{
			if (feeds[i]->queued++ == 0)
				feeds[i]->touched_at = ga_monotonic_ns();
			feeds[i]->wanted--;
			*feeds[i]->last = message;
			feeds[i]->last = &message->next;
			return true;
		}
	return false;
}

void
ga_feeds_deliver(GaFeed **feeds, int n, GaNats *nats)
{
	GaNatsMessage *message;

	while ((message = ga_nats_take(nats)) != NULL)
	{
		if (message->status != 0)
			take_status(feeds, n, nats, message);
		else if (queue(feeds, n, message))
			continue;
		ga_nats_free(message);
	}
}

static void
answer(GaNats *nats, const GaNatsMessage *message, const char *body)
{
	/* A lost answer brings the message again, and the inbox knows it. */
	if (message->reply)
		(void) ga_nats_publish(nats, message->reply, NULL, NULL, 0, body, strlen(body));
}

void
ga_feed_in_progress(GaNats *nats, const GaNatsMessage *message)
{
	answer(nats, message, "+WPI");
}

void
ga_feed_touch(GaFeed *feed, GaNats *nats)
{
	int64 now = ga_monotonic_ns();
	GaNatsMessage *message;

	if (now - feed->touched_at < feed->subscription.ack_wait_ms * MS_NS / 3)
		return;
	for (message = feed->first; message; message = message->next)
		ga_feed_in_progress(nats, message);
	feed->touched_at = now;
}

void
ga_feed_ack(GaNats *nats, const GaNatsMessage *message)
{
	answer(nats, message, "+ACK");
}

void
ga_feed_nak(GaNats *nats, const GaNatsMessage *message, int64 wait_ms)
{
	char body[64];

	snprintf(body, sizeof(body), "-NAK {\"delay\": " INT64_FORMAT "}", wait_ms * MS_NS);
	answer(nats, message, body);
}
