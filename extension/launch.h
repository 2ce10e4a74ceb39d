/* SPDX-License-Identifier: PostgreSQL */
/* Registration of the static workers, called once by _PG_init while preloading. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The names in goldenarch.databases, palloc'd; only when preloaded. FATAL where it is no list. */
extern List *ga_listed_databases(void);
extern void ga_register_static_workers(void);

#endif
