/* SPDX-License-Identifier: PostgreSQL */
/*
 * A connection to NATS as the workers see it: no server header, no type of cnats. Only the main
 * thread calls these; what arrives on our inbox is queued by a thread of cnats and announced on an
 * eventfd, so no thread of theirs ever runs our or PostgreSQL's code.
 */
#ifndef BRIDGE_NATS_H
#define BRIDGE_NATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GA_NATS_ERROR_BYTES 256

typedef struct GaNats GaNats;

typedef struct GaNatsSettings
{
	const char *urls; /* comma-separated */
	const char *name;
	const char *credentials_file; /* these may be empty */
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
} GaNatsSettings;

/*
 * Returns connected or still trying; it goes on trying until the server refuses us. Null: the
 * settings are wrong, and error says how. One connection a process.
 */
extern GaNats *ga_nats_open(const GaNatsSettings *settings, char *error);
/* Closes the connection and nothing more: cnats 3.4 crashes when it is torn down after TLS. */
extern void ga_nats_close(GaNats *nats);

extern bool ga_nats_connected(GaNats *nats);
/* For good, as after being refused twice: only another process can connect again. */
extern bool ga_nats_closed(GaNats *nats);
/* How often it has connected: another number means that requests in flight are lost. */
extern unsigned ga_nats_connects(GaNats *nats);
extern const char *ga_nats_server(GaNats *nats, char *url, size_t bytes);
extern void ga_nats_last_error(GaNats *nats, char *error);

/* Readable while messages wait in the queue. */
extern int ga_nats_fd(const GaNats *nats);
extern void ga_nats_clear_fd(GaNats *nats);
/* Prefix of reply subjects: add a dot and one or more tokens. */
extern const char *ga_nats_inbox(const GaNats *nats);

typedef struct GaNatsMessage
{
	struct GaNatsMessage *next;
	const char *subject; /* ours, that it was sent to, or the stream's */
	const char *reply;   /* null: none */
	const char *data;
	size_t bytes;
	int status;   /* 503, 404, 408, 409 ...; 0: a message */
	uint64_t seq; /* of ga_nats_stored alone, like when it was stored, since 1970 */
	int64_t stored_at_ns;
	void *held;
} GaNatsMessage;

/* Null: the queue is empty. The caller frees it. */
extern GaNatsMessage *ga_nats_take(GaNats *nats);
extern void ga_nats_free(GaNatsMessage *message);

typedef void (*GaNatsHeader)(void *context, const char *name, const char *const *values, int n);
extern void ga_nats_headers(GaNatsMessage *message, GaNatsHeader each, void *context);

typedef struct GaNatsOrigin
{
	char stream[256];
	char consumer[256];
	uint64_t seq;
	uint64_t delivered;
	int64_t stored_at_ns; /* since 1970 */
} GaNatsOrigin;

/* Where a message from a stream stood in it; false when it is not one. */
extern bool ga_nats_origin(GaNatsMessage *message, GaNatsOrigin *origin);

typedef struct GaNatsPair
{
	const char *name;
	const char *value;
} GaNatsPair;

typedef enum GaNatsSent
{
	GA_NATS_SENT,
	GA_NATS_TOO_LARGE,
	GA_NATS_NOT_SENT /* not connected, or the write did not end in time */
} GaNatsSent;

/* reply null: none. Copied: the arguments may go at once. */
extern GaNatsSent ga_nats_publish(GaNats *nats, const char *subject, const char *reply,
                                  const GaNatsPair *headers, int nheaders, const void *data,
                                  size_t bytes);

/* Management, synchronous, at most about two seconds. error as above. */
typedef struct GaNatsStream
{
	const char *name;
	const char *subjects[4]; /* up to the first null */
	int64_t max_age_ns;      /* 0: for ever */
	bool keep;               /* no message is ever deleted or purged, by anyone */
} GaNatsStream;

typedef enum GaNatsFound
{
	GA_NATS_OK,
	GA_NATS_ABSENT,
	GA_NATS_FAILED
} GaNatsFound;

/*
 * Makes the stream when it is absent; leaves one that exists as it is. False also for one that
 * exists and does not keep its messages, where that is asked for.
 */
extern bool ga_nats_ensure_stream(GaNats *nats, const GaNatsStream *stream, char *error);
/*
 * What the stream's leader holds: the last message of a subject or, where that is null, the message
 * at seq. The caller frees it.
 */
extern GaNatsFound ga_nats_stored(GaNats *nats, const char *stream, const char *subject,
                                  uint64_t seq, GaNatsMessage **message, char *error);

typedef enum GaNatsKept
{
	GA_NATS_KEPT,      /* stored at *seq, now or, under the same message id, before */
	GA_NATS_OVERTAKEN, /* another message is the subject's last: nothing was stored */
	GA_NATS_UNKNOWN    /* no answer, or a refusal: look what is stored */
} GaNatsKept;

typedef struct GaNatsEntry
{
	const char *stream;
	const char *subject;
	const char *msg_id;
	uint64_t after; /* the sequence of the subject's last message; 0: it has none */
	const void *data;
	size_t bytes;
} GaNatsEntry;

/* Publishes by compare-and-set and waits for the answer, at most about two seconds. */
extern GaNatsKept ga_nats_append(GaNats *nats, const GaNatsEntry *entry, uint64_t *seq,
                                 char *error);
typedef struct GaNatsStreamState
{
	int64_t created_ns; /* one that was made anew has another time, and begins again at 1 */
	uint64_t first;     /* sequence of the first message that it still holds */
} GaNatsStreamState;

extern GaNatsFound ga_nats_stream_state(GaNats *nats, const char *stream, GaNatsStreamState *state,
                                        char *error);
/* Is JetStream itself answering? Tells "no stream takes this" from "nothing is stored now". */
extern bool ga_nats_storing(GaNats *nats, char *error);

typedef struct GaNatsConsumer
{
	const char *stream;
	const char *durable;
	const char *subject;
	int64_t ack_wait_ns;
	uint64_t first_seq; /* where a new consumer starts; 0: at the beginning */
} GaNatsConsumer;

/* Makes or changes it. */
extern GaNatsFound ga_nats_ensure_consumer(GaNats *nats, const GaNatsConsumer *consumer,
                                           char *error);
/* Up to here every message of the stream is acknowledged. */
extern bool ga_nats_ack_floor(GaNats *nats, const char *stream, const char *durable,
                              uint64_t *floor);
extern bool ga_nats_delete_consumer(GaNats *nats, const char *stream, const char *durable,
                                    char *error);

#endif
