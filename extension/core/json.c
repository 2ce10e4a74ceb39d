/* SPDX-License-Identifier: PostgreSQL */
/*
 * The strict JSON reader of json.h. Pure: the arena is the only memory, nothing is kept between
 * calls. The parser is a loop over a stack of open containers whose height is the depth limit, so
 * hostile nesting costs no C stack. The names of an object are compared when it closes, by a merge
 * sort, so that no choice of names makes that quadratic.
 */
#include "json.h"

#include <string.h>

#include "ascii.h"
#include "limits.h"
#include "utf8.h"

const GaJsonLimits ga_json_default_limits = {
    .bytes_max = GA_JSON_MAX_BYTES,
    .depth_max = GA_JSON_DEPTH_MAX,
    .values_max = GA_JSON_VALUES_MAX,
    .string_max_bytes = GA_JSON_MAX_BYTES,
    .digits_max = GA_JSON_DIGITS_MAX,
    .exponent_max = GA_JSON_EXPONENT_MAX,
};

typedef struct Open
{
	GaJsonNode *node;
	GaJsonNode *last; /* its last child */
	const char *key;  /* of the member being read */
	uint32_t key_bytes;
} Open;

typedef struct Reader
{
	GaArena *arena;
	const char *text;
	size_t bytes;
	size_t at;
	const GaJsonLimits *limits;
	unsigned flags;
	GaJsonFault *fault;
	GaJsonEdit **edits_tail;
	Open *stack;
	uint32_t depth;
	uint32_t values;
} Reader;

static size_t
decimal_digits(uint32_t n)
{
	size_t digits = 1;

	while (n >= 10)
	{
		n /= 10;
		digits++;
	}
	return digits;
}

/* RFC 6901 of the value being read. Null only where the arena is full. */
static const char *
pointer_now(Reader *r)
{
	size_t bytes = 1;
	char *out;
	char *to;

	for (uint32_t i = 0; i < r->depth; i++)
		bytes += 1 + (r->stack[i].node->type == GA_JSON_OBJECT
		                  ? 2 * (size_t) r->stack[i].key_bytes
		                  : decimal_digits(r->stack[i].node->count));
	to = out = ga_arena_alloc(r->arena, bytes);
	if (out == NULL)
		return NULL;
	for (uint32_t i = 0; i < r->depth; i++)
	{
		const Open *open = &r->stack[i];

		if (open->node->type == GA_JSON_ARRAY)
		{
			size_t digits = decimal_digits(open->node->count);
			uint32_t n = open->node->count;

			*to++ = '/';
			for (size_t d = digits; d-- > 0; n /= 10)
				to[d] = (char) ('0' + n % 10);
			to += digits;
			continue;
		}
		if (open->key == NULL)
			break; /* between members: the object itself */
		*to++ = '/';
		for (uint32_t k = 0; k < open->key_bytes; k++)
		{
			char c = open->key[k];

			if (c == '~' || c == '/')
			{
				*to++ = '~';
				c = c == '~' ? '0' : '1';
			}
			*to++ = c;
		}
	}
	*to = '\0';
	return out;
}

static bool
fail_at(Reader *r, size_t offset, const char *code, const char *message)
{
	const char *pointer;

	if (r->fault->code != NULL)
		return false;
	pointer = pointer_now(r);
	r->fault->code = code;
	r->fault->message = message;
	r->fault->offset = offset;
	r->fault->pointer = pointer != NULL ? pointer : "";
	return false;
}

static bool
fail(Reader *r, const char *code, const char *message)
{
	return fail_at(r, r->at, code, message);
}

static bool
fail_memory(Reader *r)
{
	return fail(r, "memory", "the value needs more memory than allowed");
}

static bool
fail_end(Reader *r)
{
	r->fault->truncated = true;
	return fail_at(r, r->bytes, "truncated", "the text ends before the value does");
}

static bool
add_edit(Reader *r, const char *kind, size_t offset, size_t bytes)
{
	GaJsonEdit *edit = ga_arena_alloc(r->arena, sizeof(GaJsonEdit));

	if (edit == NULL)
		return fail_memory(r);
	*edit = (GaJsonEdit){.kind = kind, .offset = (uint32_t) offset, .bytes = (uint32_t) bytes};
	*r->edits_tail = edit;
	r->edits_tail = &edit->next;
	return true;
}

