/* SPDX-License-Identifier: PostgreSQL */
/*
 * b64url.c: see b64url.h.
 */
#include "b64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value of a character plus one; 0: none of the alphabet. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64};

static int
digit(char c)
{
	return values[(uint8_t) c] - 1;
}

/* Two or three characters at the end; the bits that belong to no byte are zero. */
static ssize_t
decode_tail(const char *text, size_t bytes, uint8_t *out, size_t room)
{
	int a = digit(text[0]);
	int b = digit(text[1]);
	int c = bytes == 3 ? digit(text[2]) : 0;

	if ((a | b | c) < 0 || room < bytes - 1)
		return -1;
	out[0] = (uint8_t) (a << 2 | b >> 4);
	if (bytes == 2)
		return (b & 15) == 0 ? 1 : -1;
	out[1] = (uint8_t) ((b & 15) << 4 | c >> 2);
	return (c & 3) == 0 ? 2 : -1;
}

ssize_t
ga_b64url_decode(const char *text, size_t bytes, uint8_t *out, size_t capacity)
{
	size_t whole = bytes / 4;
	size_t tail = bytes % 4;
	ssize_t last = 0;

	if (tail == 1 || capacity / 3 < whole)
		return -1;
	for (size_t i = 0; i < whole; i++)
	{
		int a = digit(text[4 * i]);
		int b = digit(text[4 * i + 1]);
		int c = digit(text[4 * i + 2]);
		int d = digit(text[4 * i + 3]);

		if ((a | b | c | d) < 0)
			return -1;
		out[3 * i] = (uint8_t) (a << 2 | b >> 4);
		out[3 * i + 1] = (uint8_t) ((b & 15) << 4 | c >> 2);
		out[3 * i + 2] = (uint8_t) ((c & 3) << 6 | d);
	}
	if (tail != 0)
		last = decode_tail(text + 4 * whole, tail, out + 3 * whole, capacity - 3 * whole);
	return last < 0 ? -1 : (ssize_t) (3 * whole) + last;
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
