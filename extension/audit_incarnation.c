/* SPDX-License-Identifier: PostgreSQL */
/*
 * Incarnations of the audit tree: each is a tree of its own with an origin that nobody else has,
 * and its first leaf names the tree that it follows. The sealer opens one for a new database (also
 * a restored or copied one), an administrator does after a fork.
 *
 * Lock order: the sealing lock, then the tree's row, then what an audit row locks.
 */
#include "goldenarch/seal.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "goldenarch/audit.h"
#include "goldenarch/clock.h"
#include "goldenarch/error.h"
#include "goldenarch/jsonbuild.h"
#include "goldenarch/query.h"
#include "goldenarch/queue.h"
#include "digest.h"
#include "note.h"
#include "tile.h"

#define SEAL_LOCK_CLASS 0x6773 /* advisory locks of SQL use classes 1 and 2 */
#define REASON_MAX_BYTES 1000
#define ORIGIN_PREFIX "goldenarch/"

void
ga_seal_lock(bool of_session)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, SEAL_LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, of_session, false);
}

void
ga_seal_unlock(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, SEAL_LOCK_CLASS);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

int32
ga_seal_timeline(void)
{
	return (int32) GetWALInsertionTimeLine();
}

void
ga_seal_tree(GaSealTree *tree)
{
	static GaStmt find = GA_STMT(
	    "SELECT t.incarnation::pg_catalog.int4, t.origin::pg_catalog.text, "
	    "t.system_identifier::pg_catalog.int8, t.database::pg_catalog.oid, "
	    "t.timeline::pg_catalog.int4, t.opened_at::pg_catalog.timestamptz, "
	    "t.link_id::pg_catalog.int8, t.size::pg_catalog.int8, t.root::pg_catalog.bytea, "
	    "t.minimum_index::pg_catalog.int8, t.fork::pg_catalog.text, t.stopped::pg_catalog.text, "
	    "t.unsigned::pg_catalog.text, coalesce(h.size, -1)::pg_catalog.int8, "
	    "coalesce(h.signed_at, '-infinity')::pg_catalog.timestamptz "
	    "FROM goldenarch.audit_trees t LEFT JOIN (SELECT x.incarnation, x.size, x.signed_at FROM "
	    "goldenarch.audit_heads x ORDER BY x.id USING OPERATOR(pg_catalog.>) LIMIT 1) h ON "
	    "h.incarnation OPERATOR(pg_catalog.=) t.incarnation ORDER BY t.incarnation USING "
	    "OPERATOR(pg_catalog.>) LIMIT 1");
	GaRows rows = ga_query(&find);
	bool isnull;
	bytea *root;

	memset(tree, 0, sizeof(*tree));
	if (rows.count == 0)
		return;
	tree->incarnation = ga_row_int4(&rows, 0, 1);
	tree->origin = ga_row_text_present(&rows, 0, 2);
	tree->here = ga_row_int8(&rows, 0, 3) == (int64) GetSystemIdentifier() &&
	             DatumGetObjectId(ga_row_datum(&rows, 0, 4, OIDOID, &isnull)) == MyDatabaseId;
	tree->timeline = ga_row_int4(&rows, 0, 5);
	tree->opened_at = ga_row_timestamp(&rows, 0, 6);
	tree->link_id = ga_row_int8(&rows, 0, 7);
	tree->size = ga_row_int8(&rows, 0, 8);
	root = ga_row_bytea_present(&rows, 0, 9);
	if (VARSIZE(root) - VARHDRSZ != GA_HASH_BYTES)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("the root of audit tree \"%s\" is no hash", tree->origin)));
	memcpy(tree->root, VARDATA(root), GA_HASH_BYTES);
	tree->minimum_index = ga_row_int8(&rows, 0, 10);
	tree->fork = ga_row_text(&rows, 0, 11);
	tree->stopped = ga_row_text(&rows, 0, 12);
	tree->unsigned_reason = ga_row_text(&rows, 0, 13);
	tree->head_size = ga_row_int8(&rows, 0, 14);
	tree->head_at = ga_row_timestamp(&rows, 0, 15);
	ga_rows_free(&rows);
}

bool
ga_seal_restoring(void)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.datid "
	            "OPERATOR(pg_catalog.=) $1 AND a.application_name OPERATOR(pg_catalog.=) "
	            "'pg_restore' AND pg_catalog.pg_has_role(a.usesysid, $2, 'MEMBER') LIMIT 1",
	            OIDOID, OIDOID);

	return ga_query(&find, ga_datum(ObjectIdGetDatum(MyDatabaseId), false),
	                ga_datum(ObjectIdGetDatum(ga_owner()), false))
	           .count > 0;
}

static char *
new_origin(void)
{
	pg_uuid_t uuid;

	if (!pg_strong_random(uuid.data, UUID_LEN))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a random origin")));
	uuid.data[6] = (uuid.data[6] & 0x0f) | 0x40; /* version 4 */
	uuid.data[8] = (uuid.data[8] & 0x3f) | 0x80; /* of RFC 4122 */
	return psprintf(ORIGIN_PREFIX "%s",
	                DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid))));
}

static char *
hex(const uint8 hash[GA_HASH_BYTES])
{
	char *text = palloc0(2 * GA_HASH_BYTES + 1);

	(void) hex_encode((const char *) hash, GA_HASH_BYTES, text);
	return text;
}

