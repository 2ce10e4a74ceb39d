/* SPDX-License-Identifier: PostgreSQL */
/*
 * The only file that knows cnats. Its threads must never run a signal handler of PostgreSQL's, so
 * every signal is blocked around each call that may start one. The queue's mutex is the only lock,
 * held for a few pointer moves. Binding traps of cnats 3.4.1: no nats_Close (it crashes after TLS),
 * a write deadline (a stopped server would hold us in send() for ever), no acks through natsMsg_Ack
 * on a plain subscription, no buffer for what is published while disconnected.
 */
#include "nats.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nats/nats.h>

#define WRITE_DEADLINE_MS 1500
#define API_WAIT_MS 2000
#define CONNECT_TIMEOUT_MS 2000
#define PING_INTERVAL_MS 5000
#define PINGS_OUT_MAX 2
#define RECONNECT_WAIT_MS 250
#define SERVERS_MAX 16
#define DUPLICATES_NS (INT64_C(600) * 1000000000)
#define ACK_PENDING_MAX 10000

struct GaNats
{
	natsConnection *connection;
	natsSubscription *subscription;
	jsCtx *js;
	natsInbox *inbox;
	char *wildcard;
	int fd;
	atomic_uint connects;
	pthread_mutex_t lock;
	GaNatsMessage *first;
	GaNatsMessage **last;
	char error[GA_NATS_ERROR_BYTES];
};

static void
block_signals(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void
say(char *error, const char *what, natsStatus status, jsErrCode code)
{
	const char *why = nats_GetLastError(NULL);

	if (code != 0)
		snprintf(error, GA_NATS_ERROR_BYTES, "%s: %s (%d)", what,
		         why && *why ? why : natsStatus_GetText(status), (int) code);
	else
		snprintf(error, GA_NATS_ERROR_BYTES, "%s: %s", what,
		         why && *why ? why : natsStatus_GetText(status));
}

/* ---- what runs in the threads of cnats ---- */

static void
announce(GaNats *nats)
{
	uint64_t one = 1;
	ssize_t ignored = write(nats->fd, &one, sizeof(one));

	(void) ignored;
}

static void
on_connect(natsConnection *connection, void *closure)
{
	GaNats *nats = closure;

	(void) connection;
	pthread_mutex_lock(&nats->lock);
	nats->error[0] = '\0';
	pthread_mutex_unlock(&nats->lock);
	atomic_fetch_add(&nats->connects, 1);
	announce(nats);
}

static void
on_disconnect(natsConnection *connection, void *closure)
{
	(void) connection;
	announce(closure);
}

static void
on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status,
         void *closure)
{
	GaNats *nats = closure;

	(void) connection;
	(void) subscription;
	pthread_mutex_lock(&nats->lock);
	snprintf(nats->error, sizeof(nats->error), "%s", natsStatus_GetText(status));
	pthread_mutex_unlock(&nats->lock);
	announce(nats);
}

static void
on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure)
{
	GaNats *nats = closure;
	GaNatsMessage *message = calloc(1, sizeof(*message));
	const char *status = NULL;

	(void) connection;
	(void) subscription;
	if (!message)
	{
		/* It comes again: nothing was acknowledged. */
		natsMsg_Destroy(msg);
		return;
	}
	message->subject = natsMsg_GetSubject(msg);
	message->reply = natsMsg_GetReply(msg);
	message->data = natsMsg_GetData(msg);
	message->bytes = (size_t) natsMsg_GetDataLength(msg);
	message->held = msg;
	/* On our inbox alone: a message of a stream may have a header of this name, and is one. */
	if (message->bytes == 0 && strncmp(message->subject, nats->inbox, strlen(nats->inbox)) == 0 &&
	    natsMsgHeader_Get(msg, "Status", &status) == NATS_OK && status)
		message->status = atoi(status);
	pthread_mutex_lock(&nats->lock);
	*nats->last = message;
	nats->last = &message->next;
	pthread_mutex_unlock(&nats->lock);
	announce(nats);
}

