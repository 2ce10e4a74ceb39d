/* SPDX-License-Identifier: PostgreSQL */
/*
 * UTF-8, one character at a time, in the strict form of RFC 3629. Pure.
 */
#include "utf8.h"

int
ga_utf8_encode(uint32_t code, char *to)
{
	unsigned char *out = (unsigned char *) to;

	if (code < 0x80)
	{
		out[0] = (unsigned char) code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (unsigned char) (0xC0 | (code >> 6));
		out[1] = (unsigned char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (unsigned char) (0xE0 | (code >> 12));
		out[1] = (unsigned char) (0x80 | ((code >> 6) & 0x3F));
		out[2] = (unsigned char) (0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (unsigned char) (0xF0 | (code >> 18));
	out[1] = (unsigned char) (0x80 | ((code >> 12) & 0x3F));
	out[2] = (unsigned char) (0x80 | ((code >> 6) & 0x3F));
	out[3] = (unsigned char) (0x80 | (code & 0x3F));
	return 4;
}

int
ga_utf8_decode(const char *text, size_t bytes, uint32_t *code)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = (const unsigned char *) text;
	int length;
	uint32_t c;

	if (bytes == 0)
		return 0;
	if (s[0] < 0x80)
	{
		*code = s[0];
		return 1;
	}
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		length = 2;
	else if ((s[0] & 0xF0) == 0xE0)
		length = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		length = 4;
	else
		return 0;
	if (bytes < (size_t) length)
		return 0;
	c = s[0] & (0xFFu >> (length + 1));
	for (int i = 1; i < length; i++)
	{
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = (c << 6) | (s[i] & 0x3F);
	}
	if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0;
	*code = c;
	return length;
}
