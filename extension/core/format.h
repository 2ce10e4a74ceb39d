/* SPDX-License-Identifier: PostgreSQL */
/*
 * format.h: the formats of JSON Schema, each by its own RFC, on UTF-8 text.
 */
#ifndef GA_FORMAT_H
#define GA_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

typedef bool (*GaFormatCheck)(const char *text, size_t bytes);

/* Number of a format that is checked, or -1. */
extern int ga_format_find(const char *name, size_t bytes);
extern const char *ga_format_name(int format);
extern bool ga_format_ok(int format, const char *text, size_t bytes);

#endif /* GA_FORMAT_H */