/* ---- connection ---- */

static natsStatus
set_servers(natsOptions *options, char *urls)
{
	const char *servers[SERVERS_MAX];
	char *rest = NULL;
	char *url;
	int n = 0;

	for (url = strtok_r(urls, ", ", &rest); url && n < SERVERS_MAX;
	     url = strtok_r(NULL, ", ", &rest))
		servers[n++] = url;
	return n == 0 ? NATS_INVALID_ARG : natsOptions_SetServers(options, servers, n);
}

/* The host of the first URL: what the server's certificate must be for. */
static void
host_of(const char *url, char *host, size_t bytes)
{
	const char *from = strstr(url, "://");
	const char *at;
	size_t n;

	from = from ? from + 3 : url;
	n = strcspn(from, ", ");
	at = memchr(from, '@', n);
	if (at)
	{
		n -= (size_t) (at + 1 - from);
		from = at + 1;
	}
	if (*from == '[')
	{
		from++;
		n = strcspn(from, "]");
	}
	else if (memchr(from, ':', n))
		n = strcspn(from, ":");
	snprintf(host, bytes, "%.*s", (int) n, from);
}

static natsStatus
set_tls(natsOptions *options, const GaNatsSettings *settings)
{
	char host[256];
	natsStatus s = NATS_OK;

	host_of(settings->urls, host, sizeof(host));
	if (*settings->ca_file)
		s = natsOptions_SetSecure(options, true);
	if (s == NATS_OK && *settings->ca_file)
		s = natsOptions_LoadCATrustedCertificates(options, settings->ca_file);
	/* Always: the server, or a URL of tls://, may turn TLS on. */
	if (s == NATS_OK)
		s = natsOptions_SetExpectedHostname(options, host);
	if (s == NATS_OK && *settings->cert_file)
		s = natsOptions_LoadCertificatesChain(options, settings->cert_file, settings->key_file);
	return s;
}

static natsStatus
set_options(GaNats *nats, natsOptions *options, const GaNatsSettings *settings, char *urls)
{
	natsStatus s = set_servers(options, urls);

	if (s == NATS_OK)
		s = natsOptions_SetName(options, settings->name);
	if (s == NATS_OK)
		s = natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(options, -1);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectWait(options, RECONNECT_WAIT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectBufSize(options, 1);
	if (s == NATS_OK)
		s = natsOptions_SetWriteDeadline(options, WRITE_DEADLINE_MS);
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(options, PINGS_OUT_MAX);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(options, on_connect, nats);
	if (s == NATS_OK)
		s = natsOptions_SetDisconnectedCB(options, on_disconnect, nats);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(options, on_error, nats);
	if (s == NATS_OK && *settings->credentials_file)
		s = natsOptions_SetUserCredentialsFromFiles(options, settings->credentials_file, NULL);
	if (s == NATS_OK)
		s = set_tls(options, settings);
	return s;
}

static natsStatus
listen_on_inbox(GaNats *nats)
{
	jsOptions options;
	natsStatus s = natsInbox_Create(&nats->inbox);

	if (s != NATS_OK)
		return s;
	nats->wildcard = malloc(strlen(nats->inbox) + 3);
	if (!nats->wildcard)
		return NATS_NO_MEMORY;
	snprintf(nats->wildcard, strlen(nats->inbox) + 3, "%s.>", nats->inbox);
	s = natsConnection_Subscribe(&nats->subscription, nats->connection, nats->wildcard, on_message,
	                             nats);
	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(nats->subscription, -1, -1);
	if (s == NATS_OK)
		s = jsOptions_Init(&options);
	options.Wait = API_WAIT_MS;
	if (s == NATS_OK)
		s = natsConnection_JetStream(&nats->js, nats->connection, &options);
	return s;
}

/* Once without going on trying: only then does cnats say why it does not come about. */
static natsStatus
connect_now_or_later(GaNats *nats, natsOptions *options)
{
	natsStatus s = natsConnection_Connect(&nats->connection, options);

	if (s == NATS_OK)
	{
		atomic_fetch_add(&nats->connects, 1);
		return s;
	}
	say(nats->error, "cannot connect to NATS", s, 0);
	s = natsOptions_SetRetryOnFailedConnect(options, true, on_connect, nats);
	if (s == NATS_OK)
		s = natsConnection_Connect(&nats->connection, options);
	return s == NATS_NOT_YET_CONNECTED ? NATS_OK : s;
}

static natsStatus
open_connection(GaNats *nats, const GaNatsSettings *settings, char *urls)
{
	natsOptions *options = NULL;
	natsStatus s = nats_Open(-1);

	if (s == NATS_OK)
		s = natsOptions_Create(&options);
	if (s == NATS_OK)
		s = set_options(nats, options, settings, urls);
	if (s == NATS_OK)
		s = connect_now_or_later(nats, options);
	natsOptions_Destroy(options);
	return s == NATS_OK ? listen_on_inbox(nats) : s;
}

GaNats *
ga_nats_open(const GaNatsSettings *settings, char *error)
{
	GaNats *nats = calloc(1, sizeof(*nats));
	char *urls = strdup(settings->urls);
	sigset_t before;
	natsStatus s;

	if (!nats || !urls)
	{
		free(nats);
		free(urls);
		say(error, "cannot set up the connection to NATS", NATS_NO_MEMORY, 0);
		return NULL;
	}
	nats->last = &nats->first;
	nats->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&nats->lock, NULL);
	block_signals(&before);
	s = open_connection(nats, settings, urls);
	restore_signals(&before);
	free(urls);
	if (s == NATS_OK)
		return nats;
	/* What it holds stays: threads may still know it, and the process ends. */
	if (nats->connection)
		ga_nats_last_error(nats, error);
	else
		say(error, "cannot set up the connection to NATS", s, 0);
	return NULL; /* NOLINT: not a leak that grows */
}

