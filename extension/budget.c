/* SPDX-License-Identifier: PostgreSQL */
/*
 * Budgets for callers: request, settle, release, charge. Each is a decision about one request id,
 * taken while its account rows are locked (budget_ledger.c); it binds when the caller commits.
 *
 * An approval is committed synchronously whatever synchronous_commit says: tokens are spent outside
 * the database as soon as the client has read it, so it must not be lost in a crash.
 */
#include "budget.h"

#include "access/xact.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/digest.h"
#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/guc.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/metrics.h"
#include "goldenarch/principal.h"

#define PERMISSION_USE "budget.use"
#define ATTEMPTS 5

typedef struct Request
{
	GaBudgetPath path;
	const char *id;
	int64 tokens;
	const char *purpose;
	const char *model;
	const pg_uuid_t *task_id;
	int64 ttl_us; /* 0: a charge */
	int64 fingerprint;
} Request;

typedef struct Decision
{
	const char *id;
	bool approved;
	GaBudgetState state;
	const char *reason;
	int64 tokens;
	int64 available;
	bool replayed;
	TimestampTz at;
} Decision;

/* The levels of a path, their accounts locked. A batch decides many requests by one of these. */
typedef struct Locked
{
	GaBudgetLevel levels[GA_BUDGET_DEPTH_MAX];
	int n;
	Datum ids;
	GaBudgetSum sum; /* booked, but not yet moved */
	TimestampTz now;
} Locked;

static void
fill(const Decision *d, Datum *values)
{
	values[0] = CStringGetTextDatum(d->id);
	values[1] = BoolGetDatum(d->approved);
	values[2] = CStringGetTextDatum(ga_budget_state_name(d->state));
	values[3] = CStringGetTextDatum(d->reason);
	values[4] = Int64GetDatum(d->tokens);
	values[5] = Int64GetDatum(d->available);
	values[6] = BoolGetDatum(d->replayed);
	values[7] = TimestampTzGetDatum(d->at);
}

static Datum
answer(FunctionCallInfo fcinfo, const Decision *decision)
{
	Datum values[8];
	bool nulls[8] = {false};

	fill(decision, values);
	return ga_return_record(fcinfo, values, nulls, 8);
}

/* Everything the caller said, so that the same id with anything else is found out. */
static int64
fingerprint_of(const Request *r)
{
	char head[128];
	uint8 digest[GA_HASH_BYTES];
	int bytes =
	    snprintf(head, sizeof(head), "%lld/%lld/%d%d%d/", (long long) r->tokens,
	             (long long) r->ttl_us, r->purpose != NULL, r->model != NULL, r->task_id != NULL);
	GaBytes pieces[] = {
	    {head, (size_t) bytes},
	    {r->path.path, strlen(r->path.path) + 1},
	    {r->purpose ? r->purpose : "", r->purpose ? strlen(r->purpose) + 1 : 0},
	    {r->model ? r->model : "", r->model ? strlen(r->model) + 1 : 0},
	    {r->task_id ? r->task_id->data : (const uint8 *) "", r->task_id ? UUID_LEN : 0}};
	uint64 value = 0;
	int i;

	if (!ga_sha256(pieces, lengthof(pieces), digest))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute SHA-256")));
	for (i = 0; i < 8; i++)
		value = value << 8 | digest[i];
	return (int64) value;
}

static void
refuse_reuse(const char *id, const char *detail)
{
	ereport(ERROR,
	        (errcode(GA_ERR_IDEMPOTENCY_REUSE),
	         errmsg("request id \"%s\" was used with other arguments", id), errdetail("%s", detail),
	         errhint("Repeat the call exactly, or take a new request id.")));
}

