/* SPDX-License-Identifier: PostgreSQL */
/*
 * One connection to NATS a process, from its first use to its exit. Holds no lock; runs outside
 * transactions.
 */
#include "link.h"

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "goldenarch/clock.h"
#include "goldenarch/compat.h"
#include "goldenarch/guc.h"

#define SETTINGS 5
#define RETRY_MS 10000

static GaNats *opened;
static GaPeer peer;
static char *opened_with[SETTINGS];

static char *
setting(int i)
{
	char *const values[SETTINGS] = {ga_guc_nats_url, ga_guc_nats_credentials_file,
	                                ga_guc_nats_tls_ca_file, ga_guc_nats_tls_cert_file,
	                                ga_guc_nats_tls_key_file};

	return values[i] ? values[i] : "";
}

bool
ga_link_wait_fd(int fd, long timeout_ms)
{
	int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;

	if (fd >= 0)
		events |= WL_SOCKET_READABLE;
	events = WaitLatchOrSocket(MyLatch, events, fd >= 0 ? fd : PGINVALID_SOCKET, timeout_ms,
	                           GA_WAIT_EVENT("GoldenarchBridge"));
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return (events & WL_LATCH_SET) != 0;
}

static void
end_when_settings_changed(void)
{
	int i;

	for (i = 0; i < SETTINGS; i++)
		if (strcmp(opened_with[i], setting(i)) != 0)
		{
			ereport(LOG, (errmsg("settings of the NATS connection changed: starting again")));
			proc_exit(1);
		}
}

bool
ga_link_wait(GaNats *nats, long timeout_ms)
{
	bool woken = ga_link_wait_fd(ga_nats_fd(nats), timeout_ms);

	ga_nats_clear_fd(nats);
	end_when_settings_changed();
	return woken;
}

static void
close_link(int code, Datum arg)
{
	(void) code;
	(void) arg;
	ga_bridge_report_link(peer, GA_LINK_OFF, NULL, NULL);
	ga_nats_close(opened);
}

static void
remember_settings(void)
{
	int i;

	for (i = 0; i < SETTINGS; i++)
		opened_with[i] = MemoryContextStrdup(TopMemoryContext, setting(i));
}

/* As another process: the settings, the files they name or the server may be right by then. */
static void
start_again_later(void)
{
	int64 until = ga_monotonic_ns() + RETRY_MS * INT64CONST(1000000);

	while (ga_monotonic_ns() < until)
	{
		(void) ga_link_wait_fd(-1, RETRY_MS / 10);
		end_when_settings_changed();
	}
	proc_exit(1);
}

GaNats *
ga_link_open(GaPeer as, const char *worker)
{
	char error[GA_NATS_ERROR_BYTES];
	char name[128];
	GaNatsSettings settings;

	peer = as;
	while (*setting(0) == '\0')
	{
		ga_bridge_report_link(peer, GA_LINK_OFF, "", NULL);
		(void) ga_link_wait_fd(-1, 5000);
	}
	remember_settings();
	snprintf(name, sizeof(name), "goldenarch %s", worker);
	settings = (GaNatsSettings){.urls = setting(0),
	                            .name = name,
	                            .credentials_file = setting(1),
	                            .ca_file = setting(2),
	                            .cert_file = setting(3),
	                            .key_file = setting(4)};
	opened = ga_nats_open(&settings, error);
	if (!opened)
	{
		ga_bridge_report_link(peer, GA_LINK_DOWN, "", error);
		ereport(WARNING, (errmsg("%s", error), errhint("Correct goldenarch.nats_*, or the files "
		                                               "that they name, and reload.")));
		start_again_later();
	}
	before_shmem_exit(close_link, (Datum) 0);
	ga_bridge_report_link(peer, GA_LINK_CONNECTING, "", NULL);
	return opened;
}

void
ga_link_complain(const char *error)
{
	ga_bridge_report_link(peer, GA_LINK_CONNECTED, NULL, error);
}

bool
ga_link_up(GaNats *nats, bool *fresh)
{
	static unsigned known_connects;
	static bool was_up = true;
	unsigned connects = ga_nats_connects(nats);
	bool up = ga_nats_connected(nats);
	char text[GA_NATS_ERROR_BYTES] = "";

	*fresh = up && (connects != known_connects || !was_up);
	if (*fresh)
	{
		const char *server = ga_nats_server(nats, text, sizeof(text));

		ga_bridge_report_link(peer, GA_LINK_CONNECTED, server, NULL);
	}
	else if (!up && (was_up || ga_nats_closed(nats)))
	{
		ga_nats_last_error(nats, text);
		ga_bridge_report_link(peer, GA_LINK_DOWN, NULL, text);
	}
	if (ga_nats_closed(nats))
	{
		ereport(WARNING, (errmsg("NATS does not let us in: %s", text),
		                  errhint("Correct goldenarch.nats_* or the server's users.")));
		start_again_later();
	}
	known_connects = connects;
	was_up = up;
	return up;
}
