/* SPDX-License-Identifier: PostgreSQL */
/*
 * audit_verify(), row by row: the bytes hash to the leaf, the columns say what the bytes say, what
 * is stored beside them opens their commitment, and the tree has that leaf at that place. Rows are
 * read in pages in the order of their ids, so that memory does not grow with the log.
 */
#include "audit_verify.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "entry.h"
#include "merkle.h"

#define PAGE_ROWS 256
#define UNIX_EPOCH_US ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

enum
{
	COLUMN_ID = 1,
	COLUMN_TENANT,
	COLUMN_AT,
	COLUMN_SUBJECT,
	COLUMN_ROLE,
	COLUMN_ACTION,
	COLUMN_RESOURCE_TYPE,
	COLUMN_RESOURCE_ID,
	COLUMN_OUTCOME,
	COLUMN_XID,
	COLUMN_ORDINAL,
	COLUMN_ENTRY,
	COLUMN_LEAF,
	COLUMN_SALT,
	COLUMN_DETAILS_TEXT,
	COLUMN_DETAILS,
	COLUMN_INCARNATION,
	COLUMN_LEAF_INDEX
};

static const struct
{
	GaEntryField field;
	int column;
	const char *name;
} text_columns[] = {
    {GA_ENTRY_TENANT, COLUMN_TENANT, "tenant"},
    {GA_ENTRY_SUBJECT, COLUMN_SUBJECT, "subject"},
    {GA_ENTRY_ROLE, COLUMN_ROLE, "role"},
    {GA_ENTRY_ACTION, COLUMN_ACTION, "action"},
    {GA_ENTRY_RESOURCE_TYPE, COLUMN_RESOURCE_TYPE, "resource_type"},
    {GA_ENTRY_RESOURCE_ID, COLUMN_RESOURCE_ID, "resource_id"},
    {GA_ENTRY_OUTCOME, COLUMN_OUTCOME, "outcome"},
};

typedef struct Row
{
	const GaRows *rows;
	uint64 n;
	int64 id;
	bytea *entry;
	bool canonical;
	GaEntryValue fields[GA_ENTRY_FIELD_MAX + 1]; /* field 0: absent */
	uint8 leaf[GA_HASH_BYTES];                   /* of the stored bytes */
} Row;

static bool
bytes_are(const bytea *value, const uint8 *bytes, size_t n)
{
	return value && VARSIZE(value) - VARHDRSZ == n && memcmp(VARDATA(value), bytes, n) == 0;
}

static void
check_entry(GaVerify *v, Row *row)
{
	const uint8 *bytes;
	size_t nbytes;
	size_t offset = 0;
	GaEntryValue value;

	if (!row->entry)
	{
		ga_verify_bad(v, GA_VERIFY_ENTRIES, row->id, "There are no canonical bytes.");
		return;
	}
	bytes = (const uint8 *) VARDATA(row->entry);
	nbytes = VARSIZE(row->entry) - VARHDRSZ;
	row->canonical = ga_entry_valid(bytes, nbytes);
	while (row->canonical && ga_entry_next(bytes, nbytes, &offset, &value) == 1)
		row->fields[value.field] = value;
	if (!ga_merkle_leaf(bytes, nbytes, row->leaf))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not hash an audit entry")));
	if (!row->canonical)
		ga_verify_bad(v, GA_VERIFY_ENTRIES, row->id, "The bytes are not a canonical entry.");
	else if (!bytes_are(ga_row_bytea(row->rows, row->n, COLUMN_LEAF), row->leaf, GA_HASH_BYTES))
		ga_verify_bad(v, GA_VERIFY_ENTRIES, row->id, "The bytes do not hash to the stored leaf.");
}

static bool
number_is(const Row *row, GaEntryField field, int64 expected)
{
	return row->fields[field].field != 0 && row->fields[field].number == expected;
}

