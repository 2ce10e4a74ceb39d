/* SPDX-License-Identifier: PostgreSQL */
/*
 * The rewriting of ecma.h: one pass, by an allow-list of escapes and groups. The result is for
 * PCRE2 with UTF, without UCP (\d and \w are ASCII in both), DOLLAR_ENDONLY, ALT_BSUX and
 * EXTRA_ALT_BSUX (\uXXXX and \u{X}), MATCH_UNSET_BACKREF and ALLOW_EMPTY_CLASS. Pure.
 */
#include "ecma.h"

#include <stdbool.h>
#include <string.h>

#include "ascii.h"

/* White space and line ends of ECMA 262, as the inside of a class. */
#define SPACES \
	"\\t\\n\\x0b\\f\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
#define NOT_LINE_END "[^\\n\\r\\u2028\\u2029]"

typedef struct Writer
{
	const char *at;
	const char *end;
	char *out;
	size_t bytes;
	size_t room;
	const char *fault;
} Writer;

static bool
fail(Writer *w, const char *fault)
{
	if (w->fault == NULL)
		w->fault = fault;
	return false;
}

static bool
put_n(Writer *w, const char *text, size_t n)
{
	if (n > w->room - w->bytes)
		return fail(w, "the pattern is too long");
	memcpy(w->out + w->bytes, text, n);
	w->bytes += n;
	return true;
}

static bool
put(Writer *w, const char *text)
{
	return put_n(w, text, strlen(text));
}

/* \p{...}: ECMA's long names of general categories; scripts are spelled alike. */
static bool
put_property(Writer *w, const char *name, size_t bytes)
{
	static const char *const names[][2] = {{"Letter", "L"},
	                                       {"Cased_Letter", "L&"},
	                                       {"LC", "L&"},
	                                       {"Uppercase_Letter", "Lu"},
	                                       {"Lowercase_Letter", "Ll"},
	                                       {"Titlecase_Letter", "Lt"},
	                                       {"Modifier_Letter", "Lm"},
	                                       {"Other_Letter", "Lo"},
	                                       {"Mark", "M"},
	                                       {"Combining_Mark", "M"},
	                                       {"Nonspacing_Mark", "Mn"},
	                                       {"Spacing_Mark", "Mc"},
	                                       {"Enclosing_Mark", "Me"},
	                                       {"Number", "N"},
	                                       {"Decimal_Number", "Nd"},
	                                       {"digit", "Nd"},
	                                       {"Letter_Number", "Nl"},
	                                       {"Other_Number", "No"},
	                                       {"Punctuation", "P"},
	                                       {"punct", "P"},
	                                       {"Connector_Punctuation", "Pc"},
	                                       {"Dash_Punctuation", "Pd"},
	                                       {"Open_Punctuation", "Ps"},
	                                       {"Close_Punctuation", "Pe"},
	                                       {"Initial_Punctuation", "Pi"},
	                                       {"Final_Punctuation", "Pf"},
	                                       {"Other_Punctuation", "Po"},
	                                       {"Symbol", "S"},
	                                       {"Math_Symbol", "Sm"},
	                                       {"Currency_Symbol", "Sc"},
	                                       {"Modifier_Symbol", "Sk"},
	                                       {"Other_Symbol", "So"},
	                                       {"Separator", "Z"},
	                                       {"Space_Separator", "Zs"},
	                                       {"Line_Separator", "Zl"},
	                                       {"Paragraph_Separator", "Zp"},
	                                       {"Other", "C"},
	                                       {"Control", "Cc"},
	                                       {"cntrl", "Cc"},
	                                       {"Format", "Cf"},
	                                       {"Surrogate", "Cs"},
	                                       {"Private_Use", "Co"},
	                                       {"Unassigned", "Cn"}};
	static const char *const prefixes[] = {"General_Category=", "gc=", "Script=", "sc="};
	bool script = false;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
	{
		size_t n = strlen(prefixes[i]);

		if (bytes > n && memcmp(name, prefixes[i], n) == 0)
		{
			name += n;
			bytes -= n;
			script = i >= 2;
			break;
		}
	}
	for (size_t i = 0; !script && i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strlen(names[i][0]) == bytes && memcmp(names[i][0], name, bytes) == 0)
			return put(w, names[i][1]);
	}
	for (size_t i = 0; i < bytes; i++)
	{
		if (!ga_is_letter(name[i]) && name[i] != '_')
			return fail(w, "an unknown Unicode property");
	}
	return put_n(w, name, bytes);
}

