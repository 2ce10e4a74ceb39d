/* SPDX-License-Identifier: PostgreSQL */
/*
 * Checkers of formats, hand-written, linear, without memory of their own: RFC 3339 (dates),
 * RFC 5321 (email), RFC 4291 (addresses), RFC 3986 and 3987 (URI, IRI),
 * RFC 6570 (template), RFC 6901 (pointer), RFC 9562 (UUID). hostname and idn-hostname are not
 * here: an A-label is right or wrong by IDNA 2008, which needs the tables of Unicode. Pure.
 */
#include "format.h"

#include <stdint.h>
#include <string.h>

#include "ascii.h"
#include "utf8.h"

typedef struct Text
{
	const char *at;
	const char *end;
} Text;

static bool
one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
take(Text *t, char c)
{
	if (t->at >= t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* Exactly n digits. */
static bool
number(Text *t, int n, int *value)
{
	*value = 0;
	for (; n > 0; n--)
	{
		if (t->at >= t->end || !ga_is_digit(*t->at))
			return false;
		*value = *value * 10 + (*t->at++ - '0');
	}
	return true;
}

static bool
read_date(Text *t)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year;
	int month;
	int day;
	bool leap;

	if (!number(t, 4, &year) || !take(t, '-') || !number(t, 2, &month) || !take(t, '-') ||
	    !number(t, 2, &day) || month < 1 || month > 12 || day < 1)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day <= days[month - 1] + (month == 2 && leap);
}

static bool
read_time(Text *t)
{
	int hour;
	int minute;
	int second;
	int offset_hour = 0;
	int offset_minute = 0;
	int utc;
	int sign = 0;

	if (!number(t, 2, &hour) || !take(t, ':') || !number(t, 2, &minute) || !take(t, ':') ||
	    !number(t, 2, &second) || hour > 23 || minute > 59 || second > 60)
		return false;
	if (take(t, '.'))
	{
		if (t->at >= t->end || !ga_is_digit(*t->at))
			return false;
		while (t->at < t->end && ga_is_digit(*t->at))
			t->at++;
	}
	if (!take(t, 'Z') && !take(t, 'z'))
	{
		sign = take(t, '+') ? 1 : take(t, '-') ? -1 : 0;
		if (sign == 0 || !number(t, 2, &offset_hour) || !take(t, ':') ||
		    !number(t, 2, &offset_minute) || offset_hour > 23 || offset_minute > 59)
			return false;
	}
	/* a leap second is the last one of a day in UTC */
	utc = (hour * 60 + minute - sign * (offset_hour * 60 + offset_minute) + 2 * 1440) % 1440;
	return second < 60 || utc == 1439;
}

static bool
check_date(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};

	return read_date(&t) && t.at == t.end;
}

static bool
check_time(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};

	return read_time(&t) && t.at == t.end;
}

static bool
check_date_time(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};

	return read_date(&t) && (take(&t, 'T') || take(&t, 't')) && read_time(&t) && t.at == t.end;
}

/* A chain of digits-and-unit, each unit the one after the last: "YMD", "HMS". At least one. */
static bool
read_units(Text *t, const char *units)
{
	const char *unit = NULL;

	while (t->at < t->end && ga_is_digit(*t->at))
	{
		const char *found;

		while (t->at < t->end && ga_is_digit(*t->at))
			t->at++;
		if (t->at >= t->end || !one_of(*t->at, units))
			return false;
		found = strchr(units, *t->at++);
		if (unit != NULL && found != unit + 1)
			return false;
		unit = found;
	}
	return unit != NULL;
}

static bool
check_duration(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};
	Text week = {text + 1, text + bytes};

	if (!take(&t, 'P'))
		return false;
	if (bytes > 2 && text[bytes - 1] == 'W')
		return read_units(&week, "W") && week.at == week.end;
	if (t.at < t.end && *t.at != 'T' && !read_units(&t, "YMD"))
		return false;
	if (t.at == t.end)
		return bytes > 1;
	return take(&t, 'T') && read_units(&t, "HMS") && t.at == t.end;
}

