/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the files of the capability "budget" share. All of it runs inside ga_enter.
 *
 * Lock order, in every writer: the account rows in ascending id, then the budget rows in ascending
 * path, then the ledger's unique key. Who holds a request's account rows decides about it alone.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include "postgres.h"

#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "core/limits.h"
#include "goldenarch/query.h"

typedef struct GaBudgetPath
{
	char *path;
	char tenant[GA_TENANT_MAX_BYTES + 1];
	int nlevels;
	const char *levels[GA_BUDGET_DEPTH_MAX]; /* "acme", "acme/chatbot", ... */
} GaBudgetPath;

typedef enum GaBudgetState
{
	GA_BUDGET_HELD,
	GA_BUDGET_SETTLED,
	GA_BUDGET_RELEASED,
	GA_BUDGET_EXPIRED,
	GA_BUDGET_REFUSED
} GaBudgetState;

/* What the ledger says of a request id, judged at `now`. */
typedef struct GaBudgetRecord
{
	char *tenant;
	char *budget;
	char *request_id;
	int64 tokens; /* reserved or charged */
	int64 fingerprint;
	int64 available; /* after the decision */
	TimestampTz decided_at;
	TimestampTz expires_at;
	bool refund; /* what the expiry does */
	Datum account_ids;
	GaBudgetState state;
	bool terminal; /* phase 1 is written, or a charge: nothing to expire */
	int64 settled; /* tokens of the commit, or of the charge */
	bool late;     /* phase 2 is written */
	int64 late_tokens;
} GaBudgetRecord;

/* One ledger row and what it does to accounts and holds. */
typedef struct GaBudgetEntry
{
	const char *tenant;
	const char *budget;
	const char *request_id;
	int phase;
	const char *type;
	int64 amount;
	int64 held;
	int64 used;
	int64 overrun;
	bool late;
	Datum account_ids;
	TimestampTz at;
	/* phase 0 only */
	int64 fingerprint;
	int64 available;
	TimestampTz expires_at; /* 0: none */
	const char *on_expiry;
	const char *purpose;
	const char *model;
	const pg_uuid_t *task_id;
} GaBudgetEntry;

/* What ledger rows add to an account. */
typedef struct GaBudgetSum
{
	int64 held;
	int64 used;
	int64 overrun;
} GaBudgetSum;

/* A budget that a request charges, and its account of the running period, locked. */
typedef struct GaBudgetLevel
{
	char *budget;
	int64 limit;
	char *period;
	char *timezone;
	bool refund;
	int64 account_id; /* 0: not made yet */
	int64 available;
} GaBudgetLevel;

/* Raises 22023. */
extern void ga_budget_path(const char *text, GaBudgetPath *path);
extern char *ga_budget_request_id(FunctionCallInfo fcinfo, int n);

/*
 * The record of a request id in one tenant (floor = ceiling) or in all the caller sees. False when
 * there is none; 22023 when several tenants have it.
 */
extern bool ga_budget_find(const char *request_id, const char *floor, const char *ceiling,
                           TimestampTz now, GaBudgetRecord *record);
/* Locks the accounts, ascending. The caller decides afterwards, from a fresh look. */
extern void ga_budget_lock(const char *tenant, Datum account_ids);
/* The transaction has changed a budget: no PREPARE, and the mirror is woken at commit. */
extern void ga_budget_mark_booked(void);
/*
 * Writes the ledger row, and opens or closes its hold; the accounts are moved apart. False when the
 * ledger already has this (request_id, phase): nothing was done.
 */
extern bool ga_budget_book(const GaBudgetEntry *entry);
/* Adds to each of the accounts, which are locked. */
extern void ga_budget_move(const char *tenant, Datum account_ids, const GaBudgetSum *sum,
                           TimestampTz now);
/* Books what expired among holds that charge nothing but these locked accounts. */
extern int64 ga_budget_sweep(Datum locked_ids, TimestampTz now);
/* The least that is left at any of the accounts. */
extern int64 ga_budget_available(const char *tenant, Datum account_ids, TimestampTz now);
/* Levels of the path that have a budget, root first, with their running accounts. */
extern int ga_budget_levels(const GaBudgetPath *path, TimestampTz now, GaBudgetLevel *levels);
extern void ga_budget_open_accounts(const GaBudgetPath *path, TimestampTz now);
/*
 * Share-locks the budgets of the path, so that limits hold until commit; false when they are not
 * those of `levels` any more. Fills in the limits.
 */
extern bool ga_budget_confirm_levels(const GaBudgetPath *path, int nlevels, GaBudgetLevel *levels);
/* Books what expired at these locked accounts, and fills in what is available at each level. */
extern void ga_budget_read_available(const char *tenant, Datum locked_ids, TimestampTz now,
                                     int nlevels, GaBudgetLevel *levels);

extern const char *ga_budget_state_name(GaBudgetState state);

/* Maintenance. */
extern int64 ga_budget_expire(void);
extern int64 ga_budget_prune(void);

#endif
