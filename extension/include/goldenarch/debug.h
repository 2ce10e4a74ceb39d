/* SPDX-License-Identifier: PostgreSQL */
/*
 * Named points where tests make a session wait, fail or crash: GA_DEBUG_POINT("budget-before-row").
 * Compiled out of release builds. In debug builds goldenarch.debug_point (superuser) holds
 * "name=wait:KEY" (wait for the advisory lock KEY), "name=error", "name=crash" or "name=sleep:MS",
 * several separated by commas.
 */
#ifndef GOLDENARCH_DEBUG_H
#define GOLDENARCH_DEBUG_H

#ifdef GA_DEBUG
extern void ga_debug_point(const char *name);
#define GA_DEBUG_POINT(name) ga_debug_point(name)
#else
#define GA_DEBUG_POINT(name) ((void) 0)
#endif

#endif
