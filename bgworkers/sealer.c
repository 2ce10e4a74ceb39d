/* SPDX-License-Identifier: PostgreSQL */
/*
 * The sealer: one pass as soon as something committed, at most twenty a second, and one now and
 * then for the heartbeat. audit_seal() runs the same pass in a process of its own. A pass holds the
 * sealing lock of the session over its three transactions and is over after an error; whatever
 * committed until then stands, and the next pass goes on from there.
 */
#include "seal.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"

#include "goldenarch/clock.h"
#include "goldenarch/debug.h"
#include "goldenarch/oneshot.h"
#include "goldenarch/query.h"
#include "worker.h"

#define PAUSE_MS 50
#define IDLE_MS 1000
#define AFTER_ERROR_MS 5000
#define PREPARE_EVERY_MS 1000

extern GA_EXPORT void ga_sealer_main(Datum arg);
extern GA_EXPORT void ga_seal_once_main(Datum arg);

typedef struct Step
{
	void (*run)(SealPass *pass);
	SealPass *pass;
} Step;

static bool locked;

/*
 * A sealing transaction is on disk, here and where the server waits for standbys, before its end is
 * told; each statement sees what committed before it; and a plan that is made while the tables are
 * empty does not read them from end to end for ever.
 */
static void
settle(void)
{
	SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("enable_seqscan", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("enable_bitmapscan", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
run_step(void *arg)
{
	Step *step = arg;

	if (!locked)
	{
		ga_seal_lock(true);
		locked = true;
	}
	step->run(step->pass);
	ForceSyncCommit();
}

static void
say_stopped(SealPass *pass)
{
	GaSealTree tree;

	ga_seal_tree(&tree);
	if (tree.incarnation > 0)
		ga_seal_say_stopped(&tree, pass->stopped);
}

static bool
transaction(const char *what, void (*run)(SealPass *pass), SealPass *pass)
{
	Step step = {run, pass};

	return ga_worker_transaction(what, run_step, &step);
}

/* True: every step was done. */
static bool
run_pass(SealPass *pass, bool prepare)
{
	bool ok = (!prepare || transaction("preparing the audit tree", seal_prepare, pass)) &&
	          transaction("sealing audit rows", seal_grow, pass);

	if (ok)
	{
		GA_DEBUG_POINT("seal-after-commit");
		ok = transaction("signing the audit tree", seal_sign, pass);
	}
	else if (pass->stopped[0])
		(void) transaction("sealing audit rows", say_stopped, pass);
	if (locked)
		ga_seal_unlock();
	locked = false;
	return ok;
}

/* Wake-ups are not heard meanwhile: the latch stays set, and nobody sends another signal for it. */
static void
pause_briefly(void)
{
	(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PAUSE_MS,
	                 GA_WAIT_EVENT("GoldenarchSealer"));
}

/* What failed fails again at once; wake-ups do not count, SIGTERM does. */
static void
pause_after_error(void)
{
	int64 until_ns = ga_monotonic_ns() + AFTER_ERROR_MS * INT64CONST(1000000);

	while (ga_monotonic_ns() < until_ns)
	{
		(void) ga_worker_wait(PAUSE_MS);
		pause_briefly();
	}
}

void
ga_sealer_main(Datum arg)
{
	int since_prepare_ms = PREPARE_EVERY_MS;

	(void) arg;
	ga_worker_start(GA_WORKER_SEALER);
	settle();
	for (;;)
	{
		SealPass pass = {.forced = false};
		bool prepare = since_prepare_ms >= PREPARE_EVERY_MS;
		bool ok = run_pass(&pass, prepare);

		if (prepare)
			since_prepare_ms = 0;
		if (!ok)
		{
			since_prepare_ms = PREPARE_EVERY_MS;
			pause_after_error();
		}
		pause_briefly();
		since_prepare_ms += PAUSE_MS;
		if (!ga_worker_wait(IDLE_MS))
			since_prepare_ms += IDLE_MS;
	}
}

void
ga_seal_once_main(Datum arg)
{
	SealPass pass = {.forced = true};
	GaOneShot shot;

	(void) ga_one_shot_begin(arg, &shot, sizeof(bool));
	settle();
	if (run_pass(&pass, true))
		ga_one_shot_committed(&shot);
}