/* At the p or P of an escape. */
static bool
read_property(Writer *w)
{
	const char *close;

	if (w->end - w->at < 3 || w->at[1] != '{' ||
	    (close = memchr(w->at, '}', (size_t) (w->end - w->at))) == NULL || close == w->at + 2)
		return fail(w, "\\p needs a property name in braces");
	if (!put(w, "\\") || !put_n(w, w->at, 2) ||
	    !put_property(w, w->at + 2, (size_t) (close - w->at - 2)) || !put(w, "}"))
		return false;
	w->at = close + 1;
	return true;
}

/* At the u or x: copies it with its hexadecimal digits. */
static bool
read_hex_escape(Writer *w)
{
	const char *from = w->at++;
	size_t want = *from == 'u' ? 4 : 2;
	size_t got = 0;

	if (*from == 'u' && w->at < w->end && *w->at == '{')
	{
		for (w->at++; w->at < w->end && ga_is_hex(*w->at); w->at++)
			got++;
		if (got == 0 || got > 6 || w->at >= w->end || *w->at != '}')
			return fail(w, "\\u{ needs one to six hexadecimal digits and a brace");
		w->at++;
	}
	else
	{
		while (got < want && w->at < w->end && ga_is_hex(*w->at))
		{
			w->at++;
			got++;
		}
		if (got < want)
			return fail(w, "\\u needs four and \\x two hexadecimal digits");
		/* two halves of a surrogate pair are one character */
		if (want == 4 && w->end - w->at >= 6 && (from[1] == 'd' || from[1] == 'D') &&
		    strchr("89abAB", from[2]) != NULL && w->at[0] == '\\' && w->at[1] == 'u')
			return fail(w, "write a character beyond U+FFFF as \\u{...}");
	}
	return put(w, "\\") && put_n(w, from, (size_t) (w->at - from));
}

/*
 * What an escape stands for outside and inside a class alike. At the character after the
 * backslash.
 */
static bool
read_plain_escape(Writer *w, bool in_class)
{
	char c = *w->at;

	switch (c)
	{
		case 'd':
		case 'D':
		case 'w':
		case 'W':
		case 't':
		case 'n':
		case 'f':
		case 'r':
			break;
		case 'v':
			w->at++;
			return put(w, "\\x0b");
		case 'p':
		case 'P':
			return read_property(w);
		case 'u':
		case 'x':
			return read_hex_escape(w);
		case 'c':
			if (w->end - w->at < 2 || !ga_is_letter(w->at[1]))
				return fail(w, "\\c needs a letter");
			w->at += 2;
			return put(w, "\\c") && put_n(w, w->at - 1, 1);
		case '0':
			if (w->end - w->at > 1 && ga_is_digit(w->at[1]))
				return fail(w, "octal escapes do not exist");
			w->at++;
			return put(w, "\\x00");
		default:
			if (c == '\0' || strchr("^$\\.*+?()[]{}|/-", c) == NULL)
				return fail(w, "an escape that ECMA 262 does not have");
			if (c == '/' || (c == '-' && !in_class))
			{
				w->at++;
				return put_n(w, &c, 1);
			}
			break;
	}
	w->at++;
	return put(w, "\\") && put_n(w, &c, 1);
}

/* At the character after the backslash, outside a class. */
static bool
read_escape(Writer *w)
{
	if (w->at >= w->end)
		return fail(w, "the pattern ends with a backslash");
	switch (*w->at)
	{
		case 's':
			w->at++;
			return put(w, "[" SPACES "]");
		case 'S':
			w->at++;
			return put(w, "[^" SPACES "]");
		case 'b':
		case 'B':
			return put(w, "\\") && put_n(w, w->at++, 1);
		case 'k':
			if (w->end - w->at < 3 || w->at[1] != '<' || !ga_is_letter(w->at[2]))
				return fail(w, "\\k needs a group name");
			return put(w, "\\") && put_n(w, w->at++, 1);
		default:
			break;
	}
	if (*w->at >= '1' && *w->at <= '9')
	{
		if (!put(w, "\\g{"))
			return false;
		while (w->at < w->end && ga_is_digit(*w->at))
		{
			if (!put_n(w, w->at++, 1))
				return false;
		}
		return put(w, "}");
	}
	return read_plain_escape(w, false);
}

/* One member of a class; \S is left to read_class. */
static bool
read_class_member(Writer *w)
{
	char c = *w->at;

	if (c == '[')
	{
		w->at++;
		return put(w, "\\[");
	}
	if (c != '\\')
		return put_n(w, w->at++, 1);
	w->at++;
	if (w->at >= w->end)
		return fail(w, "the pattern ends with a backslash");
	switch (*w->at)
	{
		case 's':
			w->at++;
			return put(w, SPACES);
		case 'S':
			w->at++;
			return true;
		case 'b':
			w->at++;
			return put(w, "\\x08");
		default:
			return read_plain_escape(w, true);
	}
}

