# Build rules. FLAVOUR=release is what users install; FLAVOUR=debug adds assertions and the named
# debug points that the tests drive. The layers of the design are enforced by the -iquote paths.
FLAVOUR    ?= release
PG_CONFIG  ?= /usr/lib/postgresql/15/bin/pg_config
CC         ?= gcc
B          := build/$(FLAVOUR)
VERSION    := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" goldenarch.control)
PG_INCLUDE := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)
PG_LIBDIR  := $(shell $(PG_CONFIG) --pkglibdir 2>/dev/null)
PG_SHARE   := $(shell $(PG_CONFIG) --sharedir 2>/dev/null)
DESTDIR    ?=
PREFIX     ?= /usr/local

WARN       := -Wall -Wextra -Werror -Wmissing-prototypes -Wpointer-arith -Wvla -Wdeclaration-after-statement
DEFINES    := -DGOLDENARCH_VERSION='"$(VERSION)"'
FLAGS      := -std=gnu11 -O2 -g -fPIC -fvisibility=hidden $(WARN) $(DEFINES)
ifeq ($(FLAVOUR),debug)
FLAGS      += -DGA_DEBUG -DUSE_ASSERT_CHECKING
endif
SERVER     := -D_GNU_SOURCE -isystem $(PG_INCLUDE) '-DPGDLLEXPORT=__attribute__((visibility("default")))'

CORE_INC   := -iquote extension/core
EXT_INC    := -iquote extension -iquote extension/include $(CORE_INC) $(SERVER)
WORKER_INC := -iquote bgworkers -iquote extension/include $(CORE_INC) $(SERVER)
BRIDGE_INC := -iquote bgworkers/bridge $(WORKER_INC)
VERIFY_INC := -iquote tools/verify $(CORE_INC) -D_GNU_SOURCE -isystem $(shell $(PG_CONFIG) --includedir 2>/dev/null)
EXEC_INC   := -iquote executor $(CORE_INC) -isystem $(shell $(PG_CONFIG) --includedir 2>/dev/null)
TEST_INC   := -iquote test/unit $(CORE_INC) -isystem $(shell $(PG_CONFIG) --includedir 2>/dev/null)