/* At a slash: skips the comment where comments are allowed. */
static bool
skip_comment(Reader *r)
{
	size_t from = r->at;
	const char *stop;

	if (!(r->flags & GA_JSON_COMMENTS) || from + 1 >= r->bytes ||
	    (r->text[from + 1] != '/' && r->text[from + 1] != '*'))
		return fail(r, "syntax", "a value, name, comma or bracket is expected");
	if (r->text[from + 1] == '/')
	{
		stop = memchr(r->text + from, '\n', r->bytes - from);
		r->at = stop == NULL ? r->bytes : (size_t) (stop - r->text);
	}
	else
	{
		size_t at = from + 2;

		while (at + 1 < r->bytes && !(r->text[at] == '*' && r->text[at + 1] == '/'))
			at++;
		if (at + 1 >= r->bytes)
			return fail_end(r);
		r->at = at + 2;
	}
	for (size_t at = from; at < r->at;)
	{
		uint32_t code;
		int length = ga_utf8_decode(r->text + at, r->at - at, &code);

		if (length == 0)
			return fail_at(r, at, "utf8", "the text is not valid UTF-8");
		at += (size_t) length;
	}
	return add_edit(r, "comment", from, r->at - from);
}

/* False on a fault only; the end of the text is not one here. */
static bool
skip_space(Reader *r)
{
	while (r->at < r->bytes)
	{
		switch (r->text[r->at])
		{
			case ' ':
			case '\t':
			case '\n':
			case '\r':
				r->at++;
				break;
			case '/':
				if (!skip_comment(r))
					return false;
				break;
			default:
				return true;
		}
	}
	return true;
}

static bool
read_hex4(Reader *r, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++)
	{
		int v;

		if (r->at >= r->bytes)
			return fail_end(r);
		v = ga_hex_value(r->text[r->at]);
		if (v < 0)
			return fail(r, "escape", "\\u needs four hexadecimal digits");
		*unit = *unit * 16 + (uint32_t) v;
		r->at++;
	}
	return true;
}

