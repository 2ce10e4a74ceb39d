/* SPDX-License-Identifier: PostgreSQL */
/*
 * Finds the JSON in a model's reply. The strict reader of core/json decides what JSON is; this file
 * only chooses which bytes it is given, and blanks out what may be skipped. Time is linear: after a
 * failed attempt the search goes on behind the failure, and never inside an object that had begun,
 * so that neither a cut-off nor a duplicated object yields one of its parts as the answer.
 */
#include "reply.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "limits.h"

#define LENIENT (GA_JSON_COMMENTS | GA_JSON_TRAILING_COMMA)
#define ARENA_MAX_BYTES (256 * 1024 * 1024)

typedef struct Attempt
{
	MemoryContext context;
	GaArena arena;
	GaJsonNode *root;
	GaJsonFault fault;
} Attempt;

static void *
arena_block(void *context, size_t bytes)
{
	return MemoryContextAllocHuge(context, bytes);
}

/* Forgets what an earlier attempt with this struct allocated. a: zeroed before its first use. */
static bool
attempt(Attempt *a, const char *text, Size bytes, unsigned flags)
{
	CHECK_FOR_INTERRUPTS();
	if (a->context == NULL)
		a->context =
		    AllocSetContextCreate(CurrentMemoryContext, "goldenarch reply", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(a->context);
	ga_arena_init_growing(&a->arena, arena_block, a->context, ARENA_MAX_BYTES);
	a->root = ga_json_parse(&a->arena, text, bytes, &ga_json_default_limits, flags, &a->fault);
	return a->root != NULL;
}

/* jsonb of text[0..bytes) without what the edits cover. The reader has approved it. */
static Jsonb *
approved_jsonb(const char *text, Size bytes, const GaJsonEdit *edits)
{
	char *copy = pnstrdup(text, bytes);
	Jsonb *value;

	for (; edits != NULL; edits = edits->next)
		memset(copy + edits->offset, ' ', edits->bytes);
	value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(copy)));
	pfree(copy);
	return value;
}

