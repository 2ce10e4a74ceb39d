/* SPDX-License-Identifier: PostgreSQL */
/*
 * A connection to Redis, synchronous, every call bounded by about a second. No server header, no
 * type of hiredis. After a failed call the connection is useless and must be closed.
 */
#ifndef BRIDGE_REDIS_H
#define BRIDGE_REDIS_H

#include <stdbool.h>
#include <stddef.h>

#define GA_REDIS_ERROR_BYTES 256

typedef struct GaRedis GaRedis;

/* redis://[[user]:password@]host[:port][/database]. Null: error says why. */
extern GaRedis *ga_redis_open(const char *url, char *error);
extern void ga_redis_close(GaRedis *redis);
/* host:port */
extern const char *ga_redis_server(const GaRedis *redis);
extern bool ga_redis_ping(GaRedis *redis, char *error);

typedef struct GaRedisEntry
{
	const char *key;
	const char *value;
} GaRedisEntry;

/* All of them in one round trip, each with this time to live. */
extern bool ga_redis_set(GaRedis *redis, const GaRedisEntry *entries, int n, long ttl_ms,
                         char *error);

#endif