static Decision
replay(const Request *r, const GaBudgetRecord *record)
{
	bool approved = record->state == GA_BUDGET_HELD || record->state == GA_BUDGET_SETTLED;

	if (record->fingerprint != r->fingerprint)
		refuse_reuse(r->id, "It is one id, one request: budget, tokens, purpose, model, task and "
		                    "ttl must be the same.");
	ga_count(GA_COUNT_BUDGET_REPLAYED);
	return (Decision){.id = r->id,
	                  .approved = approved,
	                  .state = record->state,
	                  .reason = approved                              ? "approved"
	                            : record->state == GA_BUDGET_RELEASED ? "replay of a released id"
	                                                                  : "replay of an expired id",
	                  .tokens = approved ? record->tokens : 0,
	                  .available = record->available,
	                  .replayed = true,
	                  .at = record->decided_at};
}

static void
unknown_budget(const char *path)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("budget \"%s\" does not exist", path),
	                errhint("Make it with goldenarch.set_budget().")));
}

/* The budget's first use makes it, where the operator allows that. */
static void
create_default(const GaBudgetPath *path)
{
	static GaStmt create = GA_STMT(
	    "INSERT INTO goldenarch.budgets (tenant, budget, token_limit, period, timezone, on_expiry) "
	    "VALUES ($1, $2, $3, 'month', 'UTC', 'charge') ON CONFLICT (tenant, budget) DO NOTHING",
	    TEXTOID, TEXTOID, INT8OID);
	int64 limit = (int64) Min(ga_guc_default_token_limit, (double) GA_BUDGET_TOKENS_MAX);
	GaJson details;

	if (limit < 1)
		unknown_budget(path->path);
	if (ga_query(&create, ga_text(path->tenant), ga_text(path->path), ga_int8(limit)).count == 0)
		return;
	ga_json_begin_object(&details);
	ga_json_int8(&details, "token_limit", limit);
	ga_json_text(&details, "period", "month");
	(void) ga_audit("budget.create_default", "budget", path->path, ga_json_end(&details));
}

static Datum
level_ids(const GaBudgetLevel *levels, int n)
{
	Datum ids[GA_BUDGET_DEPTH_MAX];
	int i;

	for (i = 0; i < n; i++)
		ids[i] = Int64GetDatum(levels[i].account_id);
	return PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Levels with their accounts made and locked; false when something changed meanwhile. */
static bool
try_lock(const GaBudgetPath *path, Locked *l)
{
	bool missing = false;
	int i;

	l->n = ga_budget_levels(path, l->now, l->levels);
	if (l->n == 0 || strcmp(l->levels[l->n - 1].budget, path->path) != 0)
	{
		create_default(path);
		l->n = ga_budget_levels(path, l->now, l->levels);
	}
	for (i = 0; i < l->n; i++)
		missing = missing || l->levels[i].account_id == 0;
	if (missing)
	{
		ga_budget_open_accounts(path, l->now);
		l->n = ga_budget_levels(path, l->now, l->levels);
	}
	if (l->n == 0 || strcmp(l->levels[l->n - 1].budget, path->path) != 0)
		return false;
	for (i = 0; i < l->n; i++)
		if (l->levels[i].account_id == 0)
			return false;
	l->ids = level_ids(l->levels, l->n);
	ga_budget_lock(path->tenant, l->ids);
	if (!ga_budget_confirm_levels(path, l->n, l->levels))
		return false;
	ga_budget_read_available(path->tenant, l->ids, l->now, l->n, l->levels);
	return true;
}

static void
lock_path(const GaBudgetPath *path, Locked *l)
{
	int attempt;

	l->sum = (GaBudgetSum){0};
	for (attempt = 0; attempt < ATTEMPTS; attempt++)
	{
		l->now = ga_now();
		if (try_lock(path, l))
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
	                errmsg("budget \"%s\" kept changing while it was decided", path->path),
	                errhint("Try again.")));
}