static bool
check_ipv4(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};

	for (int part = 0; part < 4; part++)
	{
		int value = 0;
		const char *from;

		if (part > 0 && !take(&t, '.'))
			return false;
		from = t.at;
		while (t.at < t.end && ga_is_digit(*t.at) && t.at - from < 3)
			value = value * 10 + (*t.at++ - '0');
		if (t.at == from || value > 255 || (*from == '0' && t.at - from > 1))
			return false;
	}
	return t.at == t.end;
}

static bool
check_ipv6(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};
	int groups = 0;
	bool gap = false;

	if (bytes >= 2 && text[0] == ':' && text[1] == ':')
	{
		gap = true;
		t.at += 2;
	}
	while (t.at < t.end)
	{
		const char *from = t.at;

		while (t.at < t.end && ga_is_hex(*t.at) && t.at - from < 4)
			t.at++;
		if (t.at == from)
			return false;
		if (t.at < t.end && *t.at == '.')
		{
			groups += 2;
			return (gap ? groups <= 7 : groups == 8) && check_ipv4(from, (size_t) (t.end - from));
		}
		groups++;
		if (t.at == t.end)
			break;
		if (!take(&t, ':') || t.at == t.end)
			return false;
		if (*t.at == ':')
		{
			if (gap)
				return false;
			gap = true;
			t.at++;
		}
	}
	return gap ? groups <= 7 : groups == 8;
}

/* Labels of letters, digits and inner hyphens; international: any character beyond ASCII too. */
static bool
labels_ok(const char *text, size_t bytes, bool international)
{
	size_t start = 0;

	if (bytes == 0 || bytes > 253)
		return false;
	for (size_t i = 0; i <= bytes; i++)
	{
		if (i == bytes || text[i] == '.')
		{
			if (i == start || i - start > 63 || text[start] == '-' || text[i - 1] == '-')
				return false;
			start = i + 1;
			continue;
		}
		if (!ga_is_letter(text[i]) && !ga_is_digit(text[i]) && text[i] != '-' &&
		    !(international && (unsigned char) text[i] >= 0x80))
			return false;
		/* "--" in places 3 and 4 is reserved; A-labels (xn--) cannot be decided here, so no */
		if (i == start + 3 && text[i] == '-' && text[i - 1] == '-')
			return false;
	}
	return true;
}

static bool
check_mailbox(const char *text, size_t bytes, bool international)
{
	const char *at = NULL;
	const char *domain;
	size_t left;
	bool dot = true;

	for (size_t i = 0; i < bytes; i++)
	{
		if (text[i] == '@')
			at = text + i;
	}
	if (at == NULL || at == text || at - text > 64)
		return false;
	domain = at + 1;
	left = (size_t) (text + bytes - domain);
	if (text[0] == '"')
	{
		if (at - text < 2 || at[-1] != '"')
			return false;
		for (const char *c = text + 1; c < at - 1; c++)
		{
			if ((unsigned char) *c < 0x20 || *c == '"' || (*c == '\\' && ++c >= at - 1))
				return false;
		}
	}
	else
	{
		for (const char *c = text; c < at; c++)
		{
			if (*c == '.'
			        ? dot
			        : !(ga_is_letter(*c) || ga_is_digit(*c) || one_of(*c, "!#$%&'*+-/=?^_`{|}~") ||
			            (international && (unsigned char) *c >= 0x80)))
				return false;
			dot = *c == '.';
		}
		if (dot)
			return false;
	}
	if (left > 2 && domain[0] == '[' && domain[left - 1] == ']')
		return check_ipv4(domain + 1, left - 2) ||
		       (left > 7 && memcmp(domain + 1, "IPv6:", 5) == 0 &&
		        check_ipv6(domain + 6, left - 7));
	return labels_ok(domain, left, international);
}

static bool
check_email(const char *text, size_t bytes)
{
	return check_mailbox(text, bytes, false);
}

