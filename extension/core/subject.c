/* SPDX-License-Identifier: PostgreSQL */
/*
 * subject.c: see subject.h. Printable ASCII only: NATS takes more, but what differs only in its
 * normalisation form would be a different subject that looks the same.
 */
#include "subject.h"

#include <string.h>

#include "limits.h"

static const char *
token_problem(const char *token, size_t bytes, bool pattern, bool last)
{
	if (bytes == 0)
		return "has an empty token";
	for (size_t i = 0; i < bytes; i++)
	{
		unsigned char c = (unsigned char) token[i];

		if (c <= ' ' || c > '~')
			return "has a character outside printable ASCII";
		if (c != '*' && c != '>')
			continue;
		if (!pattern)
			return "has a wildcard";
		if (bytes != 1)
			return "has a wildcard inside a token";
		if (c == '>' && !last)
			return "has '>' before its last token";
	}
	return NULL;
}

static const char *
check(const char *subject, size_t bytes, bool pattern)
{
	size_t start = 0;

	if (bytes == 0)
		return "is empty";
	if (bytes > GA_MESSAGE_SUBJECT_MAX_BYTES)
		return "is too long";
	if (subject[0] == '$' || (bytes >= 6 && memcmp(subject, "_INBOX", 6) == 0))
		return "belongs to the server";
	for (;;)
	{
		const char *dot = memchr(subject + start, '.', bytes - start);
		size_t end = dot != NULL ? (size_t) (dot - subject) : bytes;
		const char *problem = token_problem(subject + start, end - start, pattern, end == bytes);

		if (problem != NULL || end == bytes)
			return problem;
		start = end + 1;
	}
}

const char *
ga_subject_problem(const char *subject, size_t bytes)
{
	return check(subject, bytes, false);
}

const char *
ga_subject_pattern_problem(const char *pattern, size_t bytes)
{
	return check(pattern, bytes, true);
}

static size_t
token_end(const char *text, size_t bytes, size_t start)
{
	const char *dot = memchr(text + start, '.', bytes - start);

	return dot != NULL ? (size_t) (dot - text) : bytes;
}

bool
ga_subject_matches(const char *pattern, size_t pattern_bytes, const char *subject,
                   size_t subject_bytes)
{
	size_t p = 0;
	size_t s = 0;

	for (;;)
	{
		size_t p_end = token_end(pattern, pattern_bytes, p);
		size_t s_end = token_end(subject, subject_bytes, s);

		if (p_end - p == 1 && pattern[p] == '>')
			return true;
		if (!(p_end - p == 1 && pattern[p] == '*') &&
		    (p_end - p != s_end - s || memcmp(pattern + p, subject + s, s_end - s) != 0))
			return false;
		if (p_end == pattern_bytes || s_end == subject_bytes)
			return p_end == pattern_bytes && s_end == subject_bytes;
		p = p_end + 1;
		s = s_end + 1;
	}
}
