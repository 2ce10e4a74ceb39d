/* SPDX-License-Identifier: PostgreSQL */
/*
 * sanitize.h: hazardous characters shown by name.
 */
#ifndef GA_SANITIZE_H
#define GA_SANITIZE_H

#include "postgres.h"

/* The text with its hazards shown, NUL-terminated, in the current context. Idempotent. */
extern char *ga_sanitize(const char *text, Size bytes, Size *shown_bytes);

#endif /* GA_SANITIZE_H */
