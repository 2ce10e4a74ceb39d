/* SPDX-License-Identifier: PostgreSQL */
/*
 * RFC 3986 section 5.2 without the parts a schema has no use for: nothing is normalised but dot
 * segments, and the fragment is cut off. Pure; every result is in the arena.
 */
#include "uri.h"

#include <string.h>

#include "ascii.h"

typedef struct Part
{
	const char *text;
	size_t bytes;
	bool present;
} Part;

typedef struct Uri
{
	Part scheme;
	Part authority;
	Part path;
	Part query;
} Uri;

static size_t
scheme_bytes(const char *text)
{
	size_t n = 0;

	if (!((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z')))
		return 0;
	while ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') ||
	       (text[n] >= '0' && text[n] <= '9') || text[n] == '+' || text[n] == '-' || text[n] == '.')
		n++;
	return text[n] == ':' ? n : 0;
}

bool
ga_uri_is_absolute(const char *uri)
{
	return scheme_bytes(uri) > 0;
}

static Part
take(const char **at, const char *stops)
{
	Part part = {*at, strcspn(*at, stops), true};

	*at += part.bytes;
	return part;
}

static Uri
split(const char *text)
{
	Uri uri;
	size_t scheme = scheme_bytes(text);

	memset(&uri, 0, sizeof(uri));
	if (scheme > 0)
	{
		uri.scheme = (Part){text, scheme, true};
		text += scheme + 1;
	}
	if (text[0] == '/' && text[1] == '/')
	{
		text += 2;
		uri.authority = take(&text, "/?#");
	}
	uri.path = take(&text, "?#");
	if (*text == '?')
	{
		text++;
		uri.query = take(&text, "#");
	}
	return uri;
}

/* Removes dot segments in place (section 5.2.4); returns the new length. */
static size_t
remove_dots(char *path, size_t bytes)
{
	size_t in = 0;
	size_t out = 0;

	while (in < bytes)
	{
		size_t segment = in + 1; /* past the slash this segment starts with, if it does */
		size_t end;

		if (path[in] != '/')
			segment = in;
		end = segment;
		while (end < bytes && path[end] != '/')
			end++;
		if (end - segment == 1 && path[segment] == '.')
		{
			if (end >= bytes && path[in] == '/')
				path[out++] = '/';
		}
		else if (end - segment == 2 && path[segment] == '.' && path[segment + 1] == '.')
		{
			while (out > 0 && path[--out] != '/')
				;
			if (end >= bytes && path[in] == '/')
				path[out++] = '/';
		}
		else
		{
			memmove(path + out, path + in, end - in);
			out += end - in;
		}
		in = end;
	}
	return out;
}

static void
append(char **to, const char *before, Part part, const char *after)
{
	if (!part.present)
		return;
	memcpy(*to, before, strlen(before));
	*to += strlen(before);
	memcpy(*to, part.text, part.bytes);
	*to += part.bytes;
	memcpy(*to, after, strlen(after));
	*to += strlen(after);
}

/* section 5.2.3: the reference's path behind the last slash of the base's. */
static size_t
merge_paths(char *to, const Uri *base, const Uri *ref)
{
	size_t keep = base->path.bytes;

	while (keep > 0 && base->path.text[keep - 1] != '/')
		keep--;
	memcpy(to, base->path.text, keep);
	if (keep == 0 && base->authority.present)
		to[keep++] = '/';
	memcpy(to + keep, ref->path.text, ref->path.bytes);
	return keep + ref->path.bytes;
}

char *
ga_uri_resolve(GaArena *arena, const char *base_text, const char *reference)
{
	Uri base = split(base_text);
	Uri ref = split(reference);
	char *out = ga_arena_alloc(arena, strlen(base_text) + strlen(reference) + 8);
	char *path = ga_arena_alloc(arena, strlen(base_text) + strlen(reference) + 8);
	char *to = out;

	if (out == NULL || path == NULL)
		return NULL;
	if (!ref.scheme.present)
	{
		ref.scheme = base.scheme;
		if (!ref.authority.present)
		{
			ref.authority = base.authority;
			if (ref.path.bytes == 0)
			{
				ref.path = base.path;
				if (!ref.query.present)
					ref.query = base.query;
			}
			else if (ref.path.text[0] != '/')
			{
				size_t bytes = merge_paths(path, &base, &ref);

				ref.path = (Part){path, bytes, true};
			}
		}
	}
	append(&to, "", ref.scheme, ":");
	append(&to, "//", ref.authority, "");
	if (ref.path.bytes > 0 && (ref.path.text[0] == '/' || ref.path.text == path))
	{
		memmove(path, ref.path.text, ref.path.bytes);
		ref.path = (Part){path, remove_dots(path, ref.path.bytes), true};
	}
	append(&to, "", ref.path, "");
	append(&to, "?", ref.query, "");
	*to = '\0';
	return out;
}

char *
ga_uri_fragment(GaArena *arena, const char *reference)
{
	const char *hash = strchr(reference, '#');
	char *out;
	char *to;

	if (hash == NULL)
		return NULL;
	to = out = ga_arena_alloc(arena, strlen(hash));
	if (out == NULL)
		return NULL;
	for (hash++; *hash != '\0'; hash++)
	{
		int high;
		int low;

		if (*hash != '%')
		{
			*to++ = *hash;
			continue;
		}
		high = ga_hex_value(hash[1]);
		low = high < 0 ? -1 : ga_hex_value(hash[2]);
		if (low < 0 || high + low == 0)
			return NULL;
		*to++ = (char) (high * 16 + low);
		hash += 2;
	}
	*to = '\0';
	return out;
}
