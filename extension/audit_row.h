/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_row.h: how a row of the audit log reaches its table.
 */
#ifndef AUDIT_ROW_H
#define AUDIT_ROW_H

#include "postgres.h"

/* The columns of goldenarch.audit_entries, in the order of the table. */
#define GA_AUDIT_COLUMNS 16

/* The next id, as nextval('goldenarch.audit_id'). Inside or outside ga_enter. */
extern int64 ga_audit_next_id(void);
/* Random bytes for one commitment, from a pool that is filled for many. */
extern void ga_audit_salt(uint8 *salt, size_t bytes);
/* The row, visible to the commands that follow. No column is null. Inside or outside ga_enter.
 */
extern void ga_audit_insert(const Datum *values);

#endif
