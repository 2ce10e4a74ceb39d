/* SPDX-License-Identifier: PostgreSQL */
/*
 * goldenarch-verify: writes the audit log of a server into a folder, and checks such a folder
 * without one. Exit: 0 nothing is bad, 1 something is, 2 it could not be done.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "export.h"

#define DEFAULT_MAX_AGE (24 * 60 * 60)
#define EXIT_USAGE 2

static const char usage[] =
    "usage: goldenarch-verify check DIR --key FILE [--anchor FILE]... [--max-age SECONDS] "
    "[--json]\n"
    "       goldenarch-verify export DSN DIR [--details]\n"
    "\n"
    "check   needs no server. --key: verifier keys that you trust, one a line "
    "(audit_public_key());\n"
    "        --anchor: signed heads from outside of the server, one after the other, or lines\n"
    "        {\"note\":\"...\"}; --max-age: how old the last head may be (a day).\n"
    "        Exit: 0 nothing is bad, 1 something is bad, 2 it could not be done.\n"
    "export  reads with the permissions audit.view and system.admin; the environment variable\n"
    "        GOLDENARCH_TOKEN, if set, is given to goldenarch.authenticate(). --details: also "
    "what\n"
    "        opens the commitments. Into a folder that holds an export it adds what is new.\n";

static int
fail(const char *why)
{
	fprintf(stderr, "goldenarch-verify: %s\n", why);
	return EXIT_USAGE;
}

static int
misuse(void)
{
	fputs(usage, stderr);
	return EXIT_USAGE;
}

static bool
read_number(const char *text, int64_t *number)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	*number = value;
	return errno == 0 && end != text && *end == '\0' && value >= 0;
}

/* --anchor is read after every --key, whatever their order on the line. */
static int
read_anchors(GaCheck *check, char **files, int n)
{
	char why[GA_WHY_MAX];

	check->anchored = n > 0;
	for (int i = 0; i < n; i++)
	{
		if (!ga_anchors_read(&check->anchors, &check->trust, files[i], why))
			return fail(why);
	}
	return 0;
}

static int
check_and_say(GaCheck *check, const char *path, bool json)
{
	char why[GA_WHY_MAX];
	int folder = ga_folder_open(path);

	if (folder < 0)
	{
		snprintf(why, sizeof(why), "%s: %s", path, strerror(errno));
		return fail(why);
	}
	ga_check_folder(check, folder);
	close(folder);
	if (json)
		(void) ga_report_json(&check->report, stdout);
	else
		ga_report_text(&check->report, stdout);
	if (fflush(stdout) != 0)
		return fail("cannot write the findings");
	return ga_report_verdict(&check->report) == GA_BAD ? 1 : 0;
}

static int
run_check(int argc, char **argv)
{
	static const struct option options[] = {{"key", required_argument, NULL, 'k'},
	                                        {"anchor", required_argument, NULL, 'a'},
	                                        {"max-age", required_argument, NULL, 'm'},
	                                        {"json", no_argument, NULL, 'j'},
	                                        {NULL, 0, NULL, 0}};
	GaCheck check;
	char why[GA_WHY_MAX];
	char **anchors = calloc((size_t) argc, sizeof(*anchors));
	int nanchors = 0;
	bool json = false;
	int status = 0;
	int option;

	memset(&check, 0, sizeof(check));
	check.now = (int64_t) time(NULL);
	check.max_age = DEFAULT_MAX_AGE;
	while (anchors != NULL && status == 0 &&
	       (option = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (option == 'k' && !ga_trust_read(&check.trust, optarg, why))
			status = fail(why);
		else if (option == 'a')
			anchors[nanchors++] = optarg;
		else if (option == 'j')
			json = true;
		else if (option != 'k' && (option != 'm' || !read_number(optarg, &check.max_age)))
			status = misuse();
	}
	if (status == 0 && (anchors == NULL || optind + 1 != argc || check.trust.n == 0))
		status = misuse();
	if (status == 0)
		status = read_anchors(&check, anchors, nanchors);
	if (status == 0)
		status = check_and_say(&check, argv[optind], json);
	free(anchors);
	ga_check_free(&check);
	return status;
}

static int
run_export(int argc, char **argv)
{
	static const struct option options[] = {{"details", no_argument, NULL, 'd'},
	                                        {NULL, 0, NULL, 0}};
	bool details = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (option != 'd')
			return misuse();
		details = true;
	}
	if (optind + 2 != argc)
		return misuse();
	return ga_export(argv[optind], argv[optind + 1], details) ? 0 : EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "check") == 0)
		return run_check(argc - 1, argv + 1);
	if (strcmp(verb, "export") == 0)
		return run_export(argc - 1, argv + 1);
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "--version") == 0)
	{
		fputs(verb[2] == 'h' ? usage : "goldenarch-verify " GOLDENARCH_VERSION "\n", stdout);
		return 0;
	}
	return misuse();
}