/* After \u: one code point, joined from two halves where it is written so. */
static bool
read_unicode_escape(Reader *r, size_t from, char **to)
{
	uint32_t high;
	uint32_t low;

	if (!read_hex4(r, &high))
		return false;
	if (high == 0)
		return fail_at(r, from, "nul", "\\u0000 is not allowed");
	if (high >= 0xDC00 && high <= 0xDFFF)
		return fail_at(r, from, "surrogate", "a low surrogate stands alone");
	if (high >= 0xD800 && high <= 0xDBFF)
	{
		if (r->at + 1 >= r->bytes || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u')
			return fail_at(r, from, "surrogate", "a high surrogate stands alone");
		r->at += 2;
		if (!read_hex4(r, &low))
			return false;
		if (low < 0xDC00 || low > 0xDFFF)
			return fail_at(r, from, "surrogate", "a high surrogate stands alone");
		high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
	}
	*to += ga_utf8_encode(high, *to);
	return true;
}

static bool
read_escape(Reader *r, char **to)
{
	static const char written[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	size_t from = r->at++;
	const char *found;

	if (r->at >= r->bytes)
		return fail_end(r);
	if (r->text[r->at] == 'u')
	{
		r->at++;
		return read_unicode_escape(r, from, to);
	}
	found = r->text[r->at] == '\0' ? NULL : strchr(written, r->text[r->at]);
	if (found == NULL)
		return fail_at(r, from, "escape", "this escape does not exist in JSON");
	*(*to)++ = meant[found - written];
	r->at++;
	return true;
}

/* Where the string that opens at r->at cannot go on beyond: a quote that no backslash precedes. */
static size_t
string_end(const Reader *r)
{
	size_t at = r->at + 1;

	while (at < r->bytes)
	{
		const char *quote = memchr(r->text + at, '"', r->bytes - at);

		if (quote == NULL)
			return r->bytes;
		at = (size_t) (quote - r->text);
		if (quote[-1] != '\\')
			return at;
		at++;
	}
	return r->bytes;
}

/* Bytes from r->at on that stand for themselves: printable ASCII but quote and backslash. */
static size_t
plain_run(const Reader *r)
{
	size_t at = r->at;

	while (at < r->bytes)
	{
		unsigned char c = (unsigned char) r->text[at];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
		at++;
	}
	return at - r->at;
}

static bool
read_string(Reader *r, const char **text, uint32_t *bytes)
{
	size_t end = string_end(r);
	char *out = ga_arena_alloc(r->arena, end - r->at + 1);
	char *to = out;

	if (out == NULL)
		return fail_memory(r);
	for (r->at++; r->at < r->bytes && r->text[r->at] != '"';)
	{
		unsigned char c = (unsigned char) r->text[r->at];
		size_t length = plain_run(r);
		uint32_t code;

		if (c == '\\')
		{
			if (!read_escape(r, &to))
				return false;
			continue;
		}
		if (c < 0x20)
			return fail(r, "control", "a control character in a string must be escaped");
		if (length == 0)
			length = (size_t) ga_utf8_decode(r->text + r->at, r->bytes - r->at, &code);
		if (length == 0)
			return fail(r, "utf8", "the text is not valid UTF-8");
		memcpy(to, r->text + r->at, length);
		to += length;
		r->at += length;
	}
	if (r->at >= r->bytes)
		return fail_end(r);
	r->at++;
	if ((size_t) (to - out) > r->limits->string_max_bytes)
		return fail(r, "string_size", "a string is longer than allowed");
	*to = '\0';
	*text = out;
	*bytes = (uint32_t) (to - out);
	return true;
}

static size_t
count_digits(const Reader *r, size_t at)
{
	size_t from = at;

	while (at < r->bytes && r->text[at] >= '0' && r->text[at] <= '9')
		at++;
	return at - from;
}

static bool
read_exponent(Reader *r, size_t from)
{
	uint32_t exponent = 0;
	size_t digits;

	r->at++;
	if (r->at < r->bytes && (r->text[r->at] == '+' || r->text[r->at] == '-'))
		r->at++;
	digits = count_digits(r, r->at);
	if (digits == 0)
		return r->at >= r->bytes ? fail_end(r) : fail(r, "syntax", "an exponent needs digits");
	for (size_t i = 0; i < digits; i++)
	{
		if (exponent <= r->limits->exponent_max)
			exponent = exponent * 10 + (uint32_t) (r->text[r->at + i] - '0');
	}
	if (exponent > r->limits->exponent_max)
		return fail_at(r, from, "number_exponent", "the exponent of a number is out of range");
	r->at += digits;
	return true;
}

static bool
read_number(Reader *r, GaJsonNode *node)
{
	size_t from = r->at;
	size_t digits;
	size_t whole;

	if (r->text[r->at] == '-')
		r->at++;
	whole = digits = count_digits(r, r->at);
	if (whole == 0)
		return r->at >= r->bytes ? fail_end(r) : fail(r, "syntax", "a minus needs digits");
	if (whole > 1 && r->text[r->at] == '0')
		return fail(r, "syntax", "a number has no leading zeros");
	r->at += whole;
	if (r->at < r->bytes && r->text[r->at] == '.')
	{
		size_t fraction = count_digits(r, ++r->at);

		if (fraction == 0)
			return r->at >= r->bytes ? fail_end(r) : fail(r, "syntax", "a point needs digits");
		r->at += fraction;
		digits += fraction;
	}
	if (digits > r->limits->digits_max)
		return fail_at(r, from, "number_digits", "a number has more digits than allowed");
	if (r->at < r->bytes && (r->text[r->at] == 'e' || r->text[r->at] == 'E') &&
	    !read_exponent(r, from))
		return false;
	node->text = r->text + from;
	node->bytes = (uint32_t) (r->at - from);
	return true;
}

static bool
read_literal(Reader *r, const char *word)
{
	size_t length = strlen(word);
	size_t left = r->bytes - r->at;

	if (left < length && memcmp(r->text + r->at, word, left) == 0)
		return fail_end(r);
	if (left < length || memcmp(r->text + r->at, word, length) != 0)
		return fail(r, "syntax", "a value is expected");
	r->at += length;
	return true;
}

static bool
read_scalar(Reader *r, GaJsonNode *node)
{
	switch (r->text[r->at])
	{
		case '"':
			node->type = GA_JSON_STRING;
			return read_string(r, &node->text, &node->bytes);
		case 't':
			node->type = GA_JSON_TRUE;
			return read_literal(r, "true");
		case 'f':
			node->type = GA_JSON_FALSE;
			return read_literal(r, "false");
		case 'n':
			node->type = GA_JSON_NULL;
			return read_literal(r, "null");
		default:
			if (r->text[r->at] != '-' && (r->text[r->at] < '0' || r->text[r->at] > '9'))
				return fail(r, "syntax", "a value is expected");
			node->type = GA_JSON_NUMBER;
			return read_number(r, node);
	}
}

static int
compare_keys(const GaJsonNode *a, const GaJsonNode *b)
{
	if (a->key_bytes != b->key_bytes)
		return a->key_bytes < b->key_bytes ? -1 : 1;
	return memcmp(a->key, b->key, a->key_bytes);
}

/* Merges two sorted neighbours of the array; stable, so that equal names keep their order. */
static void
merge_runs(GaJsonNode **from, GaJsonNode **to, size_t left, size_t middle, size_t right)
{
	size_t a = left;
	size_t b = middle;

	for (size_t i = left; i < right; i++)
	{
		if (a < middle && (b >= right || compare_keys(from[a], from[b]) <= 0))
			to[i] = from[a++];
		else
			to[i] = from[b++];
	}
}

/* The earliest member that repeats a name, or null. *full: the arena is. */
static const GaJsonNode *
find_duplicate(Reader *r, const GaJsonNode *object, bool *full)
{
	size_t n = object->count;
	GaJsonNode **keys = ga_arena_alloc_array(r->arena, n, sizeof(*keys));
	GaJsonNode **spare = ga_arena_alloc_array(r->arena, n, sizeof(*keys));
	const GaJsonNode *first = NULL;
	size_t i = 0;

	*full = keys == NULL || spare == NULL;
	if (*full)
		return NULL;
	for (GaJsonNode *child = object->child; child != NULL; child = child->next)
		keys[i++] = child;
	for (size_t run = 1; run < n; run *= 2)
	{
		GaJsonNode **swap = keys;

		for (size_t left = 0; left < n; left += 2 * run)
		{
			size_t middle = left + run < n ? left + run : n;
			size_t right = left + 2 * run < n ? left + 2 * run : n;

			merge_runs(keys, spare, left, middle, right);
		}
		keys = spare;
		spare = swap;
	}
	for (i = 1; i < n; i++)
	{
		if (compare_keys(keys[i - 1], keys[i]) == 0 &&
		    (first == NULL || keys[i]->offset < first->offset))
			first = keys[i];
	}
	return first;
}

static bool
check_keys(Reader *r, const GaJsonNode *object)
{
	const GaJsonNode *again;
	bool full;

	if (object->count < 2)
		return true;
	again = find_duplicate(r, object, &full);
	if (full)
		return fail_memory(r);
	if (again == NULL)
		return true;
	r->stack[r->depth - 1].key = again->key;
	r->stack[r->depth - 1].key_bytes = again->key_bytes;
	return fail_at(r, again->offset, "duplicate_key", "a member name appears twice in an object");
}

/* A name, its colon, and the space after it. */
static bool
read_name(Reader *r)
{
	Open *open = &r->stack[r->depth - 1];

	if (!skip_space(r))
		return false;
	if (r->at >= r->bytes)
		return fail_end(r);
	if (r->text[r->at] != '"')
		return fail(r, "syntax", "a member name in double quotes is expected");
	if (!read_string(r, &open->key, &open->key_bytes) || !skip_space(r))
		return false;
	if (r->at >= r->bytes)
		return fail_end(r);
	if (r->text[r->at] != ':')
		return fail(r, "syntax", "a colon is expected after a member name");
	r->at++;
	r->fault->object_begun = true;
	return true;
}

static GaJsonNode *
new_node(Reader *r)
{
	GaJsonNode *node;
	Open *open = r->depth > 0 ? &r->stack[r->depth - 1] : NULL;

	if (++r->values > r->limits->values_max)
	{
		fail(r, "values", "the text holds more values than allowed");
		return NULL;
	}
	node = ga_arena_alloc(r->arena, sizeof(GaJsonNode));
	if (node == NULL)
	{
		fail_memory(r);
		return NULL;
	}
	memset(node, 0, sizeof(*node));
	node->offset = (uint32_t) r->at;
	if (open != NULL && open->node->type == GA_JSON_OBJECT)
	{
		node->key = open->key;
		node->key_bytes = open->key_bytes;
	}
	return node;
}

/* A finished value becomes the last child of the open container. */
static void
attach(Reader *r, GaJsonNode *node)
{
	Open *open;

	node->end = (uint32_t) r->at;
	if (r->depth == 0)
		return;
	open = &r->stack[r->depth - 1];
	if (open->last == NULL)
		open->node->child = node;
	else
		open->last->next = node;
	open->last = node;
	open->node->count++;
	open->key = NULL;
	open->key_bytes = 0;
}

static bool
open_container(Reader *r, GaJsonNode *node)
{
	if (r->depth >= r->limits->depth_max)
		return fail(r, "depth", "the value is nested deeper than allowed");
	node->type = r->text[r->at] == '{' ? GA_JSON_OBJECT : GA_JSON_ARRAY;
	r->at++;
	r->stack[r->depth++] = (Open){.node = node};
	return true;
}

/* At a closing bracket that fits the open container. */
static bool
close_container(Reader *r, GaJsonNode **closed)
{
	GaJsonNode *node = r->stack[r->depth - 1].node;

	if (node->type == GA_JSON_OBJECT && !check_keys(r, node))
		return false;
	r->at++;
	r->depth--;
	attach(r, node);
	*closed = node;
	return true;
}

/* After a value inside a container: a comma (and what follows it), or the closing bracket. */
static bool
after_value(Reader *r, bool *expect_value, GaJsonNode **closed)
{
	Open *open = &r->stack[r->depth - 1];
	char bracket = open->node->type == GA_JSON_OBJECT ? '}' : ']';
	bool comma = false;
	size_t comma_at = 0;

	if (!skip_space(r))
		return false;
	if (r->at < r->bytes && r->text[r->at] == ',' && open->node->count > 0)
	{
		GaJsonEdit **before = r->edits_tail;

		comma_at = r->at++;
		comma = true;
		if (!skip_space(r))
			return false;
		if ((r->flags & GA_JSON_TRAILING_COMMA) && r->at < r->bytes && r->text[r->at] == bracket)
		{
			GaJsonEdit *later = *before; /* comments between the comma and the bracket */

			r->edits_tail = before;
			if (!add_edit(r, "trailing_comma", comma_at, 1))
				return false;
			*r->edits_tail = later;
			while (*r->edits_tail != NULL)
				r->edits_tail = &(*r->edits_tail)->next;
			comma = false;
		}
	}
	if (r->at >= r->bytes)
		return fail_end(r);
	if (!comma && r->text[r->at] == bracket)
	{
		*expect_value = false;
		return close_container(r, closed);
	}
	if (!comma && open->node->count > 0)
		return fail(r, "syntax", "a comma or a closing bracket is expected");
	*expect_value = true;
	return open->node->type == GA_JSON_ARRAY || read_name(r);
}

static GaJsonNode *
read_value(Reader *r)
{
	GaJsonNode *done = NULL;
	bool expect_value = true;

	do
	{
		GaJsonNode *node;

		if (!expect_value)
		{
			if (!after_value(r, &expect_value, &done))
				return NULL;
			continue;
		}
		if (!skip_space(r))
			return NULL;
		if (r->at >= r->bytes)
		{
			fail_end(r);
			return NULL;
		}
		node = new_node(r);
		if (node == NULL)
			return NULL;
		expect_value = false;
		if (r->text[r->at] == '{' || r->text[r->at] == '[')
		{
			if (!open_container(r, node))
				return NULL;
			continue;
		}
		if (!read_scalar(r, node))
			return NULL;
		attach(r, node);
		done = node;
	} while (r->depth > 0 || expect_value);
	return done;
}

GaJsonNode *
ga_json_parse(GaArena *arena, const char *text, size_t bytes, const GaJsonLimits *limits,
              unsigned flags, GaJsonFault *fault)
{
	Reader r = {.arena = arena,
	            .text = text,
	            .bytes = bytes,
	            .limits = limits,
	            .flags = flags,
	            .fault = fault};
	GaJsonNode *root;

	memset(fault, 0, sizeof(*fault));
	r.edits_tail = &fault->edits;
	if (bytes > limits->bytes_max || bytes > UINT32_MAX)
	{
		fail(&r, "size", "the text is longer than allowed");
		return NULL;
	}
	r.stack = ga_arena_alloc_array(arena, (size_t) limits->depth_max + 1, sizeof(Open));
	if (r.stack == NULL)
	{
		fail_memory(&r);
		return NULL;
	}
	root = read_value(&r);
	if (root == NULL || (flags & GA_JSON_PREFIX))
		return root;
	if (!skip_space(&r))
		return NULL;
	if (r.at < bytes)
	{
		fail(&r, "trailing", "text follows the value");
		return NULL;
	}
	return root;
}

const GaJsonNode *
ga_json_member(const GaJsonNode *object, const char *name)
{
	size_t bytes = strlen(name);

	if (object == NULL || object->type != GA_JSON_OBJECT)
		return NULL;
	for (const GaJsonNode *child = object->child; child != NULL; child = child->next)
	{
		if (child->key_bytes == bytes && memcmp(child->key, name, bytes) == 0)
			return child;
	}
	return NULL;
}

const char *
ga_json_string(const GaJsonNode *node)
{
	if (node == NULL || node->type != GA_JSON_STRING || memchr(node->text, '\0', node->bytes))
		return NULL;
	return node->text;
}
