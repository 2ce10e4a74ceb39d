/* SPDX-License-Identifier: PostgreSQL */
/*
 * One call of a message handler, as the role this process is connected as.
 */
#ifndef BRIDGE_HANDLER_H
#define BRIDGE_HANDLER_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

typedef struct GaDelivery
{
	const char *subject;
	const void *payload;
	size_t payload_bytes;
	const Jsonb *headers;
	const char *stream;
	int64 seq;
	const char *msg_id; /* null: none */
	const char *key;    /* what the inbox knows it by */
	const char *tenant;
	int delivered;
	TimestampTz published_at;
} GaDelivery;

typedef enum GaHandled
{
	GA_HANDLED,
	GA_HANDLED_BEFORE,
	GA_HANDLER_FAILED,
	GA_HANDLER_REFUSED /* SQLSTATE ZG010: do not try again */
} GaHandled;

/*
 * Inside a transaction. In one subtransaction: claim(arg), and the handler when that says true;
 * settings that the handler changed are put back. *error (in the current context) says what failed.
 * timeout_ms ends the handler by a cancel.
 */
extern GaHandled ga_handler_call(const char *handler, const GaDelivery *delivery, int timeout_ms,
                                 bool (*claim)(void *arg), void *arg, char **error);

/* Once in the process, before the first call. */
extern void ga_handler_setup(void);

#endif
