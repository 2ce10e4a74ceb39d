/* SPDX-License-Identifier: PostgreSQL */
/*
 * limits.h: every bound of the product, in one place, the unit in the name.
 *
 * A bound that an operator may set is a GUC; its default and its extremes stand here all the same.
 * Nothing grows without one of these: a reader who asks "how large can X get" searches this file.
 */
#ifndef GA_LIMITS_H
#define GA_LIMITS_H

/* names and text that callers choose */
#define GA_NAME_MAX_BYTES 128
#define GA_SUBJECT_MAX_BYTES 256
#define GA_TENANT_MAX_BYTES 63
#define GA_PERMISSION_MAX_BYTES 64
#define GA_REQUEST_ID_MAX_BYTES 200
#define GA_REASON_MAX_BYTES 2000
#define GA_ROLES_PER_SUBJECT_MAX 32
#define GA_ROLE_INHERITS_MAX 16
#define GA_ROLE_PERMISSIONS_MAX 256
#define GA_ROLE_DEPTH_MAX 16

/* tokens and keys (RFC 8725) */
#define GA_JWT_MAX_BYTES 8192
#define GA_JWS_MAX_BYTES (64 * 1024)
#define GA_JWT_DEPTH_MAX 8
#define GA_JWT_VALUES_MAX 1000
#define GA_JWT_LEEWAY_SECONDS 30
#define GA_JWT_TTL_MAX_SECONDS (366 * 86400)
#define GA_JWT_CACHE_ENTRIES 64
#define GA_JWK_CACHE_ENTRIES 64
#define GA_JWKS_KEYS_MAX 100
#define GA_JWK_MAX_BYTES 16384
#define GA_HMAC_KEY_MIN_BYTES 32
#define GA_HMAC_KEY_MAX_BYTES 512
#define GA_RSA_MIN_BITS 2048
#define GA_RSA_MAX_BITS 8192

/* rate limits and breakers */
#define GA_RATE_COUNT_MAX 1000000000
#define GA_RATE_BURST_MAX 1000000000
#define GA_RATE_KEY_MAX_BYTES 256
#define GA_BREAKER_NAME_MAX_BYTES 128
#define GA_BREAKER_HALF_OPEN_MAX_CALLS 100

/* budgets */
#define GA_BUDGET_PATH_MAX_BYTES 512
#define GA_BUDGET_DEPTH_MAX 8
#define GA_BUDGET_TOKENS_MAX INT64_C(1000000000000000)
#define GA_BUDGET_BATCH_MAX 10000

/* answers of models, JSON, schemas */
#define GA_JSON_MAX_BYTES (4 * 1024 * 1024)
#define GA_JSON_DEPTH_MAX 64
#define GA_JSON_VALUES_MAX 500000
#define GA_JSON_DIGITS_MAX 308
#define GA_JSON_EXPONENT_MAX 400
#define GA_SCHEMA_MAX_BYTES (256 * 1024)
#define GA_SCHEMA_ERRORS_MAX 100

/* audit */
#define GA_ENTRY_MAX_BYTES 4096
#define GA_SALT_BYTES 32
#define GA_HASH_BYTES 32
#define GA_DETAILS_MAX_BYTES (64 * 1024)
#define GA_DENIAL_WORKERS_MAX 4
#define GA_DENIAL_WAIT_MS 5000

/* messages */
#define GA_MESSAGE_SUBJECT_MAX_BYTES 255
#define GA_MESSAGE_PAYLOAD_MAX_BYTES (1024 * 1024 - 16 * 1024)
#define GA_MESSAGE_HEADERS_MAX 64
#define GA_MESSAGE_HEADERS_MAX_BYTES (16 * 1024)
#define GA_MESSAGE_ID_MAX_BYTES 128
#define GA_DELIVER_MAX 100

/* tasks and reviews */
#define GA_TASK_TITLE_MAX_BYTES 500
#define GA_TASK_ATTEMPTS_MAX 100
#define GA_TASK_DEPTH_MAX 8
#define GA_AUTOFIX_PER_ROOT_MAX 5
#define GA_AUTOFIX_PER_FINGERPRINT_MAX 2
#define GA_REVIEWERS_MAX 64

/* sandbox */
#define GA_FRAME_PAYLOAD_MAX_BYTES (64 * 1024)
#define GA_JOB_CODE_MAX_BYTES (256 * 1024)
#define GA_JOB_STDIN_MAX_BYTES (1024 * 1024)
#define GA_JOB_ARGS_MAX 64
#define GA_JOB_FILES_MAX 32
#define GA_JOB_OUTPUT_MAX_BYTES (1024 * 1024)
#define GA_JOB_TIMEOUT_MAX_SECONDS 3600
#define GA_JOB_MEMORY_MIN_MB 32
#define GA_JOB_MEMORY_MAX_MB 4096
#define GA_JOB_PIDS_MAX 1024
#define GA_JOB_ATTEMPTS_MAX 3

#endif /* GA_LIMITS_H */
