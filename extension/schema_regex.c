/* SPDX-License-Identifier: PostgreSQL */
/*
 * Regular expressions of schemas on PCRE2's interpreter. Every byte PCRE2 asks for comes from the
 * schema's memory context, without raising (a longjmp through PCRE2 would corrupt it), so dropping
 * the context frees the pattern; the JIT, which maps memory of its own, stays off. Match, depth
 * and heap limits turn a hostile pattern or text into "undecided" within milliseconds.
 */
#include "schema_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "ecma.h"
#include "limits.h"

struct GaRegex
{
	pcre2_code *code;
};

/* Of the backend: matching grows its memory up to the heap limit and keeps it. */
static pcre2_match_data *match_data;
static pcre2_match_context *match_limits;

static void *
take(PCRE2_SIZE bytes, void *context)
{
	if (bytes > MaxAllocSize)
		return NULL;
	return MemoryContextAllocExtended(context, bytes, MCXT_ALLOC_NO_OOM);
}

static void
give_back(void *block, void *context)
{
	(void) context;
	if (block != NULL)
		pfree(block);
}

static void *
arena_block(void *context, size_t bytes)
{
	(void) context;
	return palloc(bytes);
}

static const char *
rewrite(const char *pattern, size_t bytes, const char **fault)
{
	GaArena arena;

	if (bytes > GA_SCHEMA_PATTERN_MAX_BYTES)
	{
		*fault = "the pattern is too long";
		return NULL;
	}
	ga_arena_init_growing(&arena, arena_block, NULL, bytes * 80 + 4096);
	return ga_ecma_to_pcre2(&arena, pattern, bytes, fault);
}

static bool
prepare_matching(void)
{
	pcre2_general_context *general;

	if (match_data != NULL)
		return true;
	general = pcre2_general_context_create(take, give_back, TopMemoryContext);
	if (general == NULL)
		return false;
	match_limits = pcre2_match_context_create(general);
	if (match_limits == NULL)
		return false;
	pcre2_set_match_limit(match_limits, GA_REGEX_MATCH_LIMIT);
	pcre2_set_depth_limit(match_limits, GA_REGEX_DEPTH_LIMIT);
	pcre2_set_heap_limit(match_limits, GA_REGEX_HEAP_LIMIT_KB);
	match_data = pcre2_match_data_create(1, general);
	return match_data != NULL;
}

/* *error: PCRE2's, where it was the one to refuse; else 0. */
static GaRegex *
compile(MemoryContext context, const char *pattern, size_t bytes, const char **fault, int *error)
{
	const char *rewritten = rewrite(pattern, bytes, fault);
	pcre2_general_context *general;
	pcre2_compile_context *settings;
	GaRegex *regex;
	PCRE2_SIZE offset;

	*error = 0;
	if (rewritten == NULL)
		return NULL;
	*fault = "out of memory";
	general = pcre2_general_context_create(take, give_back, context);
	settings = general == NULL ? NULL : pcre2_compile_context_create(general);
	if (settings == NULL || !prepare_matching())
		return NULL;
	pcre2_set_compile_extra_options(settings, PCRE2_EXTRA_ALT_BSUX);
	pcre2_set_parens_nest_limit(settings, 100);
	regex = MemoryContextAllocZero(context, sizeof(GaRegex));
	regex->code = pcre2_compile((PCRE2_SPTR) rewritten, PCRE2_ZERO_TERMINATED,
	                            PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
	                                PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS |
	                                PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
	                            error, &offset, settings);
	if (regex->code == NULL)
	{
		char *message = palloc(200);

		pcre2_get_error_message(*error, (PCRE2_UCHAR *) message, 200);
		*fault = message;
		return NULL;
	}
	*fault = NULL;
	return regex;
}

GaRegex *
ga_regex_compile(MemoryContext context, const char *pattern, size_t bytes, const char **fault)
{
	int error;

	return compile(context, pattern, bytes, fault, &error);
}

bool
ga_regex_is_pattern(const char *pattern, size_t bytes)
{
	MemoryContext context =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch regex", ALLOCSET_SMALL_SIZES);
	const char *fault;
	int error;
	bool ok = compile(context, pattern, bytes, &fault, &error) != NULL ||
	          error == PCRE2_ERROR_LOOKBEHIND_NOT_FIXED_LENGTH;

	MemoryContextDelete(context);
	return ok;
}

/*
 * The limits count anew at every start position, so a search is cut into runs of start positions
 * with an interrupt check between them.
 */
GaMatch
ga_regex_match(GaRegex *regex, const char *text, size_t bytes)
{
	size_t from = 0;

	if (bytes > GA_REGEX_SUBJECT_MAX_BYTES)
		return GA_MATCH_UNDECIDED;
	for (;;)
	{
		size_t next = from + GA_REGEX_CHUNK_BYTES;
		int rc;

		while (next < bytes && (text[next] & 0xC0) == 0x80)
			next++;
		pcre2_set_offset_limit(match_limits, next > bytes ? bytes : next - 1);
		rc = pcre2_match(regex->code, (PCRE2_SPTR) text, bytes, from, PCRE2_NO_UTF_CHECK,
		                 match_data, match_limits);
		if (rc >= 0)
			return GA_MATCH_YES;
		if (rc != PCRE2_ERROR_NOMATCH)
			return GA_MATCH_UNDECIDED;
		if (next > bytes)
			return GA_MATCH_NO;
		CHECK_FOR_INTERRUPTS();
		from = next;
	}
}
