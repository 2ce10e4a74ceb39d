/* SPDX-License-Identifier: PostgreSQL */
/*
 * metrics.c: counters of this daemon's life and a page of OpenMetrics text for a scraper on the
 * same host. One request a connection, any path; a slow client is cut off rather than waited for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics.h"

static const struct
{
	GaTally counter;
	const char *name;
	const char *help;
} plain[] = {
    {GA_TALLY_CLAIMED, "claimed", "Jobs claimed."},
    {GA_TALLY_RELEASED, "released", "Jobs given back unfinished."},
    {GA_TALLY_REVOKED, "fenced", "Jobs stopped because their lease could not be renewed."},
    {GA_TALLY_STALE_FINISH, "stale_finishes", "Results refused because the lease had passed on."},
    {GA_TALLY_WARM_FAILURES, "warm_failures", "Sandboxes that did not start."},
    {GA_TALLY_RECONNECTS, "reconnects", "Times the database was lost and found again."}};

bool
ga_metrics_open(GaMetrics *metrics, int port, char *why)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t) port),
	                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int on = 1;

	metrics->listener = -1;
	if (port == 0)
		return true;
	metrics->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (metrics->listener < 0)
		return ga_fail(why, "cannot create the metrics socket: %s", strerror(errno));
	setsockopt(metrics->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(metrics->listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
	    listen(metrics->listener, 8) != 0)
		return ga_fail(why, "cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
	return true;
}

static int
page(const GaMetrics *metrics, char *text, size_t room)
{
	FILE *out = fmemopen(text, room, "w");
	long length;

	if (out == NULL)
		return 0;
	fprintf(out,
	        "# TYPE goldenarch_executor_slots gauge\n"
	        "# HELP goldenarch_executor_slots Sandbox slots by state.\n"
	        "goldenarch_executor_slots{state=\"ready\"} %d\n"
	        "goldenarch_executor_slots{state=\"busy\"} %d\n"
	        "goldenarch_executor_slots{state=\"other\"} %d\n",
	        metrics->ready, metrics->busy, metrics->slots - metrics->ready - metrics->busy);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		fprintf(out,
		        "# TYPE goldenarch_executor_%s counter\n# HELP goldenarch_executor_%s %s\n"
		        "goldenarch_executor_%s_total %llu\n",
		        plain[i].name, plain[i].name, plain[i].help, plain[i].name,
		        (unsigned long long) metrics->counters[plain[i].counter]);
	fprintf(out, "# TYPE goldenarch_executor_jobs counter\n"
	             "# HELP goldenarch_executor_jobs Jobs ended here, by outcome.\n");
	for (int i = GA_JOB_SUCCEEDED; i <= GA_JOB_LOST; i++)
		fprintf(out, "goldenarch_executor_jobs_total{outcome=\"%s\"} %llu\n",
		        ga_fsm_state_name(GA_MACHINE_JOB, i), (unsigned long long) metrics->outcomes[i]);
	fprintf(out, "# EOF\n");
	length = ftell(out);
	fclose(out);
	return (int) length;
}

void
ga_metrics_serve(GaMetrics *metrics)
{
	char text[8192], head[256], request[2048];
	int client = accept4(metrics->listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = {0, 250000};
	int length, head_length;

	if (client < 0)
		return;
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (recv(client, request, sizeof(request), 0) > 4 && strncmp(request, "GET ", 4) == 0)
	{
		length = page(metrics, text, sizeof(text));
		head_length = snprintf(head, sizeof(head),
		                       "HTTP/1.0 200 OK\r\nContent-Type: application/openmetrics-text; "
		                       "version=1.0.0; charset=utf-8\r\nContent-Length: %d\r\n\r\n",
		                       length);
		if (send(client, head, (size_t) head_length, MSG_NOSIGNAL) == head_length)
			send(client, text, (size_t) length, MSG_NOSIGNAL);
	}
	close(client);
}
