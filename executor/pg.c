/* SPDX-License-Identifier: PostgreSQL */
/*
 * pg.c: the conversation with the database. One statement is out at a time, with a deadline after
 * which the connection is given up; a lost connection is tried again with growing pauses. A result
 * that could not be delivered stays with its slot and is sent again: finish_job takes it once,
 * under the job's fencing token. Whoever cannot prove its leases for FENCE_MS stops its jobs
 * before the server may hand them to another. Only functions are called; job text travels as
 * parameters.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "pg.h"

#define STATEMENT_MS 10000
#define CLAIM_MS 1000
#define HEARTBEAT_MS 1000
#define FENCE_MS 20000
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 5000

void
ga_pg_init(GaPg *pg, const GaOptions *options)
{
	memset(pg, 0, sizeof(*pg));
	pg->options = options;
	pg->told = NULL;
}

static void
lost(GaPg *pg, const char *why)
{
	char error[GA_WHY_MAX];

	/* libpq ends its messages with a newline */
	snprintf(error, sizeof(error), "%s", why);
	error[strcspn(error, "\n")] = '\0';
	if (strcmp(error, pg->last_error) != 0)
		ga_log("no database: %s", error);
	snprintf(pg->last_error, sizeof(pg->last_error), "%s", error);
	PQfinish(pg->conn);
	pg->conn = NULL;
	/* some disorder, so that many executors do not come back in step */
	pg->retry_at = ga_now_ms() + 100 +
	               ga_backoff(pg->failures, RETRY_MIN_MS, RETRY_MAX_MS, (uint64_t) random());
	pg->failures++;
	pg->state = GA_PG_DOWN;
	pg->asked = GA_ASK_NOTHING;
	pg->subject = NULL;
	pg->registered = false;
	pg->told = NULL;
}

static void
connect_start(GaPg *pg)
{
	const char *const names[] = {"dbname", "fallback_application_name", NULL};
	const char *const values[] = {pg->options->dsn, "goldenarch-executor", NULL};

	pg->conn = PQconnectStartParams(names, values, 1);
	pg->deadline = ga_now_ms() + STATEMENT_MS;
	pg->waiting = PGRES_POLLING_WRITING;
	pg->state = GA_PG_CONNECTING;
	if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD)
		lost(pg, pg->conn != NULL ? PQerrorMessage(pg->conn) : "out of memory");
}

static void
connect_step(GaPg *pg, GaPool *pool)
{
	pg->waiting = PQconnectPoll(pg->conn);
	if (pg->waiting == PGRES_POLLING_FAILED)
		lost(pg, PQerrorMessage(pg->conn));
	else if (pg->waiting == PGRES_POLLING_OK)
	{
		PQsetnonblocking(pg->conn, 1);
		pg->state = GA_PG_IDLE;
		if (pg->last_error[0] != '\0')
			pool->metrics.counters[GA_TALLY_RECONNECTS]++;
	}
}

static void
ask(GaPg *pg, GaPgAsk what, const char *sql, int count, const char *const *values,
    const int *lengths, const int *formats)
{
	pg->asked = what;
	pg->asked_at = ga_now_ms();
	pg->deadline = pg->asked_at + STATEMENT_MS;
	pg->state = GA_PG_BUSY;
	if (PQsendQueryParams(pg->conn, sql, count, NULL, values, lengths, formats, 0) != 1)
		lost(pg, PQerrorMessage(pg->conn));
}

static void
ask_listen(GaPg *pg)
{
	pg->asked = GA_ASK_LISTEN;
	pg->asked_at = ga_now_ms();
	pg->deadline = pg->asked_at + STATEMENT_MS;
	pg->state = GA_PG_BUSY;
	if (PQsendQuery(pg->conn, "SET statement_timeout = '8s'; SET lock_timeout = '6s';"
	                          "SET idle_in_transaction_session_timeout = '8s';"
	                          "LISTEN goldenarch_jobs") != 1)
		lost(pg, PQerrorMessage(pg->conn));
}

static const char *
state_of(const GaPool *pool)
{
	if (!pool->draining)
		return "ready";
	return ga_pool_idle(pool) ? "stopped" : "draining";
}

