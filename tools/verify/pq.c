/* SPDX-License-Identifier: PostgreSQL */
/* pq.c: see pq.h. */
#include "pq.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct Symbol
{
	const char *name;
	void **place;
} Symbol;

static bool
load(GaServer *server)
{
	const Symbol symbols[] = {
	    {"PQconnectdb", (void **) &server->connect},
	    {"PQstatus", (void **) &server->status},
	    {"PQerrorMessage", (void **) &server->error},
	    {"PQfinish", (void **) &server->finish},
	    {"PQexecParams", (void **) &server->exec},
	    {"PQresultStatus", (void **) &server->result_status},
	    {"PQresultErrorMessage", (void **) &server->result_error},
	    {"PQntuples", (void **) &server->rows},
	    {"PQfnumber", (void **) &server->column},
	    {"PQgetisnull", (void **) &server->is_null},
	    {"PQgetlength", (void **) &server->length},
	    {"PQgetvalue", (void **) &server->value},
	    {"PQclear", (void **) &server->clear},
	};

	server->library = dlopen("libpq.so.5", RTLD_NOW);
	if (server->library == NULL)
	{
		fprintf(stderr, "goldenarch-verify: an export needs libpq: %s\n", dlerror());
		return false;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
	{
		*symbols[i].place = dlsym(server->library, symbols[i].name);
		if (*symbols[i].place == NULL)
		{
			fprintf(stderr, "goldenarch-verify: libpq has no %s\n", symbols[i].name);
			return false;
		}
	}
	return true;
}

bool
ga_server_connect(GaServer *server, const char *dsn)
{
	memset(server, 0, sizeof(*server));
	if (!load(server))
		return false;
	server->connection = server->connect(dsn);
	if (server->connection != NULL && server->status(server->connection) == CONNECTION_OK)
		return true;
	fprintf(stderr, "goldenarch-verify: %s",
	        server->connection != NULL ? server->error(server->connection) : "out of memory\n");
	return false;
}

void
ga_server_close(GaServer *server)
{
	if (server->connection != NULL)
		server->finish(server->connection);
	if (server->library != NULL)
		(void) dlclose(server->library);
	memset(server, 0, sizeof(*server));
}

PGresult *
ga_server_ask(GaServer *server, const char *sql, int n, const char *const *parameters)
{
	PGresult *result = server->exec(server->connection, sql, n, NULL, parameters, NULL, NULL, 1);
	ExecStatusType status = server->result_status(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	fprintf(stderr, "goldenarch-verify: %s",
	        result != NULL ? server->result_error(result) : server->error(server->connection));
	server->clear(result);
	return NULL;
}

const uint8_t *
ga_server_bytes(GaServer *server, const PGresult *result, int row, const char *column,
                size_t *bytes)
{
	int at = server->column(result, column);

	*bytes = 0;
	if (at < 0 || row >= server->rows(result) || server->is_null(result, row, at))
		return NULL;
	*bytes = (size_t) server->length(result, row, at);
	return (const uint8_t *) server->value(result, row, at);
}

bool
ga_server_int8(GaServer *server, const PGresult *result, int row, const char *column,
               int64_t *number)
{
	size_t bytes;
	const uint8_t *data = ga_server_bytes(server, result, row, column, &bytes);
	uint64_t value = 0;

	*number = 0;
	if (data == NULL || (bytes != 4 && bytes != 8))
		return false;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | data[i];
	*number = bytes == 4 ? (int64_t) (int32_t) value : (int64_t) value;
	return true;
}