void
ga_nats_close(GaNats *nats)
{
	sigset_t before;

	block_signals(&before);
	jsCtx_Destroy(nats->js);
	natsSubscription_Destroy(nats->subscription);
	natsConnection_Close(nats->connection);
	natsConnection_Destroy(nats->connection);
	restore_signals(&before);
}

bool
ga_nats_connected(GaNats *nats)
{
	return natsConnection_Status(nats->connection) == NATS_CONN_STATUS_CONNECTED;
}

bool
ga_nats_closed(GaNats *nats)
{
	return natsConnection_Status(nats->connection) == NATS_CONN_STATUS_CLOSED;
}

unsigned
ga_nats_connects(GaNats *nats)
{
	return atomic_load(&nats->connects);
}

const char *
ga_nats_server(GaNats *nats, char *url, size_t bytes)
{
	const char *at;

	if (natsConnection_GetConnectedUrl(nats->connection, url, bytes) != NATS_OK)
		return NULL;
	/* A URL may hold a password. */
	at = strrchr(url, '@');
	return at ? at + 1 : url;
}

void
ga_nats_last_error(GaNats *nats, char *error)
{
	const char *why = NULL;

	pthread_mutex_lock(&nats->lock);
	snprintf(error, GA_NATS_ERROR_BYTES, "%s", nats->error);
	pthread_mutex_unlock(&nats->lock);
	if (!*error)
	{
		natsStatus s = natsConnection_GetLastError(nats->connection, &why);

		snprintf(error, GA_NATS_ERROR_BYTES, "%s",
		         why && *why ? why : natsStatus_GetText(s == NATS_OK ? NATS_NO_SERVER : s));
	}
}

/* ---- what arrives ---- */

int
ga_nats_fd(const GaNats *nats)
{
	return nats->fd;
}

void
ga_nats_clear_fd(GaNats *nats)
{
	uint64_t count;
	ssize_t ignored = read(nats->fd, &count, sizeof(count));

	(void) ignored;
}

const char *
ga_nats_inbox(const GaNats *nats)
{
	return nats->inbox;
}

