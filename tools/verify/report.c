/* SPDX-License-Identifier: PostgreSQL */
/* report.c: see report.h. */
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_words[] = {"ok", "unknown", "bad"};
static const char *const aspect_words[] = {"integrity", "completeness", "freshness"};

void
ga_tally_init(GaTally *tally)
{
	memset(tally, 0, sizeof(*tally));
	tally->leaf = -1;
	tally->id = -1;
}

/* What a hostile file holds is shown without control characters. */
static void
say(GaTally *tally, const char *format, va_list values)
{
	vsnprintf(tally->detail, sizeof(tally->detail), format, values);
	for (char *at = tally->detail; *at != '\0'; at++)
	{
		if ((unsigned char) *at < ' ' || (unsigned char) *at > '~')
			*at = '?';
	}
}

void
ga_fault(GaTally *tally, int64_t leaf, int64_t id, const char *format, ...)
{
	va_list values;

	tally->faults++;
	/* no leaf at all is worse news than any leaf, but says less: the first of those stays */
	if (tally->verdict == GA_BAD && (leaf < 0 || (tally->leaf >= 0 && tally->leaf <= leaf)))
		return;
	tally->verdict = GA_BAD;
	tally->leaf = leaf;
	tally->id = id;
	va_start(values, format);
	say(tally, format, values);
	va_end(values);
}

void
ga_doubt(GaTally *tally, const char *format, ...)
{
	va_list values;

	if (tally->verdict != GA_OK)
		return;
	tally->verdict = GA_UNKNOWN;
	va_start(values, format);
	say(tally, format, values);
	va_end(values);
}

void
ga_praise(GaTally *tally, const char *format, ...)
{
	va_list values;

	if (tally->verdict != GA_OK || tally->detail[0] != '\0')
		return;
	va_start(values, format);
	say(tally, format, values);
	va_end(values);
}

void
ga_report_init(GaReport *report)
{
	memset(report, 0, sizeof(*report));
}

void
ga_report_add(GaReport *report, GaAspect aspect, const char *check, int incarnation,
              const GaTally *tally)
{
	GaFinding *finding;

	if (report->nfindings >= GA_FINDINGS_MAX)
		return;
	if (report->nfindings == report->capacity)
	{
		size_t wanted = report->capacity == 0 ? 64 : 2 * report->capacity;
		GaFinding *grown = realloc(report->findings, wanted * sizeof(*grown));

		if (grown == NULL)
			abort();
		report->findings = grown;
		report->capacity = wanted;
	}
	finding = &report->findings[report->nfindings];
	finding->aspect = aspect;
	finding->check = check;
	finding->incarnation = incarnation;
	finding->verdict = tally->verdict;
	finding->leaf = tally->leaf;
	finding->id = tally->id;
	finding->detail = strdup(tally->detail);
	if (finding->detail == NULL)
		abort();
	report->nfindings++;
}

GaVerdict
ga_report_aspect(const GaReport *report, GaAspect aspect)
{
	GaVerdict worst = GA_OK;

	for (size_t i = 0; i < report->nfindings; i++)
	{
		const GaFinding *finding = &report->findings[i];

		if ((aspect == GA_ASPECTS || finding->aspect == aspect) && finding->verdict > worst)
			worst = finding->verdict;
	}
	return worst;
}

GaVerdict
ga_report_verdict(const GaReport *report)
{
	return ga_report_aspect(report, GA_ASPECTS);
}

void
ga_report_text(const GaReport *report, FILE *out)
{
	for (size_t i = 0; i < report->nfindings; i++)
	{
		const GaFinding *finding = &report->findings[i];

		fprintf(out, "%-8s %-13s", verdict_words[finding->verdict], aspect_words[finding->aspect]);
		if (finding->incarnation > 0)
			fprintf(out, "%d/%-12s", finding->incarnation, finding->check);
		else
			fprintf(out, "%-14s", finding->check);
		fprintf(out, " %s", finding->detail);
		if (finding->leaf >= 0)
			fprintf(out, " (leaf %" PRId64, finding->leaf);
		if (finding->leaf >= 0 && finding->id >= 0)
			fprintf(out, ", audit id %" PRId64, finding->id);
		fprintf(out, "%s\n", finding->leaf >= 0 ? ")" : "");
	}
	for (int aspect = 0; aspect < GA_ASPECTS; aspect++)
		fprintf(out, "%s: %s%s", aspect_words[aspect],
		        verdict_words[ga_report_aspect(report, (GaAspect) aspect)],
		        aspect + 1 < GA_ASPECTS ? ", " : "\n");
}

bool
ga_report_json(const GaReport *report, FILE *out)
{
	json_t *list = json_array();
	json_t *root;
	int failed;

	for (size_t i = 0; i < report->nfindings; i++)
	{
		const GaFinding *finding = &report->findings[i];
		json_t *item = json_pack("{s:s, s:s, s:s, s:s}", "aspect", aspect_words[finding->aspect],
		                         "check", finding->check, "verdict",
		                         verdict_words[finding->verdict], "detail", finding->detail);

		if (finding->incarnation > 0)
			json_object_set_new(item, "incarnation", json_integer(finding->incarnation));
		if (finding->leaf >= 0)
			json_object_set_new(item, "first_bad_leaf", json_integer(finding->leaf));
		if (finding->id >= 0)
			json_object_set_new(item, "first_bad_id", json_integer(finding->id));
		json_array_append_new(list, item);
	}
	root = json_pack("{s:s}", "verdict", verdict_words[ga_report_verdict(report)]);
	for (int aspect = 0; aspect < GA_ASPECTS; aspect++)
	{
		const char *word = verdict_words[ga_report_aspect(report, (GaAspect) aspect)];

		json_object_set_new(root, aspect_words[aspect], json_string(word));
	}
	json_object_set_new(root, "findings", list);
	failed = json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(root);
	return failed == 0;
}

void
ga_report_free(GaReport *report)
{
	for (size_t i = 0; i < report->nfindings; i++)
		free(report->findings[i].detail);
	free(report->findings);
	ga_report_init(report);
}
