/* SPDX-License-Identifier: PostgreSQL */
/*
 * hazard.h: the characters of a text that people do not see or that make them see something else:
 * controls, bidi controls, zero width, tags, fillers, noncharacters. The set is closed, so finding
 * is complete. What honest text needs is let pass where it is needed: joiners in emoji and in
 * scripts that join, isolates that are balanced in their line, marks in right-to-left lines,
 * flag tags, one variation selector after its base.
 */
#ifndef GA_HAZARD_H
#define GA_HAZARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct GaHazard
{
	const char *kind; /* control, escape, bidi, zero_width, bom, line_separator, tag, variation,
	                     filler, annotation, noncharacter */
	size_t offset;
	size_t bytes;
	uint32_t code;
} GaHazard;

typedef struct GaHazardScan
{
	const char *text; /* valid UTF-8 */
	size_t bytes;
	size_t at;
	uint32_t previous; /* the character before, as it will be shown */
	size_t line_end;   /* of the line whose facts are below */
	bool balanced;     /* its isolates */
	bool right_to_left;
} GaHazardScan;

extern void ga_hazard_begin(GaHazardScan *scan, const char *text, size_t bytes);
/* The next hazard; false at the end. */
extern bool ga_hazard_next(GaHazardScan *scan, GaHazard *hazard);

/* "[U+202E]": at most 10 bytes and a NUL; returns the length. */
#define GA_HAZARD_SHOWN_MAX 11
extern size_t ga_hazard_show(uint32_t code, char *to);

#endif /* GA_HAZARD_H */
