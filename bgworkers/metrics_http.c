/* SPDX-License-Identifier: PostgreSQL */
/*
 * GET /metrics on 127.0.0.1, for scrapers: one connection at a time, answered and closed. A slow or
 * silent client costs the next scraper CLIENT_MS and nothing else. No transaction is open while a
 * socket is waited for.
 */
#include "worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "goldenarch/guc.h"
#include "goldenarch/metrics.h"

#define REQUEST_MAX_BYTES 4096
#define CLIENT_MS 2000

extern GA_EXPORT void ga_metrics_main(Datum arg);

static MemoryContext answer_context;

static int
listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16) port)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		ereport(FATAL,
		        (errcode_for_socket_access(), errmsg("could not listen on port %d: %m", port),
		         errhint("Set goldenarch.metrics_port to a port that is free.")));
	return fd;
}

/* Wait until the client can be read from or written to; false when it takes too long. */
static bool
client_ready(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};

	return poll(&one, 1, CLIENT_MS) == 1 && (one.revents & events);
}

/* The request's head, cut at its end; false when there is none in time or in size. */
static bool
read_request(int fd, char *request)
{
	size_t length = 0;

	while (length < REQUEST_MAX_BYTES - 1)
	{
		ssize_t got;

		if (!client_ready(fd, POLLIN))
			return false;
		got = recv(fd, request + length, REQUEST_MAX_BYTES - 1 - length, 0);
		if (got <= 0)
			return false;
		length += (size_t) got;
		request[length] = '\0';
		if (strstr(request, "\r\n\r\n"))
			return true;
	}
	return false;
}

static void
write_all(int fd, const char *text, size_t length)
{
	while (length > 0)
	{
		ssize_t put;

		if (!client_ready(fd, POLLOUT))
			return;
		put = send(fd, text, length, MSG_NOSIGNAL);
		if (put <= 0)
			return;
		text += put;
		length -= (size_t) put;
	}
}

static void
collect(void *arg)
{
	*(char **) arg = MemoryContextStrdup(answer_context, ga_metrics_text());
}

static void
answer(int fd)
{
	char request[REQUEST_MAX_BYTES];
	const char *status = "404 Not Found";
	char *body = NULL;
	char *head;

	if (!read_request(fd, request))
		return;
	if (strncmp(request, "GET /metrics ", 13) == 0)
		status =
		    ga_worker_transaction("metrics", collect, &body) ? "200 OK" : "503 Service Unavailable";
	head = psprintf("HTTP/1.1 %s\r\n"
	                "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
	                "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	                status, body ? strlen(body) : 0);
	write_all(fd, head, strlen(head));
	if (body)
		write_all(fd, body, strlen(body));
}

void
ga_metrics_main(Datum arg)
{
	int listener;

	(void) arg;
	ga_worker_start(GA_WORKER_METRICS);
	answer_context =
	    AllocSetContextCreate(TopMemoryContext, "goldenarch metrics", ALLOCSET_DEFAULT_SIZES);
	listener = listen_on(ga_guc_metrics_port);
	for (;;)
	{
		int client;

		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
		                         listener, -1L, GA_WAIT_EVENT("GoldenarchMetrics"));
		(void) ga_worker_wait(0);
		client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0)
			continue;
		answer(client);
		(void) shutdown(client, SHUT_RDWR);
		close(client);
		MemoryContextReset(answer_context);
	}
}