static bool
check_idn_email(const char *text, size_t bytes)
{
	return check_mailbox(text, bytes, true);
}

static bool
check_uuid(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
	{
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !ga_is_hex(text[i]))
			return false;
	}
	return bytes == 36;
}

static bool
check_json_pointer(const char *text, size_t bytes)
{
	if (bytes > 0 && text[0] != '/')
		return false;
	for (size_t i = 0; i < bytes; i++)
	{
		if (text[i] == '~' && (i + 1 >= bytes || (text[i + 1] != '0' && text[i + 1] != '1')))
			return false;
	}
	return true;
}

static bool
check_relative_pointer(const char *text, size_t bytes)
{
	size_t digits = 0;

	while (digits < bytes && ga_is_digit(text[digits]))
		digits++;
	if (digits == 0 || (digits > 1 && text[0] == '0'))
		return false;
	if (bytes == digits + 1 && text[digits] == '#')
		return true;
	return check_json_pointer(text + digits, bytes - digits);
}

/* One character of a URI part: unreserved, escaped, or in the set; beyond ASCII in an IRI. */
static bool
uri_char(Text *t, const char *set, bool international)
{
	uint32_t code;
	int length;

	if (*t->at == '%')
	{
		if (t->end - t->at < 3 || !ga_is_hex(t->at[1]) || !ga_is_hex(t->at[2]))
			return false;
		t->at += 3;
		return true;
	}
	if (ga_is_letter(*t->at) || ga_is_digit(*t->at) || one_of(*t->at, "-._~") ||
	    one_of(*t->at, set))
	{
		t->at++;
		return true;
	}
	length = ga_utf8_decode(t->at, (size_t) (t->end - t->at), &code);
	if (!international || code < 0xA0 || length == 0 || (code >= 0xFDD0 && code <= 0xFDEF) ||
	    (code >= 0xFFF0 && code <= 0xFFFF) || (code >= 0xE000 && code <= 0xF8FF) ||
	    (code & 0xFFFE) == 0xFFFE)
		return false;
	t->at += length;
	return true;
}

static bool
uri_part(Text t, const char *set, bool international)
{
	while (t.at < t.end)
	{
		if (!uri_char(&t, set, international))
			return false;
	}
	return true;
}

static bool
uri_authority(Text t, bool international)
{
	const char *host = t.at;
	const char *port;

	for (const char *c = t.at; c < t.end; c++)
	{
		if (*c == '@')
			host = c + 1;
	}
	if (host > t.at && !uri_part((Text){t.at, host - 1}, "!$&'()*+,;=:", international))
		return false;
	if (host < t.end && *host == '[')
	{
		const char *close = memchr(host, ']', (size_t) (t.end - host));

		if (close == NULL || !(check_ipv6(host + 1, (size_t) (close - host - 1)) ||
		                       (close - host > 4 && (host[1] | 0x20) == 'v' && ga_is_hex(host[2]))))
			return false;
		port = close + 1;
		if (port < t.end && *port != ':')
			return false;
	}
	else
	{
		for (port = host; port < t.end && *port != ':'; port++)
			;
		if (!uri_part((Text){host, port}, "!$&'()*+,;=", international))
			return false;
	}
	for (const char *c = port + 1; port < t.end && c < t.end; c++)
	{
		if (!ga_is_digit(*c))
			return false;
	}
	return true;
}