GaNatsMessage *
ga_nats_take(GaNats *nats)
{
	GaNatsMessage *message;

	pthread_mutex_lock(&nats->lock);
	message = nats->first;
	if (message)
	{
		nats->first = message->next;
		if (!nats->first)
			nats->last = &nats->first;
		message->next = NULL;
	}
	pthread_mutex_unlock(&nats->lock);
	return message;
}

void
ga_nats_free(GaNatsMessage *message)
{
	natsMsg_Destroy(message->held);
	free(message);
}

void
ga_nats_headers(GaNatsMessage *message, GaNatsHeader each, void *context)
{
	const char **names = NULL;
	int n = 0;
	int i;

	if (natsMsgHeader_Keys(message->held, &names, &n) != NATS_OK)
		return;
	for (i = 0; i < n; i++)
	{
		const char **values = NULL;
		int count = 0;

		if (natsMsgHeader_Values(message->held, names[i], &values, &count) == NATS_OK)
		{
			each(context, names[i], values, count);
			free(values);
		}
	}
	free(names);
}

bool
ga_nats_origin(GaNatsMessage *message, GaNatsOrigin *origin)
{
	jsMsgMetaData *meta = NULL;

	if (natsMsg_GetMetaData(&meta, message->held) != NATS_OK)
		return false;
	snprintf(origin->stream, sizeof(origin->stream), "%s", meta->Stream ? meta->Stream : "");
	snprintf(origin->consumer, sizeof(origin->consumer), "%s",
	         meta->Consumer ? meta->Consumer : "");
	origin->seq = meta->Sequence.Stream;
	origin->delivered = meta->NumDelivered;
	origin->stored_at_ns = meta->Timestamp;
	jsMsgMetaData_Destroy(meta);
	return true;
}

/* ---- what leaves ---- */

GaNatsSent
ga_nats_publish(GaNats *nats, const char *subject, const char *reply, const GaNatsPair *headers,
                int nheaders, const void *data, size_t bytes)
{
	natsMsg *msg = NULL;
	natsStatus s = natsMsg_Create(&msg, subject, reply, data, (int) bytes);
	int i;

	for (i = 0; i < nheaders && s == NATS_OK; i++)
		s = natsMsgHeader_Add(msg, headers[i].name, headers[i].value);
	if (s == NATS_OK)
		s = natsConnection_PublishMsg(nats->connection, msg);
	natsMsg_Destroy(msg);
	if (s == NATS_MAX_PAYLOAD)
		return GA_NATS_TOO_LARGE;
	return s == NATS_OK ? GA_NATS_SENT : GA_NATS_NOT_SENT;
}

/* ---- management ---- */

static natsStatus
add_stream(GaNats *nats, const GaNatsStream *stream, jsErrCode *code)
{
	jsStreamConfig config;
	jsStreamInfo *info = NULL;
	natsStatus s = jsStreamConfig_Init(&config);

	config.Name = stream->name;
	config.Subjects = (const char **) stream->subjects;
	while (config.SubjectsLen < 4 && stream->subjects[config.SubjectsLen])
		config.SubjectsLen++;
	config.Storage = js_FileStorage;
	config.MaxAge = stream->max_age_ns;
	config.Duplicates = DUPLICATES_NS;
	config.DenyDelete = stream->keep;
	config.DenyPurge = stream->keep;
	if (s == NATS_OK)
		s = js_AddStream(&info, nats->js, &config, NULL, code);
	jsStreamInfo_Destroy(info);
	return s;
}

/* Null: what is stored there stays. */
static const char *
not_kept(const jsStreamConfig *config)
{
	if (!config->DenyDelete)
		return "exists and allows messages to be deleted: make it anew with deny_delete";
	if (!config->DenyPurge)
		return "exists and allows messages to be purged: make it anew with deny_purge";
	if (config->Retention != js_LimitsPolicy)
		return "exists and drops messages that were read: its retention must be by limits";
	if (config->Storage != js_FileStorage)
		return "exists and keeps messages in memory: its storage must be file";
	return NULL;
}

