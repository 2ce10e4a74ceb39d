/* SPDX-License-Identifier: PostgreSQL */
/* Definition of the debug settings, in debug builds only. */
#ifndef DEBUG_POINT_H
#define DEBUG_POINT_H

#ifdef GA_DEBUG
extern int ga_debug_clock_offset; /* s */
extern void ga_debug_define(void);
#endif

#endif
