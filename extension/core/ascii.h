/* SPDX-License-Identifier: PostgreSQL */
/*
 * ascii.h: kinds of ASCII characters, whatever the locale.
 */
#ifndef GA_ASCII_H
#define GA_ASCII_H

#include <stdbool.h>

static inline bool
ga_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ga_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The value of a hexadecimal digit, or -1. */
static inline int
ga_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static inline bool
ga_is_hex(char c)
{
	return ga_hex_value(c) >= 0;
}

#endif /* GA_ASCII_H */