bool
ga_nats_ensure_stream(GaNats *nats, const GaNatsStream *stream, char *error)
{
	jsStreamInfo *info = NULL;
	const char *refused = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	s = js_GetStreamInfo(&info, nats->js, stream->name, NULL, &code);
	if (s == NATS_OK && stream->keep)
		refused = not_kept(info->Config);
	jsStreamInfo_Destroy(info);
	if (s == NATS_NOT_FOUND || code == JSStreamNotFoundErr)
	{
		code = 0;
		s = add_stream(nats, stream, &code);
	}
	restore_signals(&before);
	if (s != NATS_OK)
	{
		char what[300];

		snprintf(what, sizeof(what), "stream %s", stream->name);
		say(error, what, s, code);
	}
	else if (refused)
		snprintf(error, GA_NATS_ERROR_BYTES, "stream %s %s", stream->name, refused);
	return s == NATS_OK && !refused;
}

/* A message that we asked for: one of ours to free, or null. */
static GaNatsMessage *
hold(natsMsg *msg)
{
	GaNatsMessage *message = calloc(1, sizeof(*message));

	if (!message)
	{
		natsMsg_Destroy(msg);
		return NULL;
	}
	message->subject = natsMsg_GetSubject(msg);
	message->data = natsMsg_GetData(msg);
	message->bytes = (size_t) natsMsg_GetDataLength(msg);
	message->seq = natsMsg_GetSequence(msg);
	message->stored_at_ns = natsMsg_GetTime(msg);
	message->held = msg;
	return message;
}

GaNatsFound
ga_nats_stored(GaNats *nats, const char *stream, const char *subject, uint64_t seq,
               GaNatsMessage **message, char *error)
{
	natsMsg *msg = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	*message = NULL;
	block_signals(&before);
	if (subject)
		s = js_GetLastMsg(&msg, nats->js, stream, subject, NULL, &code);
	else
		s = js_GetMsg(&msg, nats->js, stream, seq, NULL, &code);
	restore_signals(&before);
	if (s == NATS_OK)
	{
		*message = hold(msg);
		s = *message ? NATS_OK : NATS_NO_MEMORY;
	}
	if (s == NATS_OK)
		return GA_NATS_OK;
	if (code == JSNoMessageFoundErr || code == JSStreamNotFoundErr)
		return GA_NATS_ABSENT;
	say(error, stream, s, code);
	return GA_NATS_FAILED;
}

GaNatsKept
ga_nats_append(GaNats *nats, const GaNatsEntry *entry, uint64_t *seq, char *error)
{
	natsMsg *msg = NULL;
	jsPubAck *ack = NULL;
	jsErrCode code = 0;
	char after[24];
	sigset_t before;
	natsStatus s =
	    natsMsg_Create(&msg, entry->subject, NULL, (const char *) entry->data, (int) entry->bytes);

	/* By hand: the options of cnats cannot say that the last sequence is 0. */
	snprintf(after, sizeof(after), "%llu", (unsigned long long) entry->after);
	if (s == NATS_OK)
		s = natsMsgHeader_Add(msg, "Nats-Expected-Stream", entry->stream);
	if (s == NATS_OK)
		s = natsMsgHeader_Add(msg, "Nats-Expected-Last-Subject-Sequence", after);
	if (s == NATS_OK)
		s = natsMsgHeader_Add(msg, "Nats-Msg-Id", entry->msg_id);
	block_signals(&before);
	if (s == NATS_OK)
		s = js_PublishMsg(&ack, nats->js, msg, NULL, &code);
	restore_signals(&before);
	*seq = s == NATS_OK ? ack->Sequence : 0;
	jsPubAck_Destroy(ack);
	natsMsg_Destroy(msg);
	if (s == NATS_OK)
		return GA_NATS_KEPT;
	say(error, entry->stream, s, code);
	return code == JSStreamWrongLastSequenceErr ? GA_NATS_OVERTAKEN : GA_NATS_UNKNOWN;
}