static GaJsonEdit **
add_edit(GaJsonEdit **tail, const char *kind, Size offset, Size bytes)
{
	*tail = palloc0(sizeof(GaJsonEdit));
	(*tail)->kind = kind;
	(*tail)->offset = (uint32) offset;
	(*tail)->bytes = (uint32) bytes;
	return &(*tail)->next;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
refuse(GaReply *reply, const char *code, const char *message, Size offset)
{
	reply->fault.code = code;
	reply->fault.message = message;
	reply->fault.offset = offset;
	reply->fault.pointer = "";
}

void
ga_reply_strict(GaReply *reply, const char *text, Size bytes)
{
	Attempt a = {0};

	memset(reply, 0, sizeof(*reply));
	if (attempt(&a, text, bytes, 0))
	{
		reply->root = a.root;
		reply->value = approved_jsonb(text, bytes, NULL);
	}
	else
		reply->fault = a.fault;
}

/* What is left out before the value: prose, and the opening of a fence when it ends there. */
static GaJsonEdit **
edit_before(GaJsonEdit **tail, const char *raw, Size from, Size to)
{
	Size end = to;
	Size fence;

	while (from < end && is_space(raw[from]))
		from++;
	while (end > from && is_space(raw[end - 1]))
		end--;
	if (from == end)
		return tail;
	fence = end;
	while (fence > from && !is_space(raw[fence - 1]) && raw[fence - 1] != '`')
		fence--;
	if (fence >= from + 3 && memcmp(raw + fence - 3, "```", 3) == 0)
	{
		Size prose = fence - 3;

		while (prose > from && is_space(raw[prose - 1]))
			prose--;
		if (prose > from)
			tail = add_edit(tail, "prose", from, prose - from);
		return add_edit(tail, "fence", fence - 3, end - (fence - 3));
	}
	return add_edit(tail, "prose", from, end - from);
}

static GaJsonEdit **
edit_after(GaJsonEdit **tail, const char *raw, Size from, Size to)
{
	while (from < to && is_space(raw[from]))
		from++;
	while (to > from && is_space(raw[to - 1]))
		to--;
	if (to - from >= 3 && memcmp(raw + from, "```", 3) == 0)
	{
		tail = add_edit(tail, "fence", from, 3);
		from += 3;
		while (from < to && is_space(raw[from]))
			from++;
	}
	return from < to ? add_edit(tail, "prose", from, to - from) : tail;
}

/* The value that stands at raw[base + root->offset ..] becomes the reply's. */
static void
use_value(GaReply *reply, Attempt *a, const char *raw, Size base, Size start, Size end)
{
	GaJsonEdit **tail = &reply->edits;
	Size from = base + a->root->offset;
	Size to = base + a->root->end;

	while (*tail != NULL)
		tail = &(*tail)->next;
	tail = edit_before(tail, raw, start, from);
	for (GaJsonEdit *edit = a->fault.edits; edit != NULL; edit = edit->next)
	{
		/* a comment outside the value went into the prose around it */
		if (edit->offset >= a->root->offset && edit->offset < a->root->end)
			tail = add_edit(tail, edit->kind, base + edit->offset, edit->bytes);
		else
			edit->bytes = 0;
	}
	edit_after(tail, raw, to, end);
	reply->root = a->root;
	reply->base = base;
	for (GaJsonEdit *edit = a->fault.edits; edit != NULL; edit = edit->next)
	{
		if (edit->bytes > 0)
			edit->offset -= a->root->offset;
	}
	reply->value = approved_jsonb(raw + from, to - from, a->fault.edits);
}

/* A text that is nothing but one fenced block: its inside may also be a scalar. */
static bool
whole_fence(const char *raw, Size start, Size end, Size *inside, Size *inside_end)
{
	const char *line = memchr(raw + start, '\n', end - start);
	Size from;

	if (end - start < 6 || memcmp(raw + start, "```", 3) != 0 ||
	    memcmp(raw + end - 3, "```", 3) != 0 || line == NULL)
		return false;
	from = (Size) (line - raw) + 1;
	if (from > end - 3)
		return false;
	for (Size i = from; i + 3 < end; i++)
	{
		if (memcmp(raw + i, "```", 3) == 0 && i < end - 3)
			return false;
	}
	*inside = from;
	*inside_end = end - 3;
	return true;
}

/*
 * Whether the search may go on behind this failure: nothing that looked like data was passed
 * over.
 */
static bool
only_prose(const GaJsonFault *fault)
{
	return !fault->object_begun &&
	       (strcmp(fault->code, "syntax") == 0 || strcmp(fault->code, "control") == 0 ||
	        strcmp(fault->code, "escape") == 0 || strcmp(fault->code, "truncated") == 0);
}

/*
 * The next object or array in raw[*at..end). Null: none, or one that is broken (fault->code
 * set).
 */
static bool
next_value(Attempt *a, const char *raw, Size *at, Size end, Size *base)
{
	while (*at < end)
	{
		if (raw[*at] != '{' && raw[*at] != '[')
		{
			(*at)++;
			continue;
		}
		*base = *at;
		if (attempt(a, raw + *at, end - *at, LENIENT | GA_JSON_PREFIX))
		{
			*at += a->root->end;
			return true;
		}
		if (!only_prose(&a->fault))
			return false;
		*at += Max(a->fault.offset, 1);
	}
	a->fault.code = NULL;
	return false;
}

/* Why there is nothing to take. */
static void
refuse_all(GaReply *reply, const char *raw, Size start, const GaJsonFault *whole)
{
	if (raw[start] == '{' || raw[start] == '[' || raw[start] == '"')
	{
		reply->fault = *whole;
		reply->fault.offset += start;
	}
	else
		refuse(reply, "no_json", "the reply holds no JSON object or array", start);
}

static void
search(GaReply *reply, const char *raw, Size start, Size end, unsigned wanted,
       const GaJsonFault *whole)
{
	Attempt found = {0};
	Attempt spare = {0}; /* of a kind that is not wanted: taken where nothing else is */
	Attempt a = {0};
	Size at = start;
	Size base;
	Size found_base = 0;
	Size spare_base = 0;

	while ((found.root == NULL || !(wanted & GA_REPLY_FIRST)) &&
	       next_value(&a, raw, &at, end, &base))
	{
		bool fits =
		    (wanted & (a.root->type == GA_JSON_OBJECT ? GA_REPLY_OBJECT : GA_REPLY_ARRAY)) != 0;

		if (fits && found.root != NULL)
		{
			refuse(reply, "ambiguous", "the reply holds more than one JSON value", base);
			return;
		}
		if (fits)
		{
			found = a;
			found_base = base;
			a = (Attempt){0};
		}
		else if (spare.root == NULL)
		{
			spare = a;
			spare_base = base;
			a = (Attempt){0};
		}
	}
	if (a.fault.code != NULL)
	{
		reply->fault = a.fault;
		reply->fault.offset += base;
	}
	else if (found.root != NULL)
		use_value(reply, &found, raw, found_base, start, end);
	else if (spare.root != NULL)
		use_value(reply, &spare, raw, spare_base, start, end);
	else
		refuse_all(reply, raw, start, whole);
}

void
ga_reply_repair(GaReply *reply, const char *raw, Size bytes, unsigned wanted)
{
	Size start = 0;
	Size end = bytes;
	Size inside;
	Size inside_end;
	Attempt a = {0};
	GaJsonFault whole;

	memset(reply, 0, sizeof(*reply));
	if (bytes > GA_JSON_MAX_BYTES)
	{
		refuse(reply, "size", "the text is longer than allowed", GA_JSON_MAX_BYTES);
		return;
	}
	if (bytes >= 3 && memcmp(raw, "\xEF\xBB\xBF", 3) == 0)
	{
		add_edit(&reply->edits, "bom", 0, 3);
		start = 3;
	}
	while (start < end && is_space(raw[start]))
		start++;
	while (end > start && is_space(raw[end - 1]))
		end--;
	if (start == end)
	{
		refuse(reply, "empty", "the reply is empty", 0);
		return;
	}
	if (attempt(&a, raw + start, end - start, LENIENT))
	{
		use_value(reply, &a, raw, start, start, end);
		return;
	}
	whole = a.fault;
	whole.pointer = pstrdup(whole.pointer);
	if (whole_fence(raw, start, end, &inside, &inside_end) &&
	    attempt(&a, raw + inside, inside_end - inside, LENIENT))
		use_value(reply, &a, raw, inside, start, end);
	else
		search(reply, raw, start, end, wanted, &whole);
}

Size
ga_reply_offset(const GaReply *reply, const char *pointer)
{
	const GaJsonNode *node = reply->root;

	while (node != NULL && *pointer == '/')
	{
		Size raw = strcspn(pointer + 1, "/");
		const GaJsonNode *child = node->child;
		char *token = palloc(raw + 1);
		Size bytes = 0;
		uint32 index = 0;

		for (const char *from = pointer + 1; from < pointer + 1 + raw; from++)
		{
			if (from[0] == '~')
				token[bytes++] = *++from == '0' ? '~' : '/';
			else
				token[bytes++] = *from;
		}
		token[bytes] = '\0';
		for (; child != NULL; child = child->next, index++)
		{
			if (node->type == GA_JSON_OBJECT
			        ? child->key_bytes == bytes && memcmp(child->key, token, bytes) == 0
			        : index == (uint32) atoi(token))
				break;
		}
		pfree(token);
		if (child == NULL)
			break;
		node = child;
		pointer += 1 + raw;
	}
	return node == NULL ? reply->base : reply->base + node->offset;
}
