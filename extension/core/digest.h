/* SPDX-License-Identifier: PostgreSQL */
/*
 * digest.h: SHA-256 over several pieces, without joining them first.
 */
#ifndef GA_DIGEST_H
#define GA_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

typedef struct GaBytes
{
	const void *data;
	size_t bytes;
} GaBytes;

/* False when libcrypto cannot. */
extern bool ga_sha256(const GaBytes *pieces, int count, uint8_t out[GA_HASH_BYTES]);

#endif /* GA_DIGEST_H */