static bool
class_has_not_space(const Writer *w)
{
	for (const char *at = w->at; at < w->end && *at != ']'; at++)
	{
		if (*at == '\\' && ++at < w->end && *at == 'S')
			return true;
	}
	return false;
}

/*
 * After the opening bracket. A class with \S, which has no spelling inside a PCRE2 class, becomes
 * an alternative: [a\S] is (?:[a]|[^spaces]) and [^a\S] is (?:(?![a])[spaces]).
 */
static bool
read_class(Writer *w)
{
	bool negated = w->at < w->end && *w->at == '^';
	bool not_space = class_has_not_space(w);

	if (negated)
		w->at++;
	if (!put(w, not_space ? (negated ? "(?:(?![" : "(?:[") : (negated ? "[^" : "[")))
		return false;
	while (w->at < w->end && *w->at != ']')
	{
		if (!read_class_member(w))
			return false;
	}
	if (w->at >= w->end)
		return fail(w, "a class is not closed");
	w->at++;
	if (!not_space)
		return put(w, "]");
	return put(w, negated ? "])[" SPACES "])" : "]|[^" SPACES "])");
}

/* After an opening parenthesis. */
static bool
read_group(Writer *w)
{
	size_t left = (size_t) (w->end - w->at);

	if (left > 0 && *w->at == '*')
		return fail(w, "(* is not ECMA 262");
	if (left == 0 || *w->at != '?')
		return put(w, "(");
	if (left > 1 && w->at[1] != '\0' && strchr(":=!", w->at[1]) != NULL)
	{
		w->at += 2;
		return put(w, "(") && put_n(w, w->at - 2, 2);
	}
	if (left > 2 && w->at[1] == '<' &&
	    (w->at[2] == '=' || w->at[2] == '!' || ga_is_letter(w->at[2])))
	{
		w->at += 3;
		return put(w, "(") && put_n(w, w->at - 3, 3);
	}
	return fail(w, "a kind of group that ECMA 262 does not have");
}

/* At a brace: {n}, {n,} or {n,m} is copied; any other brace is not allowed bare in Unicode mode. */
static bool
read_counts(Writer *w)
{
	const char *from = w->at++;
	const char *digits = w->at;

	while (w->at < w->end && ga_is_digit(*w->at))
		w->at++;
	if (w->at == digits)
		return fail(w, "a brace must be escaped");
	if (w->at < w->end && *w->at == ',')
	{
		w->at++;
		while (w->at < w->end && ga_is_digit(*w->at))
			w->at++;
	}
	if (w->at >= w->end || *w->at != '}')
		return fail(w, "a brace must be escaped");
	w->at++;
	return put_n(w, from, (size_t) (w->at - from));
}

static bool
read_quantifier(Writer *w)
{
	if (*w->at == '{')
	{
		if (!read_counts(w))
			return false;
	}
	else if (!put_n(w, w->at++, 1))
		return false;
	if (w->at < w->end && *w->at == '?')
		return put_n(w, w->at++, 1);
	if (w->at < w->end && (*w->at == '+' || *w->at == '*' || *w->at == '{'))
		return fail(w, "a quantifier follows a quantifier");
	return true;
}

static bool
read_one(Writer *w)
{
	switch (*w->at)
	{
		case '\\':
			w->at++;
			return read_escape(w);
		case '[':
			w->at++;
			return read_class(w);
		case '(':
			w->at++;
			return read_group(w);
		case '.':
			w->at++;
			return put(w, NOT_LINE_END);
		case '*':
		case '+':
		case '?':
		case '{':
			return read_quantifier(w);
		case ']':
		case '}':
			return fail(w, "a bracket must be escaped");
		default:
			return put_n(w, w->at++, 1);
	}
}

char *
ga_ecma_to_pcre2(GaArena *arena, const char *pattern, size_t bytes, const char **fault)
{
	Writer w = {.at = pattern, .end = pattern + bytes};

	/* \s, the longest replacement of two bytes, is spelled within 80 */
	w.room = bytes * 80 + 160;
	w.out = ga_arena_alloc(arena, w.room + 1);
	*fault = NULL;
	if (w.out == NULL)
	{
		*fault = "the pattern needs too much memory";
		return NULL;
	}
	while (w.at < w.end)
	{
		if (!read_one(&w))
		{
			*fault = w.fault;
			return NULL;
		}
	}
	w.out[w.bytes] = '\0';
	return w.out;
}
