/* SPDX-License-Identifier: PostgreSQL */
/* Registration of the static workers, called once by _PG_init while preloading. */
#ifndef LAUNCH_H
#define LAUNCH_H

extern void ga_register_static_workers(void);

#endif