static bool
book_approval(const Request *r, const Locked *l, int64 available)
{
	bool charge = r->ttl_us == 0;
	bool refund = true;
	GaBudgetEntry entry;
	int i;

	for (i = 0; i < l->n; i++)
		refund = refund && l->levels[i].refund;
	entry = (GaBudgetEntry){.tenant = r->path.tenant,
	                        .budget = r->path.path,
	                        .request_id = r->id,
	                        .phase = 0,
	                        .type = charge ? "charge" : "reserve",
	                        .amount = r->tokens,
	                        .held = charge ? 0 : r->tokens,
	                        .used = charge ? r->tokens : 0,
	                        .account_ids = l->ids,
	                        .at = l->now,
	                        .fingerprint = r->fingerprint,
	                        .available = available,
	                        .expires_at = charge ? 0 : l->now + r->ttl_us,
	                        .on_expiry = charge ? NULL : (refund ? "refund" : "charge"),
	                        .purpose = r->purpose,
	                        .model = r->model,
	                        .task_id = r->task_id};
	return ga_budget_book(&entry);
}

/* Decide by the locked levels. False: the ledger has the id already; look again. */
static bool
decide_locked(const Request *r, Locked *l, Decision *decision)
{
	const GaBudgetLevel *least = &l->levels[0];
	int i;

	for (i = 1; i < l->n; i++)
		if (l->levels[i].available < least->available)
			least = &l->levels[i];
	*decision = (Decision){
	    .id = r->id, .state = GA_BUDGET_REFUSED, .available = least->available, .at = l->now};
	if (least->available < r->tokens)
	{
		decision->reason = psprintf("insufficient_budget: %s", least->budget);
		return true;
	}
	decision->available = least->available - r->tokens;
	if (!book_approval(r, l, decision->available))
		return false;
	ForceSyncCommit();
	ga_count(GA_COUNT_BUDGET_APPROVED);
	for (i = 0; i < l->n; i++)
		l->levels[i].available -= r->tokens;
	if (r->ttl_us == 0)
		l->sum.used += r->tokens;
	else
		l->sum.held += r->tokens;
	decision->approved = true;
	decision->state = r->ttl_us == 0 ? GA_BUDGET_SETTLED : GA_BUDGET_HELD;
	decision->reason = "approved";
	decision->tokens = r->tokens;
	return true;
}

static bool
find_replay(const Request *r, Decision *decision)
{
	GaBudgetRecord record;

	if (!ga_budget_find(r->id, r->path.tenant, r->path.tenant, ga_now(), &record))
		return false;
	*decision = replay(r, &record);
	return true;
}

/*
 * A twin may have been in flight when the id was looked for. If it was approved, the ledger's key
 * stops a second approval, and a refusal is given only after another look.
 */
static Decision
decide_under_lock(const Request *r, Locked *l)
{
	Decision decision;
	Decision earlier;

	if (decide_locked(r, l, &decision))
	{
		if (!decision.approved && find_replay(r, &earlier))
			return earlier;
		if (!decision.approved)
			ga_count(GA_COUNT_BUDGET_REFUSED);
		return decision;
	}
	if (find_replay(r, &earlier))
		return earlier;
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
	                errmsg("request id \"%s\" changed while it was decided", r->id),
	                errhint("Try again.")));
}

/* A replay that is found at the first look takes no lock. */
static Decision
decide(const Request *r)
{
	Decision decision;
	Locked locked;

	if (find_replay(r, &decision))
		return decision;
	lock_path(&r->path, &locked);
	decision = decide_under_lock(r, &locked);
	if (decision.approved && !decision.replayed)
		ga_budget_move(r->path.tenant, locked.ids, &locked.sum, locked.now);
	return decision;
}

static void
check_visible(const GaCall *call, const GaBudgetPath *path)
{
	if (!ga_tenant_visible(call->principal, path->tenant))
		unknown_budget(path->path);
}

