/* SPDX-License-Identifier: PostgreSQL */
/*
 * A load whose statements may fail, which pgbench takes for the end of a client.
 *
 *     client CLIENTS SECONDS SQLSTATE SQL      connects by PGHOST, PGPORT, PGUSER, PGDATABASE
 *
 * Each client is a process that prepares SQL and runs it again and again with a $1 that is new each
 * time. Every run must end with SQLSTATE, 00000 being success. Prints how many did a second.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec at;

	(void) clock_gettime(CLOCK_MONOTONIC, &at);
	return (double) at.tv_sec + (double) at.tv_nsec / 1e9;
}

static void
work(int number, double seconds, const char *state, const char *sql, int to)
{
	PGconn *connection = PQconnectdb("connect_timeout=10");
	PGresult *result = PQprepare(connection, "run", sql, 1, NULL);
	double start = now();
	double rate;
	char key[32];
	const char *values[1] = {key};
	int runs = 0;

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(connection));
		_exit(1);
	}
	PQclear(result);
	while (now() - start < seconds)
	{
		const char *got;

		(void) snprintf(key, sizeof(key), "c%d.r%d", number, runs++);
		result = PQexecPrepared(connection, "run", 1, values, NULL, NULL, 0);
		got = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		if (strcmp(got ? got : "00000", state) != 0)
		{
			fprintf(stderr, "%s instead of %s: %s", got ? got : "success", state,
			        PQerrorMessage(connection));
			_exit(1);
		}
		PQclear(result);
	}
	rate = runs / (now() - start);
	PQfinish(connection);
	_exit(write(to, &rate, sizeof(rate)) == sizeof(rate) ? 0 : 1);
}

int
main(int argc, char **argv)
{
	int clients = argc == 5 ? atoi(argv[1]) : 0;
	double total = 0;
	int failed = 0;
	int pipes[2];
	int status;

	if (clients < 1 || pipe(pipes) != 0)
	{
		fprintf(stderr, "usage: client CLIENTS SECONDS SQLSTATE SQL\n");
		return 2;
	}
	for (int i = 0; i < clients; i++)
		if (fork() == 0)
			work(i, atof(argv[2]), argv[3], argv[4], pipes[1]);
	for (int i = 0; i < clients; i++)
		if (wait(&status) < 0 || status != 0)
			failed++;
	for (int i = 0; i < clients - failed; i++)
	{
		double rate = 0;

		if (read(pipes[0], &rate, sizeof(rate)) == sizeof(rate))
			total += rate;
	}
	printf("%.1f\n", total);
	return failed ? 1 : 0;
}
