/* SPDX-License-Identifier: PostgreSQL */
/*
 * b64url.h: base64url without padding (RFC 7515), strict: one encoding for one value. Padding,
 * white space, '+' and '/', a length of 4n+1 and stray bits in the last character are refused.
 */
#ifndef GA_B64URL_H
#define GA_B64URL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GA_B64URL_DECODED_MAX(text_bytes) ((text_bytes) / 4 * 3 + 2)
#define GA_B64URL_ENCODED_MAX(data_bytes) (((data_bytes) + 2) / 3 * 4)

/* The number of bytes written, or -1. */
extern ssize_t ga_b64url_decode(const char *text, size_t bytes, uint8_t *out, size_t capacity);

/* The number of characters written (no NUL), or -1 when they do not fit. */
extern ssize_t ga_b64url_encode(const uint8_t *data, size_t bytes, char *out, size_t capacity);

#endif /* GA_B64URL_H */