CORE_SRC   := $(wildcard extension/core/*.c)
EXT_SRC    := $(wildcard extension/*.c)
WORKER_SRC := $(wildcard bgworkers/*.c)
BRIDGE_SRC := $(wildcard bgworkers/bridge/*.c)
EXEC_SRC   := $(wildcard executor/*.c)
VERIFY_SRC := $(wildcard tools/verify/*.c)
obj         = $(patsubst %.c,$(B)/%.o,$(1))

EXT_SO     := $(B)/goldenarch.so
BRIDGE_SO  := $(if $(BRIDGE_SRC),$(B)/goldenarch_bridge.so)
EXECUTOR   := $(if $(EXEC_SRC),$(B)/goldenarch-executor $(B)/sbx-init)
VERIFY     := $(B)/goldenarch-verify
SCRIPT     := $(B)/goldenarch--$(VERSION).sql
DELTA      ?= sql/delta
UPDATES    := $(patsubst $(DELTA)/%.sql,$(B)/goldenarch--%.sql,$(wildcard $(DELTA)/*.sql))

.PHONY: all install clean
all: $(EXT_SO) $(BRIDGE_SO) $(EXECUTOR) $(VERIFY) $(SCRIPT) $(UPDATES) ## build everything (FLAVOUR=release|debug)

$(B)/extension/core/%.o: extension/core/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CORE_INC) -MMD -MP -c $< -o $@
$(B)/extension/%.o: extension/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(EXT_INC) -MMD -MP -c $< -o $@
$(B)/bgworkers/bridge/%.o: bgworkers/bridge/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(BRIDGE_INC) -MMD -MP -c $< -o $@
$(B)/bgworkers/%.o: bgworkers/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(WORKER_INC) -MMD -MP -c $< -o $@
$(B)/executor/%.o: executor/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(EXEC_INC) -MMD -MP -c $< -o $@

$(B)/tools/verify/%.o: tools/verify/%.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(VERIFY_INC) -MMD -MP -c $< -o $@

LINK_SO     = $(CC) -shared -Wl,-z,relro,-z,now -Wl,--as-needed
$(EXT_SO): $(call obj,$(EXT_SRC) $(CORE_SRC) $(WORKER_SRC))
	$(LINK_SO) -o $@ $^ -lcrypto -lpcre2-8
$(B)/goldenarch_bridge.so: $(call obj,$(BRIDGE_SRC) $(CORE_SRC))
	$(LINK_SO) -o $@ $^ -lnats -lhiredis -lcrypto
$(B)/goldenarch-executor: $(call obj,$(EXEC_SRC) $(CORE_SRC))
	$(CC) -pie -Wl,-z,relro,-z,now -Wl,--as-needed -o $@ $^ -lpq -ljansson -lcrypto
$(VERIFY): $(call obj,$(VERIFY_SRC) $(CORE_SRC))
	$(CC) -pie -Wl,-z,relro,-z,now -Wl,--as-needed -o $@ $^ -ljansson -lcrypto -ldl
$(B)/sbx-init: executor/init/sbx-init.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -static $(WARN) -o $@ $<

# Install script: ground functions (0*), then tables (one-time DDL), then every other function, with
# OR REPLACE taken out so that nobody can plant an object beforehand, then the finish.
GROUND_SQL := $(sort $(wildcard sql/functions/0*.sql))
TABLE_SQL  := $(sort $(wildcard sql/tables/*.sql))
FUNC_SQL   := $(sort $(filter-out $(GROUND_SQL),$(wildcard sql/functions/*.sql)))
$(SCRIPT): sql/header.sql $(GROUND_SQL) $(TABLE_SQL) $(FUNC_SQL) sql/finish.sql goldenarch.control
	@mkdir -p $(@D)
	{ cat sql/header.sql; \
	  sed 's/^CREATE OR REPLACE /CREATE /' $(GROUND_SQL) $(TABLE_SQL) $(FUNC_SQL); \
	  cat sql/finish.sql; } > $@

# Update script A--B: the delta (DDL and rows through upgrade_step) and then the same functions.
$(UPDATES): $(B)/goldenarch--%.sql: $(DELTA)/%.sql sql/update_header.sql $(GROUND_SQL) $(FUNC_SQL) sql/update_finish.sql
	@mkdir -p $(@D)
	cat sql/update_header.sql $(GROUND_SQL) $< $(FUNC_SQL) sql/update_finish.sql > $@

install: all ## into the server that PG_CONFIG names, and the executor below PREFIX
	install -d $(DESTDIR)$(PG_LIBDIR) $(DESTDIR)$(PG_SHARE)/extension
	install -m 755 $(EXT_SO) $(BRIDGE_SO) $(DESTDIR)$(PG_LIBDIR)/
	install -m 644 goldenarch.control $(SCRIPT) $(UPDATES) $(DESTDIR)$(PG_SHARE)/extension/
ifeq ($(FLAVOUR),release)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/goldenarch
	install -m 755 $(EXECUTOR) $(DESTDIR)$(PREFIX)/lib/goldenarch/
	ln -sf ../lib/goldenarch/goldenarch-executor $(DESTDIR)$(PREFIX)/bin/goldenarch-executor
	install -m 755 $(VERIFY) $(DESTDIR)$(PREFIX)/bin/
endif

clean: ## remove what was built
	rm -rf build META.json

# Unit tests: the core alone, with the address and undefined-behaviour sanitizers, one program a module.
UNIT_SRC   := $(wildcard test/unit/*.c)
UNIT_BIN   := $(patsubst test/unit/%.c,build/unit/%,$(UNIT_SRC))
UNIT_FLAGS := -std=gnu11 -O1 -g $(WARN) -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_CORE  := $(patsubst extension/core/%.c,build/unit/core/%.o,$(CORE_SRC))

.PHONY: check-unit
build/unit/core/%.o: extension/core/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) $(CORE_INC) -MMD -MP -c $< -o $@
build/unit/libcore.a: $(UNIT_CORE)
	rm -f $@; ar rcs $@ $^
# The verifier's check, with the tests that forge exports: hostile files are what it reads.
UNIT_CHECK := $(patsubst tools/verify/%.c,build/unit/verify/%.o,$(filter-out %/main.c %/export.c %/pq.c,$(VERIFY_SRC)))
build/unit/verify/%.o: tools/verify/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) $(VERIFY_INC) -MMD -MP -c $< -o $@
build/unit/forge.o: test/unit/export/forge.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) $(VERIFY_INC) -MMD -MP -c $< -o $@
build/unit/export_check: test/unit/export_check.c build/unit/forge.o $(UNIT_CHECK) build/unit/libcore.a
	$(CC) $(UNIT_FLAGS) $(VERIFY_INC) -iquote test/unit -iquote test/unit/export -MMD -MP $< -o $@ \
	  build/unit/forge.o $(UNIT_CHECK) build/unit/libcore.a -ljansson -lcrypto
build/unit/%: test/unit/%.c build/unit/libcore.a
	$(CC) $(UNIT_FLAGS) $(CORE_INC) -iquote test/unit -MMD -MP $< -o $@ build/unit/libcore.a -lcrypto
check-unit: $(UNIT_BIN) ## unit tests of extension/core under the sanitizers
	@status=0; for t in $(UNIT_BIN); do $$t || status=1; done; exit $$status

-include $(shell find build/unit -name '*.d' 2>/dev/null)
-include $(shell find build/$(FLAVOUR) -name '*.d' 2>/dev/null)