/* Arguments that request, require and charge have in common. */
static Request
read_request(FunctionCallInfo fcinfo, const GaCall *call, const char *function, bool charge)
{
	Request r = {0};

	ga_require_writable(function);
	ga_budget_path(ga_arg_text(fcinfo, 0, "budget"), &r.path);
	r.id = ga_budget_request_id(fcinfo, 1);
	r.tokens = ga_arg_int8(fcinfo, 2, "tokens", 1, GA_BUDGET_TOKENS_MAX);
	r.purpose = ga_arg_text_or_null(fcinfo, 3, "purpose");
	r.model = ga_arg_text_or_null(fcinfo, 4, "model");
	if (r.purpose && strlen(r.purpose) > GA_REASON_MAX_BYTES)
		ga_bad_argument("purpose", "A purpose has at most 2000 bytes.");
	if (r.model && strlen(r.model) > GA_NAME_MAX_BYTES)
		ga_bad_argument("model", "A model's name has at most 128 bytes.");
	if (!PG_ARGISNULL(5))
		r.task_id = PG_GETARG_UUID_P(5);
	if (!charge)
		r.ttl_us = ga_arg_interval_us(fcinfo, 6, "ttl", false);
	r.fingerprint = fingerprint_of(&r);
	check_visible(call, &r.path);
	return r;
}

static Decision
run_request(FunctionCallInfo fcinfo, const char *function, bool charge)
{
	GaCall call;
	Request request;
	Decision decision;

	ga_enter(&call, PERMISSION_USE);
	request = read_request(fcinfo, &call, function, charge);
	decision = decide(&request);
	ga_leave(&call);
	return decision;
}

GA_FUNCTION(ga_request_tokens);
Datum
ga_request_tokens(PG_FUNCTION_ARGS)
{
	Decision decision = run_request(fcinfo, "request_tokens()", false);

	return answer(fcinfo, &decision);
}

GA_FUNCTION(ga_charge_tokens);
Datum
ga_charge_tokens(PG_FUNCTION_ARGS)
{
	Decision decision = run_request(fcinfo, "charge_tokens()", true);

	return answer(fcinfo, &decision);
}

GA_FUNCTION(ga_require_tokens);
Datum
ga_require_tokens(PG_FUNCTION_ARGS)
{
	Decision decision = run_request(fcinfo, "require_tokens()", false);

	if (!decision.approved)
		ereport(ERROR,
		        (errcode(GA_ERR_BUDGET_EXHAUSTED),
		         errmsg("no tokens for request \"%s\"", decision.id),
		         errdetail("%s; %lld tokens are available.", decision.reason,
		                   (long long) decision.available),
		         errhint("goldenarch.explain_budget() tells who holds what and until when.")));
	return answer(fcinfo, &decision);
}

/* One request of a batch, in a call of its own: what it read is freed before the next. */
static void
add_decision(FunctionCallInfo fcinfo, const GaPrincipal *who, Request *request, Locked *locked,
             MemoryContext scratch)
{
	MemoryContext old = MemoryContextSwitchTo(scratch);
	GaCall call;
	Decision decision;
	Datum values[8];
	bool nulls[8] = {false};

	ga_enter_as(&call, who);
	request->fingerprint = fingerprint_of(request);
	decision = decide_under_lock(request, locked);
	ga_leave(&call);
	fill(&decision, values);
	ga_set_add(fcinfo, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(scratch);
}

GA_FUNCTION(ga_request_tokens_batch);
Datum
ga_request_tokens_batch(PG_FUNCTION_ARGS)
{
	GaCall call;
	Request request = {0};
	Locked locked;
	MemoryContext scratch;
	Datum *tokens;
	bool *nulls;
	char **ids;
	int nids;
	int ntokens;
	int i;

	ga_enter(&call, PERMISSION_USE);
	ga_require_writable("request_tokens_batch()");
	ga_budget_path(ga_arg_text(fcinfo, 0, "budget"), &request.path);
	ids = ga_arg_text_array(fcinfo, 1, "request_ids", false, &nids);
	if (PG_ARGISNULL(2))
		ga_bad_argument("tokens", "The array must not be null.");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
	                  &tokens, &nulls, &ntokens);
	if (nids != ntokens || nids > GA_BUDGET_BATCH_MAX)
		ga_bad_argument("tokens", "Both arrays have the same length, at most 10000.");
	for (i = 0; i < nids; i++)
		if (nulls[i] || DatumGetInt64(tokens[i]) < 1 ||
		    DatumGetInt64(tokens[i]) > GA_BUDGET_TOKENS_MAX ||
		    strlen(ids[i]) > GA_REQUEST_ID_MAX_BYTES)
			ga_bad_argument("tokens", "Each id has at most 200 bytes and asks for 1 to 10^15.");
	check_visible(&call, &request.path);
	ga_set_begin(fcinfo);
	request.ttl_us = INT64CONST(15) * 60 * USECS_PER_SEC;
	scratch = AllocSetContextCreate(CurrentMemoryContext, "goldenarch batch", ALLOCSET_SMALL_SIZES);
	if (nids > 0)
		lock_path(&request.path, &locked);
	for (i = 0; i < nids; i++)
	{
		request.id = ids[i];
		request.tokens = DatumGetInt64(tokens[i]);
		add_decision(fcinfo, call.principal, &request, &locked, scratch);
	}
	if (nids > 0)
		ga_budget_move(request.path.tenant, locked.ids, &locked.sum, locked.now);
	ga_leave(&call);
	return (Datum) 0;
}

