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
 * Returns at once, connected or still trying; it goes on trying for ever. Null: the settings are
 * wrong, and error says how. One connection a process.
 */
extern GaNats *ga_nats_open(const GaNatsSettings *settings, char *error);
/* Closes the connection and nothing more: cnats 3.4 crashes when it is torn down after TLS. */
extern void ga_nats_close(GaNats *nats);

extern bool ga_nats_connected(GaNats *nats);
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
	int status; /* 503, 404, 408, 409 ...; 0: a message */
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
	int64_t max_age_ns;
} GaNatsStream;

typedef enum GaNatsFound
{
	GA_NATS_OK,
	GA_NATS_ABSENT,
	GA_NATS_FAILED
} GaNatsFound;

/* Makes the stream when it is absent; leaves one that exists as it is. */
extern bool ga_nats_ensure_stream(GaNats *nats, const GaNatsStream *stream, char *error);
/* When a stream was created: one that was made anew has another time, and begins again at 1. */
extern GaNatsFound ga_nats_stream_created(GaNats *nats, const char *stream, int64_t *created_ns,
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
