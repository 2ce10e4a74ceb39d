/* SPDX-License-Identifier: PostgreSQL */
/*
 * wire.h: what the frames between the executor and sbx-init, PID 1 inside a sandbox, mean; their
 * shape and order are core/frame.h's. The job runs as sbx-init's own user and can forge what sbx-
 * init sends, so no frame may say anything but what happens to that one job. Depends on libc
 * alone: sbx-init is linked statically without the core.
 */
#ifndef GOLDENARCH_EXECUTOR_WIRE_H
#define GOLDENARCH_EXECUTOR_WIRE_H

#include <stdint.h>

#define GA_WIRE_HEADER 5
#define GA_WIRE_MAX 65536

/* executor to sbx-init */
#define GA_WIRE_LIMITS 'L' /* GaWireLimits */
#define GA_WIRE_ARG 'A'    /* one element of argv, in order */
#define GA_WIRE_FILE 'F'   /* the name of the file that the next data frames fill */
#define GA_WIRE_DATA 'D'   /* bytes for that file */
#define GA_WIRE_STDIN 'I'  /* bytes of the job's standard input */
#define GA_WIRE_GO 'Z'     /* the job is complete: run it */
#define GA_WIRE_PROBE 'P'  /* report what the walls look like from inside, then exit */

/* sbx-init to executor */
#define GA_WIRE_READY 'R' /* parked, waiting for a job */
#define GA_WIRE_OUT 'o'   /* bytes of the job's standard output */
#define GA_WIRE_ERR 'e'   /* bytes of the job's standard error */
#define GA_WIRE_FAULT 'E' /* the job could not be started: text */
#define GA_WIRE_EXIT 'X'  /* GaWireExit: the job has ended */

typedef struct GaWireLimits
{
	uint32_t nproc;
	uint32_t address_space_mb;
} GaWireLimits;

typedef struct GaWireExit
{
	int32_t wait_status;
} GaWireExit;

#endif
