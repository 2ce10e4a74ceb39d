/* SPDX-License-Identifier: PostgreSQL */
/* What the launcher tells a handler process in bgw_extra. */
#ifndef INGEST_LAUNCHER_H
#define INGEST_LAUNCHER_H

#include "postgres.h"

typedef struct GaHandlerProcess
{
	Oid database;
	Oid role;
} GaHandlerProcess;

#endif