char *
ga_seal_open(const GaSealTree *parent, const char *reason)
{
	static GaStmt insert = GA_STMT(
	    "INSERT INTO goldenarch.audit_trees (incarnation, origin, opened_at, reason, link_id, "
	    "parent_size, parent_root, system_identifier, database, timeline, root, edge, sealed, "
	    "sealed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
	    "''::pg_catalog.bytea, '1:1:'::pg_catalog.pg_snapshot, $3) ON CONFLICT (incarnation) DO "
	    "NOTHING",
	    INT4OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, BYTEAOID, INT8OID, OIDOID,
	    INT4OID, BYTEAOID);
	bool first = parent->incarnation == 0;
	char *origin = new_origin();
	char *link =
	    first ? "none 0 -"
	          : psprintf("%s " INT64_FORMAT " %s", parent->origin, parent->size, hex(parent->root));
	uint8 empty[GA_HASH_BYTES];
	GaRows rows;
	int64 id;

	if (!ga_sha256(NULL, 0, empty))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash nothing")));
	id = ga_audit("audit.incarnation", "audit tree", link,
	              ga_json_pairs("origin", origin, "reason", reason, NULL));
	rows = ga_query(
	    &insert, ga_int4(parent->incarnation + 1), ga_text(origin), ga_timestamp(ga_now()),
	    ga_text(reason), ga_int8(id), first ? ga_null() : ga_int8(parent->size),
	    first ? ga_null() : ga_bytea(parent->root, GA_HASH_BYTES),
	    ga_int8((int64) GetSystemIdentifier()), ga_datum(ObjectIdGetDatum(MyDatabaseId), false),
	    ga_int4(ga_seal_timeline()), ga_bytea(empty, sizeof(empty)));
	if (rows.count != 1)
		elog(ERROR, "incarnation %d exists", parent->incarnation + 1);
	return origin;
}

void
ga_seal_new_timeline(const GaSealTree *tree, int32 timeline)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.audit_trees SET timeline = $2 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1",
	            INT4OID, INT4OID);

	(void) ga_audit("audit.timeline", "audit tree", psprintf("%d -> %d", tree->timeline, timeline),
	                ga_json_pairs("origin", tree->origin, NULL));
	(void) ga_query(&update, ga_int4(tree->incarnation), ga_int4(timeline));
}

/* Sets what the tree's row says; false where it says so already. */
static bool
tell(GaStmt *update, const GaSealTree *tree, const char *said, const char *why)
{
	if (why == said || (why && said && strcmp(why, said) == 0))
		return false;
	(void) ga_query(update, ga_int4(tree->incarnation), ga_text(why));
	return true;
}

void
ga_seal_say_stopped(const GaSealTree *tree, const char *why)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.audit_trees SET stopped = $2 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1",
	            INT4OID, TEXTOID);

	(void) tell(&update, tree, tree->stopped, why);
}

void
ga_seal_say_unsigned(const GaSealTree *tree, const char *why)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.audit_trees SET unsigned = $2 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1",
	            INT4OID, TEXTOID);

	if (tell(&update, tree, tree->unsigned_reason, why) && why)
		ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                  errmsg("heads of the audit tree are not signed: %s", why)));
}

void
ga_seal_say_fork(const GaSealTree *tree, const char *why, const char *head)
{
	static GaStmt update =
	    GA_STMT("UPDATE goldenarch.audit_trees SET fork = $2, fork_head = $3 WHERE incarnation "
	            "OPERATOR(pg_catalog.=) $1 AND fork IS NULL",
	            INT4OID, TEXTOID, TEXTOID);

	(void) ga_query(&update, ga_int4(tree->incarnation), ga_text(why), ga_text(head));
	ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the audit tree is forked: %s", why),
	                  errdetail("Nothing more of \"%s\" is signed.", tree->origin),
	                  errhint("Is this an old backup, or a copy? Find out first; then "
	                          "goldenarch.audit_accept_fork(reason) opens a new incarnation.")));
}

bool
ga_seal_accepted(const GaSealTree *tree, const char *head)
{
	static GaStmt find =
	    GA_STMT("SELECT 1 FROM goldenarch.audit_trees t WHERE t.incarnation "
	            "OPERATOR(pg_catalog.<) $1 AND t.fork_head OPERATOR(pg_catalog.=) $2",
	            INT4OID, TEXTOID);

	return ga_query(&find, ga_int4(tree->incarnation), ga_text(head)).count > 0;
}

/* Nothing grows under the sealing lock; a caller's old snapshot must not hide what did: 40001. */
static void
lock_tree(const GaSealTree *tree)
{
	static GaStmt lock = GA_STMT("SELECT 1 FROM goldenarch.audit_trees t WHERE t.incarnation "
	                             "OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	                             INT4OID);

	(void) ga_query(&lock, ga_int4(tree->incarnation));
}

GA_FUNCTION(ga_audit_accept_fork);
Datum
ga_audit_accept_fork(PG_FUNCTION_ARGS)
{
	GaCall call;
	GaSealTree tree;
	char *reason;
	char *origin;

	ga_enter_global(&call, "system.admin");
	ga_require_writable("audit_accept_fork()");
	reason = ga_arg_text_max(fcinfo, 0, "reason", REASON_MAX_BYTES, false);
	ga_seal_lock(false);
	ga_seal_tree(&tree);
	if (tree.incarnation > 0)
		lock_tree(&tree);
	if (tree.incarnation == 0 || !tree.fork)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("the audit tree is not forked"),
		         errdetail("Only a tree that the sealer refuses to sign is followed by a new "
		                   "incarnation in this way.")));
	origin = ga_seal_open(&tree, psprintf("%s (%s)", reason, tree.fork));
	ga_wake_at_commit(GA_WORKER_SEALER);
	ga_leave(&call);
	PG_RETURN_TEXT_P(cstring_to_text(origin));
}