static void
ask_register(GaPg *pg, const GaPool *pool, int ready)
{
	char slots[16], free_slots[16];
	const char *values[6] = {pg->options->name, GOLDENARCH_VERSION, slots,
	                         free_slots,        state_of(pool),     pg->introduced ? "f" : "t"};

	snprintf(slots, sizeof(slots), "%d", pool->count);
	snprintf(free_slots, sizeof(free_slots), "%d", ready);
	pg->told = state_of(pool);
	ask(pg, GA_ASK_REGISTER,
	    "SELECT goldenarch.register_executor($1::pg_catalog.text, $2::pg_catalog.text, "
	    "$3::pg_catalog.int4, $4::pg_catalog.int4, $5::pg_catalog.text, $6::pg_catalog.bool)",
	    6, values, NULL, NULL);
}

static void
ask_heartbeat(GaPg *pg, const GaPool *pool)
{
	char ids[GA_MAX_SLOTS * 41 + 3] = "{", tokens[GA_MAX_SLOTS * 25 + 3] = "{";
	char ready[16];
	const char *values[4] = {pg->options->name, ids, tokens, ready};
	size_t id_at = 1, token_at = 1;

	for (int i = 0; i < pool->count; i++)
	{
		const GaJob *job = pool->slots[i].job;

		if (job == NULL)
			continue;
		id_at += (size_t) snprintf(ids + id_at, sizeof(ids) - id_at, "%s%s", id_at > 1 ? "," : "",
		                           job->id);
		token_at += (size_t) snprintf(tokens + token_at, sizeof(tokens) - token_at, "%s%s",
		                              token_at > 1 ? "," : "", job->token);
	}
	snprintf(ids + id_at, sizeof(ids) - id_at, "}");
	snprintf(tokens + token_at, sizeof(tokens) - token_at, "}");
	snprintf(ready, sizeof(ready), "%d", ga_pool_free_slots(pool));
	ask(pg, GA_ASK_HEARTBEAT,
	    "SELECT job_id, keep FROM goldenarch.heartbeat_jobs($1::pg_catalog.text, "
	    "$2::pg_catalog.uuid[], $3::pg_catalog.int8[], $4::pg_catalog.int4)",
	    4, values, NULL, NULL);
}

static void
ask_finish(GaPg *pg, GaJob *job)
{
	char exit_code[16], signal[16], wall[24], cpu[24], peak[24];
	const char *values[12] = {job->id,
	                          job->token,
	                          ga_job_status(job),
	                          job->has_exit_code ? exit_code : NULL,
	                          job->has_signal ? signal : NULL,
	                          job->out.data != NULL ? job->out.data : "",
	                          job->err.data != NULL ? job->err.data : "",
	                          job->truncated ? "t" : "f",
	                          wall,
	                          cpu,
	                          peak,
	                          job->error[0] != '\0' ? job->error : NULL};
	int lengths[12] = {0};
	int formats[12] = {0};

	snprintf(exit_code, sizeof(exit_code), "%d", job->exit_code);
	snprintf(signal, sizeof(signal), "%d", job->signal);
	snprintf(wall, sizeof(wall), "%lld", (long long) job->wall_ms);
	snprintf(cpu, sizeof(cpu), "%lld", (long long) job->cpu_ms);
	snprintf(peak, sizeof(peak), "%lld", (long long) job->peak_kb);
	lengths[5] = (int) job->out.length;
	lengths[6] = (int) job->err.length;
	formats[5] = formats[6] = 1;
	pg->subject = job;
	ask(pg, GA_ASK_FINISH,
	    "SELECT goldenarch.finish_job($1::pg_catalog.uuid, $2::pg_catalog.int8, "
	    "$3::pg_catalog.text, $4::pg_catalog.int4, $5::pg_catalog.int4, $6::pg_catalog.bytea, "
	    "$7::pg_catalog.bytea, $8::pg_catalog.bool, $9::pg_catalog.int8, $10::pg_catalog.int8, "
	    "$11::pg_catalog.int8, $12::pg_catalog.text)",
	    12, values, lengths, formats);
}

static void
ask_release(GaPg *pg, GaJob *job)
{
	char ids[64], tokens[64];
	const char *values[3] = {pg->options->name, ids, tokens};

	snprintf(ids, sizeof(ids), "{%s}", job->id);
	snprintf(tokens, sizeof(tokens), "{%s}", job->token);
	pg->subject = job;
	ask(pg, GA_ASK_RELEASE,
	    "SELECT goldenarch.release_jobs($1::pg_catalog.text, $2::pg_catalog.uuid[], "
	    "$3::pg_catalog.int8[])",
	    3, values, NULL, NULL);
}