static void
check_columns(GaVerify *v, const Row *row)
{
	const char *wrong = NULL;
	size_t i;

	if (!row->canonical)
		return;
	for (i = 0; i < lengthof(text_columns); i++)
	{
		const GaEntryValue *field = &row->fields[text_columns[i].field];
		const char *column = ga_row_text(row->rows, row->n, text_columns[i].column);
		size_t bytes = field->field != 0 ? field->bytes : 0;

		if (!column || strlen(column) != bytes ||
		    (bytes > 0 && memcmp(column, field->data, bytes) != 0))
			wrong = text_columns[i].name;
	}
	if (!number_is(row, GA_ENTRY_ID, row->id))
		wrong = "id";
	if (!number_is(row, GA_ENTRY_XID, ga_row_int8(row->rows, row->n, COLUMN_XID)))
		wrong = "xid";
	if (!number_is(row, GA_ENTRY_ORDINAL, ga_row_int8(row->rows, row->n, COLUMN_ORDINAL)))
		wrong = "ordinal";
	if (ga_row_isnull(row->rows, row->n, COLUMN_AT) ||
	    !number_is(row, GA_ENTRY_AT,
	               ga_row_timestamp(row->rows, row->n, COLUMN_AT) + UNIX_EPOCH_US))
		wrong = "at";
	if (wrong)
		ga_verify_bad(v, GA_VERIFY_COLUMNS, row->id, "Column %s does not say what the entry says.",
		              wrong);
}

static void
parse_json(void *arg)
{
	void **both = arg;

	both[1] = DatumGetPointer(DirectFunctionCall1(jsonb_in, CStringGetDatum((char *) both[0])));
}

/* jsonb may print otherwise in another release; then what it says counts. */
static bool
same_json(Jsonb *details, char *text)
{
	void *both[2] = {text, NULL};
	ErrorData *error;

	if (strcmp(JsonbToCString(NULL, &details->root, VARSIZE(details)), text) == 0)
		return true;
	return ga_try(parse_json, both, &error) &&
	       compareJsonbContainers(&details->root, &((Jsonb *) both[1])->root) == 0;
}

static void
check_details(GaVerify *v, const Row *row)
{
	const GaEntryValue *field = &row->fields[GA_ENTRY_DETAILS];
	bytea *salt = ga_row_bytea(row->rows, row->n, COLUMN_SALT);
	char *text = ga_row_text(row->rows, row->n, COLUMN_DETAILS_TEXT);
	Jsonb *details = ga_row_jsonb(row->rows, row->n, COLUMN_DETAILS);
	uint8 commitment[GA_HASH_BYTES];

	if (!row->canonical)
		return;
	if (!salt && !text && !details)
		return; /* erased: whether it was told of is another question */
	if (!salt || !text || !details)
	{
		ga_verify_bad(v, GA_VERIFY_DETAILS, row->id, "Only a part of the details is left.");
		return;
	}
	if (VARSIZE(salt) - VARHDRSZ != GA_SALT_BYTES || field->field == 0 ||
	    !ga_commitment((const uint8 *) VARDATA(salt), text, strlen(text), commitment) ||
	    field->bytes != GA_HASH_BYTES || memcmp(commitment, field->data, GA_HASH_BYTES) != 0)
		ga_verify_bad(v, GA_VERIFY_DETAILS, row->id,
		              "details_text and salt do not open the entry's commitment.");
	else if (!same_json(details, text))
		ga_verify_bad(v, GA_VERIFY_DETAILS, row->id, "details do not say what details_text says.");
}

/* Against the tree. A row that is no leaf yet is no fault here: completeness.sealed judges that. */
static void
check_leaf(GaVerify *v, const Row *row)
{
	uint8 hashes[GA_TILE_BYTES];
	GaAuditTree *tree;
	uint64 index;
	int width;

	if (ga_row_isnull(row->rows, row->n, COLUMN_INCARNATION) ||
	    ga_row_isnull(row->rows, row->n, COLUMN_LEAF_INDEX))
		return;
	tree = ga_verify_tree(v, ga_row_int4(row->rows, row->n, COLUMN_INCARNATION));
	index = (uint64) ga_row_int8(row->rows, row->n, COLUMN_LEAF_INDEX);
	if (!tree || index >= tree->size)
	{
		ga_verify_bad(v, GA_VERIFY_LEAVES, row->id, "The row is leaf %lld of no tree of that size.",
		              (long long) index);
		return;
	}
	width = (int) (index % GA_TILE_WIDTH) + 1;
	if (index < tree->minimum_index)
		return; /* a link, which pruning leaves; its tile may be gone */
	if (!ga_audit_read_tile(tree, 0, index / GA_TILE_WIDTH, width, hashes))
		ga_verify_bad(v, GA_VERIFY_LEAVES, row->id, "The tile that holds leaf %lld is missing.",
		              (long long) index);
	else if (memcmp(hashes + (size_t) (width - 1) * GA_HASH_BYTES, row->leaf, GA_HASH_BYTES) != 0)
		ga_verify_bad(v, GA_VERIFY_LEAVES, row->id,
		              "Leaf %lld of \"%s\" is not the hash of the row's bytes.", (long long) index,
		              tree->origin);
	if (v->limited)
		ga_verify_tiles_above(v, tree, index / GA_TILE_WIDTH);
}