GaNatsFound
ga_nats_stream_state(GaNats *nats, const char *stream, GaNatsStreamState *state, char *error)
{
	jsStreamInfo *info = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	s = js_GetStreamInfo(&info, nats->js, stream, NULL, &code);
	*state = s == NATS_OK ? (GaNatsStreamState){info->Created, info->State.FirstSeq}
	                      : (GaNatsStreamState){0};
	jsStreamInfo_Destroy(info);
	restore_signals(&before);
	if (s == NATS_OK)
		return GA_NATS_OK;
	if (s == NATS_NOT_FOUND || code == JSStreamNotFoundErr)
	{
		snprintf(error, GA_NATS_ERROR_BYTES, "stream %s does not exist", stream);
		return GA_NATS_ABSENT;
	}
	say(error, stream, s, code);
	return GA_NATS_FAILED;
}

bool
ga_nats_storing(GaNats *nats, char *error)
{
	jsAccountInfo *info = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	s = js_GetAccountInfo(&info, nats->js, NULL, &code);
	jsAccountInfo_Destroy(info);
	restore_signals(&before);
	if (s != NATS_OK)
		say(error, "JetStream does not answer", s, code);
	return s == NATS_OK;
}

GaNatsFound
ga_nats_ensure_consumer(GaNats *nats, const GaNatsConsumer *consumer, char *error)
{
	jsConsumerConfig config;
	jsConsumerInfo *info = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	jsConsumerConfig_Init(&config);
	config.Durable = consumer->durable;
	config.FilterSubject = consumer->subject;
	config.AckPolicy = js_AckExplicit;
	config.AckWait = consumer->ack_wait_ns;
	config.MaxDeliver = -1;
	config.MaxAckPending = ACK_PENDING_MAX;
	config.DeliverPolicy = js_DeliverAll;
	s = js_GetConsumerInfo(&info, nats->js, consumer->stream, consumer->durable, NULL, &code);
	if (s == NATS_OK)
	{
		/* Where it started cannot be changed. */
		config.DeliverPolicy = info->Config->DeliverPolicy;
		config.OptStartSeq = info->Config->OptStartSeq;
	}
	else if (consumer->first_seq > 1)
	{
		config.DeliverPolicy = js_DeliverByStartSequence;
		config.OptStartSeq = consumer->first_seq;
	}
	jsConsumerInfo_Destroy(info);
	info = NULL;
	code = 0;
	s = js_AddConsumer(&info, nats->js, consumer->stream, &config, NULL, &code);
	jsConsumerInfo_Destroy(info);
	restore_signals(&before);
	if (s == NATS_OK)
		return GA_NATS_OK;
	if (code == JSStreamNotFoundErr)
	{
		snprintf(error, GA_NATS_ERROR_BYTES, "stream %s does not exist", consumer->stream);
		return GA_NATS_ABSENT;
	}
	say(error, consumer->durable, s, code);
	return GA_NATS_FAILED;
}

bool
ga_nats_ack_floor(GaNats *nats, const char *stream, const char *durable, uint64_t *floor)
{
	jsConsumerInfo *info = NULL;
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	s = js_GetConsumerInfo(&info, nats->js, stream, durable, NULL, &code);
	*floor = s == NATS_OK ? info->AckFloor.Stream : 0;
	jsConsumerInfo_Destroy(info);
	restore_signals(&before);
	return s == NATS_OK;
}

bool
ga_nats_delete_consumer(GaNats *nats, const char *stream, const char *durable, char *error)
{
	jsErrCode code = 0;
	sigset_t before;
	natsStatus s;

	block_signals(&before);
	s = js_DeleteConsumer(nats->js, stream, durable, NULL, &code);
	restore_signals(&before);
	if (s == NATS_OK || s == NATS_NOT_FOUND || code == JSConsumerNotFoundErr ||
	    code == JSStreamNotFoundErr)
		return true;
	say(error, durable, s, code);
	return false;
}