static void
ask_claim(GaPg *pg, int wanted)
{
	char count[16];
	const char *values[2] = {pg->options->name, count};

	snprintf(count, sizeof(count), "%d", wanted);
	pg->claim_at = ga_now_ms() + CLAIM_MS;
	ask(pg, GA_ASK_CLAIM,
	    "SELECT job_id, token, argv, rootfs, code, args, stdin, files, timeout_ms, memory_mb, "
	    "cpus, pids FROM goldenarch.claim_jobs($1::pg_catalog.text, $2::pg_catalog.int4)",
	    2, values, NULL, NULL);
}

static GaJob *
job_in(const GaPool *pool, GaJobPhase phase)
{
	for (int i = 0; i < pool->count; i++)
		if (pool->slots[i].job != NULL && pool->slots[i].job->phase == phase)
			return pool->slots[i].job;
	return NULL;
}

/* What comes first: results, then leases, then what others see of us, then new work. */
static void
ask_next(GaPg *pg, GaPool *pool)
{
	int ready = ga_pool_free_slots(pool);
	int64_t now = ga_now_ms();
	GaJob *job;

	if (!pg->registered)
		ask_listen(pg);
	else if ((job = job_in(pool, GA_PHASE_ENDED)) != NULL)
		ask_finish(pg, job);
	else if ((job = job_in(pool, GA_PHASE_RELEASE)) != NULL)
		ask_release(pg, job);
	else if (now >= pg->heartbeat_at)
		ask_heartbeat(pg, pool);
	else if (pg->told == NULL || strcmp(pg->told, state_of(pool)) != 0)
		ask_register(pg, pool, ready);
	else if (ready > 0 && now >= pg->claim_at)
		ask_claim(pg, ready);
}

static const char *
field(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static const char *
text_of(const PGresult *result, int row, int column)
{
	const char *text = field(result, row, column);

	return text != NULL ? text : "";
}

static void
take_claims(const PGresult *result, GaPg *pg, GaPool *pool)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		GaClaim claim = {text_of(result, i, 0), text_of(result, i, 1),  text_of(result, i, 2),
		                 text_of(result, i, 3), text_of(result, i, 4),  text_of(result, i, 5),
		                 field(result, i, 6),   text_of(result, i, 7),  text_of(result, i, 8),
		                 text_of(result, i, 9), text_of(result, i, 10), text_of(result, i, 11)};

		ga_pool_give(pool, ga_job_new(&claim));
	}
	/* where there was work there may be more */
	if (PQntuples(result) > 0)
		pg->claim_at = 0;
}

static void
take_heartbeat(const PGresult *result, GaPg *pg, GaPool *pool)
{
	pg->proved_at = pg->asked_at;
	pg->heartbeat_at = pg->asked_at + HEARTBEAT_MS;
	for (int i = 0; i < PQntuples(result); i++)
	{
		const char *id = text_of(result, i, 0);

		if (strcmp(text_of(result, i, 1), "f") != 0)
			continue;
		for (int j = 0; j < pool->count; j++)
			if (pool->slots[j].job != NULL && strcmp(pool->slots[j].job->id, id) == 0)
				pool->slots[j].job->revoked = true;
	}
}

static void
take_finish(const PGresult *result, GaPool *pool, GaJob *job)
{
	if (job == NULL)
		return;
	if (strcmp(text_of(result, 0, 0), "t") == 0)
		pool->metrics.outcomes[job->outcome]++;
	else
	{
		pool->metrics.counters[GA_TALLY_STALE_FINISH]++;
		ga_log("job %s: its result came too late and was dropped", job->id);
	}
	ga_pool_forget(pool, job);
}

/*
 * A statement was refused. A result that is refused for what it says must not be sent for ever: the
 * lease runs out and the job is tried again or given up there.
 */
static void
take_error(const PGresult *result, GaPg *pg, GaPool *pool)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	bool lasting = code != NULL && (strncmp(code, "22", 2) == 0 || strncmp(code, "23", 2) == 0);

	if (message == NULL)
		message = PQerrorMessage(pg->conn);
	if (pg->subject != NULL && lasting)
	{
		ga_log("job %s: the database refused its result: %s", pg->subject->id, message);
		ga_pool_forget(pool, pg->subject);
	}
	else
		lost(pg, message);
}

