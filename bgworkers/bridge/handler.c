/* SPDX-License-Identifier: PostgreSQL */
/*
 * Calling a handler. It is somebody's code: it runs in a subtransaction that takes everything back
 * when it fails, under a time limit of ours, with the rights of the role this process is connected
 * as and EXECUTE checked at each call; what it SETs is gone afterwards. Only FATAL gets past us.
 */
#include "handler.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "parser/parse_func.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/typcache.h"

#include "goldenarch/bridge.h"
#include "goldenarch/error.h"
#include "goldenarch/principal.h"

#define ATTRIBUTES 8

static const Oid attribute_types[ATTRIBUTES] = {TEXTOID, BYTEAOID, JSONBOID, TEXTOID,
                                                INT8OID, TEXTOID,  INT4OID,  TIMESTAMPTZOID};

static TimeoutId timeout = MAX_TIMEOUTS;
static volatile sig_atomic_t timed_out;

static void
end_handler(void)
{
	timed_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
ga_handler_setup(void)
{
	timeout = RegisterTimeout(USER_TIMEOUT, end_handler);
}

static Oid
message_type(void)
{
	Oid schema = get_namespace_oid("goldenarch", false);
	Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("message"),
	                           ObjectIdGetDatum(schema));

	if (!OidIsValid(type))
		elog(ERROR, "type goldenarch.message does not exist");
	return type;
}

static Datum
make_message(Oid type, const GaDelivery *d)
{
	TupleDesc desc = lookup_rowtype_tupdesc(type, -1);
	bytea *payload = palloc(VARHDRSZ + d->payload_bytes);
	Datum values[ATTRIBUTES];
	bool nulls[ATTRIBUTES] = {false};
	HeapTuple tuple;
	int i;

	for (i = 0; i < ATTRIBUTES; i++)
		if (desc->natts != ATTRIBUTES || TupleDescAttr(desc, i)->atttypid != attribute_types[i])
			elog(ERROR, "type goldenarch.message was altered");
	SET_VARSIZE(payload, VARHDRSZ + d->payload_bytes);
	memcpy(VARDATA(payload), d->payload, d->payload_bytes);
	values[0] = CStringGetTextDatum(d->subject);
	values[1] = PointerGetDatum(payload);
	values[2] = PointerGetDatum(d->headers);
	values[3] = CStringGetTextDatum(d->stream);
	values[4] = Int64GetDatum(d->seq);
	nulls[5] = d->msg_id == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(d->msg_id);
	values[6] = Int32GetDatum(d->delivered);
	nulls[7] = d->published_at == 0;
	values[7] = TimestampTzGetDatum(d->published_at);
	tuple = heap_form_tuple(desc, values, nulls);
	ReleaseTupleDesc(desc);
	return HeapTupleGetDatum(tuple);
}

static Oid
find_handler(const char *name, Oid type)
{
	List *names = ga_qualified_name_list(name);
	Oid handler = LookupFuncName(names, 1, &type, false);
	Datum may = DirectFunctionCall2(has_function_privilege_id, ObjectIdGetDatum(handler),
	                                CStringGetTextDatum("EXECUTE"));

	if (!DatumGetBool(may))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("permission denied for function %s", name)));
	if (!ga_handler_trusted(handler, GetUserId()))
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("handler %s does not belong to role \"%s\"", name,
		                GetUserNameFromId(GetUserId(), false)),
		         errdetail("A row in goldenarch.subscriptions alone does not make it run.")));
	return handler;
}

/* A handler returns void, which a function in SQL answers with a null: no error, nothing at all. */
static void
call(Oid handler, Datum message)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo function;

	fmgr_info(handler, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = message;
	fcinfo->args[0].isnull = false;
	(void) FunctionCallInvoke(fcinfo);
}

static void
run(const char *name, const GaDelivery *delivery, int timeout_ms)
{
	int level = NewGUCNestLevel();
	Oid type = message_type();
	Oid handler = find_handler(name, type);
	Datum message = make_message(type, delivery);

	PushActiveSnapshot(GetTransactionSnapshot());
	timed_out = false;
	enable_timeout_after(timeout, timeout_ms);
	call(handler, message);
	disable_timeout(timeout, false);
	/* It may have fired after the last check for interrupts: the handler made it. */
	if (timed_out)
		QueryCancelPending = false;
	PopActiveSnapshot();
	/* As a rollback would: what the handler SET is not the next one's. */
	AtEOXact_GUC(false, level);
}

static GaHandled
judge(const ErrorData *failure, int timeout_ms, char **error)
{
	if (timed_out && failure->sqlerrcode == ERRCODE_QUERY_CANCELED)
		*error = psprintf("57014: the handler took longer than ack_wait (%d ms)", timeout_ms);
	else
		*error =
		    psprintf("%s: %s%s%s", unpack_sql_state(failure->sqlerrcode), failure->message,
		             failure->detail ? " DETAIL: " : "", failure->detail ? failure->detail : "");
	return failure->sqlerrcode == GA_ERR_DEAD_LETTER ? GA_HANDLER_REFUSED : GA_HANDLER_FAILED;
}

GaHandled
ga_handler_call(const char *handler, const GaDelivery *delivery, int timeout_ms,
                bool (*claim)(void *arg), void *arg, char **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile GaHandled result = GA_HANDLED_BEFORE;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (claim(arg))
		{
			run(handler, delivery, timeout_ms);
			result = GA_HANDLED;
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *failure;

		MemoryContextSwitchTo(context);
		disable_timeout(timeout, false);
		failure = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (timed_out)
			QueryCancelPending = false;
		result = judge(failure, timeout_ms, error);
		timed_out = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	/* One handler's token is not the next one's, though they share a transaction. */
	ga_identity_forget();
	return result;
}
