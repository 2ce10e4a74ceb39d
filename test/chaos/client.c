/* SPDX-License-Identifier: PostgreSQL */
/*
 * The load of the audit's chaos test: so many clients, each a process with a connection of its own
 * that comes back whenever the server does, until SIGTERM.
 *
 *     client DIR CLIENTS SEED        connects by PGHOST, PGPORT, PGUSER, PGDATABASE
 *
 * What was acknowledged to a client stands in DIR/N, a line each, written before its next request:
 *     kept KEY ROWS      COMMIT came back: rows KEY.1 to KEY.ROWS must be there, each once
 *     gone KEY ROWS      rolled back, or COMMIT was never sent: none of them may be there
 *     unsure KEY ROWS    the connection went with COMMIT on its way: all of them or none
 *     denied KEY 1       the error of a denial (42501) came: permission KEY must stand as denied
 *     refused KEY 1      ZG009: refused without a record, which is allowed, but counted
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PARTS 4
#define MAX_CLIENTS 64

typedef struct Part
{
	char key[48];
	int rows;
	bool rolled_back; /* to a savepoint */
} Part;

typedef struct Client
{
	int number;
	int log;
	unsigned serial;
	PGconn *connection;
	Part parts[MAX_PARTS]; /* of the open transaction */
	int nparts;
} Client;

static volatile sig_atomic_t stop;

static void
on_term(int signal_number)
{
	(void) signal_number;
	stop = 1;
}

static int
pick(int low, int high)
{
	return low + (int) (random() % (high - low + 1));
}

static void
note(Client *c, const char *what, const char *key, int rows)
{
	char line[128];
	int bytes = snprintf(line, sizeof(line), "%s\t%s\t%d\n", what, key, rows);

	if (write(c->log, line, (size_t) bytes) != bytes)
		_exit(1);
}

static void
note_parts(Client *c, const char *what)
{
	for (int i = 0; i < c->nparts; i++)
		note(c, c->parts[i].rolled_back ? "gone" : what, c->parts[i].key, c->parts[i].rows);
	c->nparts = 0;
}

/* The SQLSTATE; "" when all is well, "lost" when the connection is. */
static const char *
run(Client *c, const char *sql, const char *key, int rows)
{
	static char state[8];
	char number[12];
	const char *values[2] = {key, number};
	PGresult *result;

	(void) snprintf(number, sizeof(number), "%d", rows);
	result =
	    PQexecParams(c->connection, sql, key ? (rows ? 2 : 1) : 0, NULL, values, NULL, NULL, 0);
	state[0] = '\0';
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		(void) snprintf(state, sizeof(state), "%s",
		                PQstatus(c->connection) != CONNECTION_OK || !code ? "lost" : code);
	}
	else if (strcmp(sql, "COMMIT") == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0)
		(void) snprintf(state, sizeof(state), "undone");
	PQclear(result);
	return state;
}

static bool
plain(Client *c, const char *sql)
{
	return run(c, sql, NULL, 0)[0] == '\0';
}

static bool
audit(Client *c)
{
	Part *part = &c->parts[c->nparts++];

	(void) snprintf(part->key, sizeof(part->key), "c%dn%u", c->number, ++c->serial);
	part->rows = pick(1, 10) == 1 ? pick(20, 200) : pick(1, 20);
	part->rolled_back = false;
	return run(c,
	           "SELECT count(goldenarch.audit('chaos', 'row', $1::text || '.' || i)) "
	           "FROM generate_series(1, $2::integer) i",
	           part->key, part->rows)[0] == '\0';
}

/* A denial; the caller's transaction, if there is one, is broken by it. */
static void
deny(Client *c)
{
	char key[48];
	const char *state;

	(void) snprintf(key, sizeof(key), "chaos.c%dn%u", c->number, ++c->serial);
	state = run(c, "SELECT goldenarch.require_permission($1)", key, 0);
	if (strcmp(state, "42501") == 0)
		note(c, "denied", key, 1);
	else if (strcmp(state, "ZG009") == 0)
		note(c, "refused", key, 1);
}

static void
end_transaction(Client *c, bool ok)
{
	const char *state;

	if (!ok || pick(1, 10) == 1)
	{
		(void) plain(c, "ROLLBACK");
		note_parts(c, "gone");
		return;
	}
	state = run(c, "COMMIT", NULL, 0);
	note_parts(c, state[0] == '\0' ? "kept" : strcmp(state, "lost") == 0 ? "unsure" : "gone");
}

static void
transaction(Client *c)
{
	int kind = pick(1, 20);
	bool ok = plain(c, "BEGIN") && audit(c);

	if (ok && kind <= 2)
	{
		/* Long ones hold the sealer's horizon back, and commit after many that began later. */
		(void) usleep((useconds_t) pick(300, 2000) * 1000);
		ok = pick(1, 2) == 1 || audit(c);
	}
	else if (ok && kind <= 8)
	{
		bool keep = pick(1, 2) == 1;

		ok = plain(c, "SAVEPOINT s") && audit(c) &&
		     plain(c, keep ? "RELEASE SAVEPOINT s" : "ROLLBACK TO SAVEPOINT s");
		if (ok)
			c->parts[1].rolled_back = !keep;
		ok = ok && audit(c);
	}
	else if (ok && kind == 9)
	{
		deny(c);
		ok = false;
	}
	end_transaction(c, ok);
}

static void
work(Client *c)
{
	while (!stop)
	{
		c->connection = PQconnectdb("connect_timeout=5 application_name=chaos");
		if (PQstatus(c->connection) == CONNECTION_OK)
			while (!stop && PQstatus(c->connection) == CONNECTION_OK)
			{
				if (pick(1, 4) == 1)
					deny(c);
				else
					transaction(c);
			}
		else
			(void) usleep(30000);
		PQfinish(c->connection);
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_term};
	int clients = argc == 4 ? atoi(argv[2]) : 0;
	pid_t children[MAX_CLIENTS];

	if (clients < 1 || clients > MAX_CLIENTS)
	{
		fprintf(stderr, "usage: client DIR CLIENTS SEED\n");
		return 2;
	}
	(void) sigaction(SIGTERM, &action, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < clients; i++)
	{
		children[i] = fork();
		if (children[i] == 0)
		{
			Client c = {.number = i};
			char path[512];

			srandom((unsigned) (atoi(argv[3]) * MAX_CLIENTS + i));
			(void) snprintf(path, sizeof(path), "%s/%d", argv[1], i);
			c.log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
			if (c.log < 0)
				_exit(1);
			work(&c);
		}
	}
	while (!stop)
		(void) pause();
	for (int i = 0; i < clients; i++)
		(void) kill(children[i], SIGTERM);
	for (int i = 0; i < clients; i++)
		(void) waitpid(children[i], NULL, 0);
	return 0;
}