static void
take_answer(const PGresult *result, GaPg *pg, GaPool *pool)
{
	switch (pg->asked)
	{
		case GA_ASK_LISTEN:
			pg->registered = true;
			pg->claim_at = pg->heartbeat_at = 0;
			break;
		case GA_ASK_REGISTER:
			if (pg->failures > 0 || pg->last_error[0] != '\0')
				ga_log("database found again");
			pg->failures = 0;
			pg->introduced = true;
			pg->last_error[0] = '\0';
			pg->said_goodbye = strcmp(pg->told, "stopped") == 0;
			break;
		case GA_ASK_HEARTBEAT:
			take_heartbeat(result, pg, pool);
			break;
		case GA_ASK_FINISH:
			take_finish(result, pool, pg->subject);
			break;
		case GA_ASK_RELEASE:
			pool->metrics.counters[GA_TALLY_RELEASED]++;
			ga_pool_forget(pool, pg->subject);
			break;
		case GA_ASK_CLAIM:
			take_claims(result, pg, pool);
			break;
		case GA_ASK_NOTHING:
			break;
	}
}

static void
take_results(GaPg *pg, GaPool *pool)
{
	PGresult *result;

	while (pg->state == GA_PG_BUSY && PQisBusy(pg->conn) == 0)
	{
		ExecStatusType status;

		result = PQgetResult(pg->conn);
		if (result == NULL)
		{
			pg->state = GA_PG_IDLE;
			pg->asked = GA_ASK_NOTHING;
			pg->subject = NULL;
			return;
		}
		status = PQresultStatus(result);
		if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
			take_answer(result, pg, pool);
		else
			take_error(result, pg, pool);
		PQclear(result);
		if (pg->state == GA_PG_BUSY && pg->asked != GA_ASK_LISTEN)
			pg->subject = NULL;
	}
}

static void
take_input(GaPg *pg, GaPool *pool)
{
	PGnotify *notice;

	if (PQconsumeInput(pg->conn) != 1 || PQflush(pg->conn) < 0)
	{
		lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	take_results(pg, pool);
	while (pg->conn != NULL && (notice = PQnotifies(pg->conn)) != NULL)
	{
		pg->claim_at = pg->heartbeat_at = 0;
		PQfreemem(notice);
	}
}

static bool
holds_jobs(const GaPool *pool)
{
	return job_in(pool, GA_PHASE_WAITING) != NULL || job_in(pool, GA_PHASE_RUNNING) != NULL;
}

void
ga_pg_step(GaPg *pg, GaPool *pool)
{
	int64_t now = ga_now_ms();
	struct pollfd ready;

	if (holds_jobs(pool) && now - pg->proved_at > FENCE_MS)
		ga_pool_fence(pool);
	if (pg->state == GA_PG_DOWN && now >= pg->retry_at)
		connect_start(pg);
	if (pg->state == GA_PG_CONNECTING)
	{
		ready = ga_pg_poll(pg);
		if (poll(&ready, 1, 0) > 0)
			connect_step(pg, pool);
	}
	else if (pg->state != GA_PG_DOWN)
		take_input(pg, pool);
	if ((pg->state == GA_PG_CONNECTING || pg->state == GA_PG_BUSY) && now > pg->deadline)
		lost(pg, "no answer in time");
	if (pg->state == GA_PG_IDLE)
		ask_next(pg, pool);
}

struct pollfd
ga_pg_poll(const GaPg *pg)
{
	struct pollfd what = {-1, 0, 0};

	if (pg->state == GA_PG_DOWN)
		return what;
	what.fd = PQsocket(pg->conn);
	what.events = POLLIN;
	if (pg->state == GA_PG_CONNECTING && pg->waiting == PGRES_POLLING_WRITING)
		what.events = POLLOUT;
	else if (pg->state == GA_PG_BUSY && PQflush(pg->conn) == 1)
		what.events |= POLLOUT;
	return what;
}

int
ga_pg_patience(const GaPg *pg, const GaPool *pool)
{
	int64_t now = ga_now_ms();
	int64_t until = pg->deadline;

	if (pg->state == GA_PG_DOWN)
		until = pg->retry_at;
	else if (pg->state == GA_PG_IDLE)
	{
		until = pg->heartbeat_at;
		if (ga_pool_free_slots(pool) > 0 && pg->claim_at < until)
			until = pg->claim_at;
	}
	if (until - now > 1000)
		return 1000;
	return until <= now ? 1 : (int) (until - now);
}

void
ga_pg_close(GaPg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->state = GA_PG_DOWN;
}
