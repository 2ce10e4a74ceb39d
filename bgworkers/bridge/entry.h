/* SPDX-License-Identifier: PostgreSQL */
/*
 * What goldenarch.so calls in goldenarch_bridge.so: one function a worker, none of which returns,
 * and the ABI number to compare before anything else.
 */
#ifndef BRIDGE_ENTRY_H
#define BRIDGE_ENTRY_H

#include "postgres.h"

#include "goldenarch/compat.h"

extern GA_EXPORT int ga_bridge_abi(void);
extern GA_EXPORT void ga_bridge_ingest_run(void) GA_NORETURN;
extern GA_EXPORT void ga_bridge_mirror_run(void) GA_NORETURN;
extern GA_EXPORT void ga_bridge_relay_run(void) GA_NORETURN;

#endif