/* The record that a settlement or a release is about, its accounts locked; judged at *now. */
static GaBudgetRecord
lock_record(FunctionCallInfo fcinfo, const GaCall *call, int budget_argument, TimestampTz *now)
{
	char *id = ga_budget_request_id(fcinfo, 0);
	char *named = ga_arg_text_or_null(fcinfo, budget_argument, "budget");
	const char *floor = ga_tenant_floor(call->principal);
	const char *ceiling = ga_tenant_ceiling(call->principal);
	GaBudgetRecord record;
	GaBudgetPath path = {0};
	bool found = true;

	if (named)
	{
		ga_budget_path(named, &path);
		found = ga_tenant_visible(call->principal, path.tenant);
		floor = ceiling = path.tenant;
	}
	found = found && ga_budget_find(id, floor, ceiling, ga_now(), &record) &&
	        (!named || strcmp(record.budget, path.path) == 0);
	if (found)
	{
		ga_budget_lock(record.tenant, record.account_ids);
		*now = ga_now();
		found = ga_budget_find(id, record.tenant, record.tenant, *now, &record);
	}
	if (!found)
		ereport(ERROR,
		        (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("request id \"%s\" does not exist", id),
		         errhint("It is the id that request_tokens() was called with.")));
	return record;
}

static GaBudgetEntry
entry_for(const GaBudgetRecord *record, const char *type, TimestampTz now)
{
	return (GaBudgetEntry){.tenant = record->tenant,
	                       .budget = record->budget,
	                       .request_id = record->request_id,
	                       .phase = 1,
	                       .type = type,
	                       .account_ids = record->account_ids,
	                       .expires_at = record->expires_at,
	                       .at = now};
}

/* Under the lock a second booking of a phase is a bug or a row that came past us. */
static void
book_once(const GaBudgetEntry *entry)
{
	GaBudgetSum sum = {entry->held, entry->used, entry->overrun};

	if (ga_budget_book(entry))
		ga_budget_move(entry->tenant, entry->account_ids, &sum, entry->at);
	else
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
		                errmsg("request id \"%s\" changed while it was decided", entry->request_id),
		                errhint("Try again.")));
}

static void
settle(const GaBudgetRecord *record, int64 actual, TimestampTz now)
{
	GaBudgetEntry entry = entry_for(record, "commit", now);

	entry.amount = actual;
	entry.held = -record->tokens;
	entry.used = actual;
	entry.overrun = Max(actual - record->tokens, 0);
	book_once(&entry);
	if (entry.overrun > 0)
		ForceSyncCommit();
}

