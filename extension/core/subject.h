/* SPDX-License-Identifier: PostgreSQL */
/*
 * subject.h: NATS subjects. What passes here cannot break out of its line of the protocol, nor
 * reach the server's own subjects.
 */
#ifndef GA_SUBJECT_H
#define GA_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when it may be published to, else what is wrong, as part of a sentence. */
extern const char *ga_subject_problem(const char *subject, size_t bytes);

/* The same for a pattern to subscribe to: '*' is one whole token, '>' the rest, last only. */
extern const char *ga_subject_pattern_problem(const char *pattern, size_t bytes);

/* Both must have passed the checks above. */
extern bool ga_subject_matches(const char *pattern, size_t pattern_bytes, const char *subject,
                               size_t subject_bytes);

#endif /* GA_SUBJECT_H */
