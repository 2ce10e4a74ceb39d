/* SPDX-License-Identifier: PostgreSQL */
/* pg.h: the conversation with the database, one statement at a time, never waited for. */
#ifndef GOLDENARCH_EXECUTOR_PG_H
#define GOLDENARCH_EXECUTOR_PG_H

#include <libpq-fe.h>

#include "pool.h"

typedef enum GaPgState
{
	GA_PG_DOWN,       /* no connection; the next attempt is at retry_at */
	GA_PG_CONNECTING, /* libpq is at it */
	GA_PG_IDLE,
	GA_PG_BUSY /* one statement is out */
} GaPgState;

typedef enum GaPgAsk
{
	GA_ASK_NOTHING,
	GA_ASK_LISTEN,
	GA_ASK_REGISTER,
	GA_ASK_HEARTBEAT,
	GA_ASK_FINISH,
	GA_ASK_RELEASE,
	GA_ASK_CLAIM
} GaPgAsk;

typedef struct GaPg
{
	const GaOptions *options;
	PGconn *conn;
	GaPgState state;
	GaPgAsk asked;
	PostgresPollingStatusType waiting; /* while connecting */
	GaJob *subject;                    /* of FINISH and RELEASE */
	int64_t deadline;                  /* of the statement or the attempt */
	int64_t retry_at;
	int64_t claim_at;
	int64_t heartbeat_at;
	int64_t proved_at; /* when a heartbeat that was answered had been sent */
	int64_t asked_at;
	int failures;
	const char *told; /* the state that the last registration said */
	bool registered;  /* on this connection */
	bool introduced;  /* in this life */
	bool said_goodbye;
	char last_error[GA_WHY_MAX];
} GaPg;

void ga_pg_init(GaPg *pg, const GaOptions *options);
/* The descriptor to poll and what for, or events 0. */
struct pollfd ga_pg_poll(const GaPg *pg);
/* Connect, take answers in, ask the next thing. Never blocks but for name resolution. */
void ga_pg_step(GaPg *pg, GaPool *pool);
int ga_pg_patience(const GaPg *pg, const GaPool *pool);
void ga_pg_close(GaPg *pg);

#endif