static bool
uri_ok(const char *text, size_t bytes, bool relative, bool international)
{
	Text t = {text, text + bytes};
	const char *hash = memchr(text, '#', bytes);
	const char *end = hash != NULL ? hash : t.end;
	const char *query = memchr(text, '?', (size_t) (end - text));
	const char *path_end = query != NULL ? query : end;
	const char *colon = memchr(text, ':', (size_t) (path_end - text));
	const char *slash = memchr(text, '/', (size_t) (path_end - text));
	const char *path = text;

	if (hash != NULL && !uri_part((Text){hash + 1, t.end}, "!$&'()*+,;=:@/?", international))
		return false;
	if (query != NULL && !uri_part((Text){query + 1, end}, "!$&'()*+,;=:@/?", international))
		return false;
	if (colon != NULL && (slash == NULL || colon < slash))
	{
		if (colon == text || !ga_is_letter(text[0]))
			return false;
		for (const char *c = text; c < colon; c++)
		{
			if (!ga_is_letter(*c) && !ga_is_digit(*c) && !one_of(*c, "+-."))
				return false;
		}
		path = colon + 1;
	}
	else if (!relative)
		return false;
	if (path_end - path >= 2 && path[0] == '/' && path[1] == '/')
	{
		const char *authority = path + 2;

		for (path = authority; path < path_end && *path != '/'; path++)
			;
		if (!uri_authority((Text){authority, path}, international))
			return false;
	}
	return uri_part((Text){path, path_end}, "!$&'()*+,;=:@/", international);
}

static bool
check_uri(const char *text, size_t bytes)
{
	return uri_ok(text, bytes, false, false);
}

static bool
check_uri_reference(const char *text, size_t bytes)
{
	return uri_ok(text, bytes, true, false);
}

static bool
check_iri(const char *text, size_t bytes)
{
	return uri_ok(text, bytes, false, true);
}

static bool
check_iri_reference(const char *text, size_t bytes)
{
	return uri_ok(text, bytes, true, true);
}

/* One variable of an expression: name, then a prefix length or an asterisk. */
static bool
template_variable(Text *t)
{
	bool part = false;

	for (; t->at < t->end; t->at++)
	{
		if (*t->at == '.' ? !part : !(ga_is_letter(*t->at) || ga_is_digit(*t->at) || *t->at == '_'))
		{
			if (t->end - t->at < 3 || *t->at != '%' || !ga_is_hex(t->at[1]) || !ga_is_hex(t->at[2]))
				break;
			t->at += 2;
		}
		part = *t->at != '.';
	}
	if (!part)
		return false;
	if (take(t, ':'))
	{
		const char *from = t->at;

		while (t->at < t->end && ga_is_digit(*t->at))
			t->at++;
		return t->at > from && t->at - from <= 4 && *from != '0';
	}
	take(t, '*');
	return true;
}

static bool
template_expression(Text *t)
{
	if (t->at < t->end && one_of(*t->at, "+#./;?&=,!@|"))
		t->at++;
	do
	{
		if (!template_variable(t))
			return false;
	} while (take(t, ','));
	return take(t, '}');
}

static bool
check_uri_template(const char *text, size_t bytes)
{
	Text t = {text, text + bytes};

	while (t.at < t.end)
	{
		if (take(&t, '{'))
		{
			if (!template_expression(&t))
				return false;
		}
		else if (!uri_char(&t, "!#$&'()*+,/:;=?@[]", true))
			return false;
	}
	return true;
}

static const struct
{
	const char *name;
	GaFormatCheck check;
} formats[] = {
    {"date-time", check_date_time},
    {"date", check_date},
    {"time", check_time},
    {"duration", check_duration},
    {"email", check_email},
    {"idn-email", check_idn_email},
    {"ipv4", check_ipv4},
    {"ipv6", check_ipv6},
    {"uri", check_uri},
    {"uri-reference", check_uri_reference},
    {"iri", check_iri},
    {"iri-reference", check_iri_reference},
    {"uri-template", check_uri_template},
    {"uuid", check_uuid},
    {"json-pointer", check_json_pointer},
    {"relative-json-pointer", check_relative_pointer},
};

#define NFORMATS ((int) (sizeof(formats) / sizeof(formats[0])))

int
ga_format_find(const char *name, size_t bytes)
{
	for (int i = 0; i < NFORMATS; i++)
	{
		if (strlen(formats[i].name) == bytes && memcmp(formats[i].name, name, bytes) == 0)
			return i;
	}
	return -1;
}

const char *
ga_format_name(int format)
{
	return formats[format].name;
}

bool
ga_format_ok(int format, const char *text, size_t bytes)
{
	return formats[format].check(text, bytes);
}