/* What was used after the expiry is booked in full, against what the expiry itself charged. */
static void
settle_late(const GaBudgetRecord *record, int64 actual, TimestampTz now)
{
	int64 charged = record->refund ? 0 : record->tokens;
	GaBudgetEntry entry = entry_for(record, "expire", now);

	if (!record->terminal)
	{
		entry.amount = charged;
		entry.held = -record->tokens;
		entry.used = charged;
		book_once(&entry);
	}
	entry = entry_for(record, "late", now);
	entry.phase = 2;
	entry.amount = actual;
	entry.used = actual - charged;
	entry.overrun = Max(actual - record->tokens, 0);
	entry.late = true;
	book_once(&entry);
	ForceSyncCommit();
}

static Decision
decide_settlement(const GaBudgetRecord *record, int64 actual, TimestampTz now)
{
	Decision d = {.id = record->request_id, .tokens = actual, .at = now, .state = record->state};

	d.approved = record->state == GA_BUDGET_HELD || record->state == GA_BUDGET_SETTLED;
	switch (record->state)
	{
		case GA_BUDGET_HELD:
			settle(record, actual, now);
			d.state = GA_BUDGET_SETTLED;
			d.reason = actual > record->tokens ? "settled with an overrun" : "settled";
			break;
		case GA_BUDGET_SETTLED:
			if (record->settled != actual)
				refuse_reuse(record->request_id, "It is settled with another number of tokens.");
			d.reason = "settled";
			d.replayed = true;
			break;
		case GA_BUDGET_EXPIRED:
			if (record->late && record->late_tokens != actual)
				refuse_reuse(record->request_id, "It is settled with another number of tokens.");
			d.replayed = record->late;
			if (!record->late)
				settle_late(record, actual, now);
			d.reason = "settled after its expiry";
			break;
		default:
			d.tokens = 0;
			d.reason = "released before: nothing to settle";
			break;
	}
	if (d.replayed)
		ga_count(GA_COUNT_BUDGET_REPLAYED);
	return d;
}

GA_FUNCTION(ga_commit_usage);
Datum
ga_commit_usage(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaBudgetRecord record;
	Decision decision;
	TimestampTz now;
	int64 actual;

	ga_enter(&call, PERMISSION_USE);
	ga_require_writable("commit_usage()");
	actual = ga_arg_int8(fcinfo, 1, "actual_tokens", 0, GA_BUDGET_TOKENS_MAX);
	record = lock_record(fcinfo, &call, 2, &now);
	decision = decide_settlement(&record, actual, now);
	decision.available = ga_budget_available(record.tenant, record.account_ids, now);
	ga_leave(&call);
	return answer(fcinfo, &decision);
}

static Decision
decide_release(const GaBudgetRecord *record, TimestampTz now)
{
	Decision d = {.id = record->request_id, .at = now, .state = record->state};
	GaBudgetEntry entry = entry_for(record, "release", now);

	switch (record->state)
	{
		case GA_BUDGET_HELD:
			entry.amount = record->tokens;
			entry.held = -record->tokens;
			book_once(&entry);
			d.state = GA_BUDGET_RELEASED;
			d.reason = "released";
			break;
		case GA_BUDGET_RELEASED:
			d.reason = "released";
			d.replayed = true;
			ga_count(GA_COUNT_BUDGET_REPLAYED);
			break;
		case GA_BUDGET_SETTLED:
			d.approved = true;
			d.tokens = record->settled;
			d.reason = "settled before: nothing to release";
			break;
		default:
			d.reason = "expired before: nothing to release";
			break;
	}
	return d;
}

GA_FUNCTION(ga_release_reservation);
Datum
ga_release_reservation(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaBudgetRecord record;
	Decision decision;
	TimestampTz now;

	ga_enter(&call, PERMISSION_USE);
	ga_require_writable("release_reservation()");
	record = lock_record(fcinfo, &call, 1, &now);
	decision = decide_release(&record, now);
	decision.available = ga_budget_available(record.tenant, record.account_ids, now);
	ga_leave(&call);
	return answer(fcinfo, &decision);
}
