/* SPDX-License-Identifier: PostgreSQL */
/*
 * utf8.h: reading and writing one character.
 */
#ifndef GA_UTF8_H
#define GA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * One UTF-8 character at text[0..bytes): its length 1-4 and *code, or 0 where it is malformed,
 * overlong, a surrogate, beyond U+10FFFF or cut off.
 */
extern int ga_utf8_decode(const char *text, size_t bytes, uint32_t *code);
/* Writes 1-4 bytes. */
extern int ga_utf8_encode(uint32_t code, char *to);

#endif /* GA_UTF8_H */
