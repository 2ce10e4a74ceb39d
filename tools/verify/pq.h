/* SPDX-License-Identifier: PostgreSQL */
/*
 * pq.h: libpq, loaded when an export begins: a check must run where there is none. Results are in
 * the binary format.
 */
#ifndef GA_VERIFY_PQ_H
#define GA_VERIFY_PQ_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct GaServer
{
	void *library;
	PGconn *connection;
	PGconn *(*connect)(const char *);
	ConnStatusType (*status)(const PGconn *);
	char *(*error)(const PGconn *);
	void (*finish)(PGconn *);
	PGresult *(*exec)(PGconn *, const char *, int, const Oid *, const char *const *, const int *,
	                  const int *, int);
	ExecStatusType (*result_status)(const PGresult *);
	char *(*result_error)(const PGresult *);
	int (*rows)(const PGresult *);
	int (*column)(const PGresult *, const char *);
	int (*is_null)(const PGresult *, int, int);
	int (*length)(const PGresult *, int, int);
	char *(*value)(const PGresult *, int, int);
	void (*clear)(PGresult *);
} GaServer;

/* False: stderr has said why. */
extern bool ga_server_connect(GaServer *server, const char *dsn);
extern void ga_server_close(GaServer *server);

/* NULL: stderr has said why. The n parameters are text that the statement casts. */
extern PGresult *ga_server_ask(GaServer *server, const char *sql, int n,
                               const char *const *parameters);
/* A column by its name; NULL where it is null, or there is no such column or row. */
extern const uint8_t *ga_server_bytes(GaServer *server, const PGresult *result, int row,
                                      const char *column, size_t *bytes);
extern bool ga_server_int8(GaServer *server, const PGresult *result, int row, const char *column,
                           int64_t *number);

#endif
