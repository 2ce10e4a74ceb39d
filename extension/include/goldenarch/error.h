/* SPDX-License-Identifier: PostgreSQL */
/*
 * SQLSTATEs of class ZG (classes 0-4 and A-H belong to the standard) and the argument checks that
 * every function shares: null or empty is 22023, never a pass.
 */
#ifndef GOLDENARCH_ERROR_H
#define GOLDENARCH_ERROR_H

#include "postgres.h"

#include "goldenarch/compat.h"

#define GA_ERR_RATE_LIMITED MAKE_SQLSTATE('Z', 'G', '0', '0', '1')
#define GA_ERR_BUDGET_EXHAUSTED MAKE_SQLSTATE('Z', 'G', '0', '0', '2')
#define GA_ERR_CIRCUIT_OPEN MAKE_SQLSTATE('Z', 'G', '0', '0', '3')
#define GA_ERR_IDEMPOTENCY_REUSE MAKE_SQLSTATE('Z', 'G', '0', '0', '4')
#define GA_ERR_RESPONSE_REJECTED MAKE_SQLSTATE('Z', 'G', '0', '0', '5')
#define GA_ERR_GUARD_FAILED MAKE_SQLSTATE('Z', 'G', '0', '0', '6')
#define GA_ERR_APPROVAL_REQUIRED MAKE_SQLSTATE('Z', 'G', '0', '0', '7')
#define GA_ERR_SQL_REJECTED MAKE_SQLSTATE('Z', 'G', '0', '0', '8')
#define GA_ERR_AUDIT_UNAVAILABLE MAKE_SQLSTATE('Z', 'G', '0', '0', '9')
#define GA_ERR_DEAD_LETTER MAKE_SQLSTATE('Z', 'G', '0', '1', '0')

/* Argument readers. "name" is the argument's SQL name, for the message. All raise 22023. */
extern char *ga_arg_text(FunctionCallInfo fcinfo, int n,
                         const char *name); /* not null, not empty */
extern char *ga_arg_text_or_null(FunctionCallInfo fcinfo, int n,
                                 const char *name); /* null or not empty */
/* As the two above, of at most max bytes. */
extern char *ga_arg_text_max(FunctionCallInfo fcinfo, int n, const char *name, size_t max,
                             bool null_ok);
extern int64 ga_arg_int8(FunctionCallInfo fcinfo, int n, const char *name, int64 min, int64 max);
extern int32 ga_arg_int4(FunctionCallInfo fcinfo, int n, const char *name, int32 min, int32 max);
extern bool ga_arg_bool(FunctionCallInfo fcinfo, int n, const char *name);
/* Microseconds of an interval without months that is > 0 (or >= 0 when zero is allowed). */
extern int64 ga_arg_interval_us(FunctionCallInfo fcinfo, int n, const char *name, bool zero_ok);
/* Elements of a text[] without nulls or empty strings; a null array only where null_ok. */
extern char **ga_arg_text_array(FunctionCallInfo fcinfo, int n, const char *name, bool null_ok,
                                int *count);

extern void ga_bad_argument(const char *name, const char *detail) GA_NORETURN;

/* 55000 with a HINT unless goldenarch is in shared_preload_libraries. "what" names the feature. */
extern void ga_require_preload(const char *what);
/* 25006 on a standby or in a read-only transaction. */
extern void ga_require_writable(const char *function_name);

#endif
