/* SPDX-License-Identifier: PostgreSQL */
/*
 * report.h: what a check found: one finding for each check and incarnation, under one of three
 * aspects that are judged apart. A log may be whole and true, and yet be old.
 *
 * A tally is a finding in the making. It keeps the bad news of the lowest leaf.
 */
#ifndef GA_VERIFY_REPORT_H
#define GA_VERIFY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define GA_DETAIL_MAX 480
#define GA_FINDINGS_MAX 20000

typedef enum GaVerdict
{
	GA_OK,
	GA_UNKNOWN,
	GA_BAD
} GaVerdict;

typedef enum GaAspect
{
	GA_INTEGRITY,
	GA_COMPLETENESS,
	GA_FRESHNESS,
	GA_ASPECTS
} GaAspect;

typedef struct GaTally
{
	GaVerdict verdict;
	int64_t leaf;   /* -1: none is to blame */
	int64_t id;     /* -1: not known */
	uint64_t count; /* of what was looked at */
	uint64_t faults;
	char detail[GA_DETAIL_MAX];
} GaTally;

typedef struct GaFinding
{
	GaAspect aspect;
	const char *check;
	int incarnation; /* 0: of the export as a whole */
	GaVerdict verdict;
	int64_t leaf;
	int64_t id;
	char *detail;
} GaFinding;

typedef struct GaReport
{
	GaFinding *findings;
	size_t nfindings;
	size_t capacity;
} GaReport;

extern void ga_tally_init(GaTally *tally);
extern void ga_fault(GaTally *tally, int64_t leaf, int64_t id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
extern void ga_doubt(GaTally *tally, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What to say when nothing was wrong; what was said first stays. */
extern void ga_praise(GaTally *tally, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

extern void ga_report_init(GaReport *report);
extern void ga_report_add(GaReport *report, GaAspect aspect, const char *check, int incarnation,
                          const GaTally *tally);
extern GaVerdict ga_report_verdict(const GaReport *report); /* the worst */
extern GaVerdict ga_report_aspect(const GaReport *report, GaAspect aspect);
extern void ga_report_text(const GaReport *report, FILE *out);
extern bool ga_report_json(const GaReport *report, FILE *out);
extern void ga_report_free(GaReport *report);

#endif
