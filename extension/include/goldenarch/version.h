/* SPDX-License-Identifier: PostgreSQL */
/*
 * The number both shared libraries compare before they talk to each other. Raise it whenever a
 * struct or function of include/goldenarch/ changes: after a package upgrade without a restart a
 * new goldenarch_bridge.so meets the old, preloaded goldenarch.so.
 */
#ifndef GOLDENARCH_VERSION_H
#define GOLDENARCH_VERSION_H

#define GA_ABI 1

#ifndef GOLDENARCH_VERSION
#define GOLDENARCH_VERSION "unknown"
#endif

#endif
