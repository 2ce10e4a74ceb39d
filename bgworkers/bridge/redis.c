/* SPDX-License-Identifier: PostgreSQL */
/*
 * The only file that knows hiredis. It starts no thread; a timeout on every read and write keeps a
 * stopped server from holding us.
 */
#include "redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

#define TIMEOUT_S 1
#define DEFAULT_PORT 6379

struct GaRedis
{
	redisContext *context;
	char server[256];
};

typedef struct Address
{
	char host[200];
	char user[100];
	char password[200];
	int port;
	int database;
} Address;

static bool
copy(char *to, size_t room, const char *from, size_t n)
{
	if (n >= room)
		return false;
	memcpy(to, from, n);
	to[n] = '\0';
	return true;
}

static bool
parse_credentials(const char *from, size_t n, Address *address)
{
	const char *colon = memchr(from, ':', n);
	size_t user = colon ? (size_t) (colon - from) : n;

	return copy(address->user, sizeof(address->user), from, user) &&
	       (!colon || copy(address->password, sizeof(address->password), colon + 1, n - user - 1));
}

static bool
parse(const char *url, Address *address)
{
	const char *from = url + strlen("redis://");
	size_t n;
	const char *at;
	const char *end;
	const char *colon;

	memset(address, 0, sizeof(*address));
	address->port = DEFAULT_PORT;
	if (strncmp(url, "redis://", strlen("redis://")) != 0)
		return false;
	n = strcspn(from, "/");
	if (from[n] == '/')
		address->database = atoi(from + n + 1);
	at = memchr(from, '@', n);
	if (at && !parse_credentials(from, (size_t) (at - from), address))
		return false;
	end = from + n;
	from = at ? at + 1 : from;
	colon = memchr(from, ':', (size_t) (end - from));
	if (colon)
		address->port = atoi(colon + 1);
	return copy(address->host, sizeof(address->host), from,
	            (size_t) ((colon ? colon : end) - from)) &&
	       address->host[0] && address->port > 0 && address->port < 65536 && address->database >= 0;
}

/* Takes the reply; false: an error of the connection or of the server's. */
static bool
accept_reply(GaRedis *redis, redisReply *reply, char *error)
{
	bool ok = reply && reply->type != REDIS_REPLY_ERROR;

	if (!ok)
		snprintf(error, GA_REDIS_ERROR_BYTES, "%s", reply ? reply->str : redis->context->errstr);
	if (reply)
		freeReplyObject(reply);
	return ok;
}

static bool
log_in(GaRedis *redis, const Address *address, char *error)
{
	redisReply *reply;

	if (address->password[0])
	{
		reply = address->user[0]
		            ? redisCommand(redis->context, "AUTH %s %s", address->user, address->password)
		            : redisCommand(redis->context, "AUTH %s", address->password);
		if (!accept_reply(redis, reply, error))
			return false;
	}
	if (address->database == 0)
		return ga_redis_ping(redis, error);
	reply = redisCommand(redis->context, "SELECT %d", address->database);
	return accept_reply(redis, reply, error);
}

GaRedis *
ga_redis_open(const char *url, char *error)
{
	struct timeval timeout = {TIMEOUT_S, 0};
	GaRedis *redis = calloc(1, sizeof(*redis));
	Address address;

	snprintf(error, GA_REDIS_ERROR_BYTES, "out of memory");
	if (!redis)
		return NULL;
	if (!parse(url, &address))
	{
		snprintf(error, GA_REDIS_ERROR_BYTES,
		         "goldenarch.redis_url is not redis://[[user]:password@]host[:port][/database]");
		free(redis);
		return NULL;
	}
	snprintf(redis->server, sizeof(redis->server), "%s:%d", address.host, address.port);
	redis->context = redisConnectWithTimeout(address.host, address.port, timeout);
	if (redis->context && redis->context->err)
		snprintf(error, GA_REDIS_ERROR_BYTES, "%.100s: %.120s", redis->server,
		         redis->context->errstr);
	else if (redis->context && redisSetTimeout(redis->context, timeout) == REDIS_OK &&
	         log_in(redis, &address, error))
		return redis;
	ga_redis_close(redis);
	return NULL;
}

void
ga_redis_close(GaRedis *redis)
{
	if (redis->context)
		redisFree(redis->context);
	free(redis);
}

const char *
ga_redis_server(const GaRedis *redis)
{
	return redis->server;
}

bool
ga_redis_ping(GaRedis *redis, char *error)
{
	return accept_reply(redis, redisCommand(redis->context, "PING"), error);
}

bool
ga_redis_set(GaRedis *redis, const GaRedisEntry *entries, int n, long ttl_ms, char *error)
{
	bool ok = true;
	int i;

	for (i = 0; i < n; i++)
		if (redisAppendCommand(redis->context, "SET %s %s PX %ld", entries[i].key, entries[i].value,
		                       ttl_ms) != REDIS_OK)
		{
			snprintf(error, GA_REDIS_ERROR_BYTES, "%s", redis->context->errstr);
			return false;
		}
	for (i = 0; i < n && ok; i++)
	{
		void *reply = NULL;

		(void) redisGetReply(redis->context, &reply);
		ok = accept_reply(redis, reply, error);
	}
	return ok;
}