static GaRows
next_page(const GaVerify *v, int64 after)
{
	/* details, which have no limit of their own, stay where they are until a row is looked at */
	static GaStmt page = GA_READ(
	    "SELECT e.id::pg_catalog.int8, e.tenant::pg_catalog.text, e.at::pg_catalog.timestamptz, "
	    "e.subject::pg_catalog.text, e.role::pg_catalog.text, e.action::pg_catalog.text, "
	    "e.resource_type::pg_catalog.text, e.resource_id::pg_catalog.text, "
	    "e.outcome::pg_catalog.text, "
	    "coalesce(e.xid::pg_catalog.text::pg_catalog.int8, -1)::pg_catalog.int8, "
	    "coalesce(e.ordinal, -1)::pg_catalog.int8, e.entry::pg_catalog.bytea, "
	    "e.leaf::pg_catalog.bytea, e.salt::pg_catalog.bytea, e.details_text::pg_catalog.text, "
	    "e.details::pg_catalog.jsonb, l.incarnation::pg_catalog.int4, "
	    "l.leaf_index::pg_catalog.int8 FROM goldenarch.audit_entries e LEFT JOIN "
	    "goldenarch.audit_leaves l ON l.tenant OPERATOR(pg_catalog.=) e.tenant AND l.id "
	    "OPERATOR(pg_catalog.=) e.id WHERE e.id OPERATOR(pg_catalog.>) $1 AND e.id "
	    "OPERATOR(pg_catalog.<=) $2 AND e.tenant OPERATOR(pg_catalog.>=) $3 AND e.tenant "
	    "OPERATOR(pg_catalog.<=) $4 ORDER BY e.id USING OPERATOR(pg_catalog.<) LIMIT $5",
	    INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID);

	return ga_query(&page, ga_int8(after), ga_int8(v->to_id), ga_text(v->floor),
	                ga_text(v->ceiling), ga_int8(PAGE_ROWS));
}

void
ga_verify_rows(GaVerify *v)
{
	int64 after = v->from_id == PG_INT64_MIN ? PG_INT64_MIN : v->from_id - 1;
	uint64 done = 0;
	uint64 count;

	do
	{
		GaRows rows = next_page(v, after);
		uint64 n;

		count = rows.count;
		for (n = 0; n < count; n++)
		{
			Row row = {.rows = &rows, .n = n, .id = ga_row_int8(&rows, n, COLUMN_ID)};

			ga_verify_page_begin(v);
			row.entry = ga_row_bytea(&rows, n, COLUMN_ENTRY);
			check_entry(v, &row);
			check_columns(v, &row);
			check_details(v, &row);
			check_leaf(v, &row);
			after = row.id;
			ga_verify_page_end(v);
			ga_verify_progress(v, "rows", ++done);
		}
		ga_rows_free(&rows);
	} while (count == PAGE_ROWS);
	ga_verify_good(v, GA_VERIFY_ENTRIES,
	               "The bytes of " UINT64_FORMAT " rows hash to their leaves.", done);
	ga_verify_good(v, GA_VERIFY_COLUMNS, "Every column says what its entry says.");
	ga_verify_good(v, GA_VERIFY_DETAILS, "Details open their commitments, or were redacted.");
	ga_verify_good(v, GA_VERIFY_LEAVES, "Each sealed row is the leaf it is said to be.");
}
