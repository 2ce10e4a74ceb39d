/* SPDX-License-Identifier: PostgreSQL */
/*
 * b64url.c: see b64url.h.
 */
#include "b64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

ssize_t
ga_b64url_decode(const char *text, size_t bytes, uint8_t *out, size_t capacity)
{
	uint32_t bits = 0;
	int held = 0;
	size_t written = 0;

	if (bytes % 4 == 1)
		return -1;
	for (size_t i = 0; i < bytes; i++)
	{
		int value = digit(text[i]);

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t) value;
		held += 6;
		if (held < 8)
			continue;
		if (written == capacity)
			return -1;
		held -= 8;
		out[written++] = (uint8_t) (bits >> held);
		bits &= (UINT32_C(1) << held) - 1;
	}
	return bits == 0 ? (ssize_t) written : -1;
}

ssize_t
ga_b64url_encode(const uint8_t *data, size_t bytes, char *out, size_t capacity)
{
	size_t written = 0;
	uint32_t bits = 0;
	int held = 0;

	if (bytes > SIZE_MAX / 2 || capacity < bytes / 3 * 4 + (bytes % 3 != 0) * (bytes % 3 + 1))
		return -1;
	for (size_t i = 0; i < bytes; i++)
	{
		bits = bits << 8 | data[i];
		for (held += 8; held >= 6; held -= 6)
			out[written++] = alphabet[bits >> (held - 6) & 63];
		bits &= (UINT32_C(1) << held) - 1;
	}
	if (held > 0)
		out[written++] = alphabet[bits << (6 - held) & 63];
	return (ssize_t) written;
}
