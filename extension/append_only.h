/* SPDX-License-Identifier: PostgreSQL */
/*
 * append_only.h: one statement of ours past the append_only triggers. Inside ga_enter; for erasure
 * and pruning alone, whose callers write the audit row that tells of it in the same transaction.
 */
#ifndef APPEND_ONLY_H
#define APPEND_ONLY_H

#include "goldenarch/query.h"

extern GaRows ga_query_lifted_args(GaStmt *stmt, const GaArg *args, int nargs);
#define ga_query_lifted(stmt, ...)                                        \
	ga_query_lifted_args((stmt), (const GaArg[]){{0}, ##__VA_ARGS__} + 1, \
	                     (int) (sizeof((const GaArg[]){{0}, ##__VA_ARGS__}) / sizeof(GaArg)) - 1)

#endif /* APPEND_ONLY_H */
