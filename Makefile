# SPDX-License-Identifier: GPL-2.0
# waymark. `make help` lists the targets. Products go to build/, nothing else is written.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
BUILD := build
V ?= 0

# clang for the BPF side: 19 where present, else the newest that there is.
CLANG ?= $(shell scripts/deps --clang)
LLVM_STRIP ?= $(patsubst %clang,%llvm-strip,$(subst clang-,llvm-strip-,$(CLANG)))
CC ?= cc
PKG_CONFIG ?= pkg-config

ifeq ($(V),0)
  say = @printf '  %-5s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$@)';
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla $(if $(CI),-Werror)
# Debian's multiarch headers; clang -target bpf does not look there by itself.
TRIPLET := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter $(if $(CI),-Werror) \
	-Iinclude -Ibpf $(if $(TRIPLET),-idirafter /usr/include/$(TRIPLET))

PACKAGES := libbpf libxdp libmnl libsystemd jansson smartcols yaml-0.1
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lpthread
# What `waymark size` needs, and the daemon does not.
SIZE_LIBS := $(shell $(PKG_CONFIG) --libs libpcap) -lm
OPT ?= -O2
# The header ABI is shared with the BPF side: no aliasing surprises on mapped memory.
USER_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(OPT) -g -fno-strict-aliasing $(WARN) -Iinclude $(LIB_CFLAGS) \
	-DWM_VERSION='"$(VERSION)"' $(CFLAGS)

# Rooms and what each may include (user/<room>): arrows go one way.
ROOMS := lib core dataplane offload size afxdp daemon cli
INC_lib := lib
INC_core := lib core
INC_dataplane := lib dataplane
INC_offload := lib offload
INC_size := lib core offload size
INC_afxdp := lib afxdp
INC_daemon := lib core dataplane offload afxdp daemon
INC_cli := lib core dataplane size afxdp cli

objects = $(patsubst user/%.c,$(BUILD)/user/%.o,$(sort $(wildcard user/$(1)/*.c)))
archive = $(BUILD)/user/lib$(1).a
ARCHIVES_daemon := $(foreach r,offload dataplane afxdp core lib,$(call archive,$(r)))
ARCHIVES_cli := $(foreach r,dataplane size offload afxdp core lib,$(call archive,$(r)))

BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(BUILD)/%.bpf.o,$(wildcard bpf/*.bpf.c))
PROGRAMS := $(BUILD)/waymarkd $(BUILD)/waymark
# Not installed: to be read, and used by tests.
EXAMPLES := $(patsubst Documentation/examples/%.c,$(BUILD)/examples/%,$(wildcard Documentation/examples/*.c))

.PHONY: all bpf user tests man check demo test bench bench-build install clean help
all: bpf user man

help:
	@echo 'make             everything into build/'
	@echo 'make test        build and run every test that this machine can run (root)'
	@echo 'make demo        a load balancer with clients and reals in network namespaces (root)'
	@echo 'make bench       measure the data plane; build/bench.json (root)'
	@echo 'make check       linters'
	@echo 'make install     DESTDIR= PREFIX=/usr/local'
	@echo 'make clean'
	@echo 'V=1 shows commands, CI=1 makes warnings errors'

bpf: $(BPF_OBJECTS)
user: $(PROGRAMS) $(EXAMPLES)

$(BUILD)/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF) $(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@.tmp && \
		$(LLVM_STRIP) -g $@.tmp && mv $@.tmp $@

# The daemon and the CLI carry the BPF objects: no path to look for at run time.
$(BUILD)/user/dataplane/objects.o: $(BPF_OBJECTS)

define ROOM
$(BUILD)/user/$(1)/%.o: user/$(1)/%.c
	@mkdir -p $$(@D)
	$$(call say,CC) $$(CC) $$(USER_CFLAGS) $$(foreach r,$$(INC_$(1)),-Iuser/$$(r)) \
		-DWM_BPF_DIR='"$$(BUILD)"' -MMD -MP -c $$< -o $$@
$(call archive,$(1)): $(call objects,$(1))
	$$(call say,AR) rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call ROOM,$(r))))

$(BUILD)/waymarkd: $(call objects,daemon) $(ARCHIVES_daemon)
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/waymark: $(call objects,cli) $(ARCHIVES_cli)
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(SIZE_LIBS)

$(BUILD)/examples/%: Documentation/examples/%.c $(call archive,afxdp) $(call archive,lib)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(USER_CFLAGS) -Iuser/lib -Iuser/afxdp -MMD -MP -MF $@.d -o $@ $< \
		$(filter %.a,$^) $(LIBS)

# Unit and packet tests: one program a file, against cmocka; each room's own includes.
TEST_SOURCES := $(sort $(wildcard selftests/unit/*.c selftests/prog/*.c))
TESTS := $(patsubst selftests/%.c,$(BUILD)/selftests/%,$(TEST_SOURCES))
TEST_LIB := $(sort $(wildcard selftests/lib/*.c))
tests: $(TESTS) bpf
$(TESTS): $(BUILD)/selftests/%: selftests/%.c $(TEST_LIB) $(call archive,size) $(ARCHIVES_daemon)
	@mkdir -p $(@D)
	$(call say,TEST) $(CC) $(USER_CFLAGS) -Wno-missing-prototypes -DWM_BUILD='"$(abspath $(BUILD))"' \
		-DWM_SELFTESTS='"$(abspath selftests)"' \
		$(foreach r,lib core dataplane offload size afxdp,-Iuser/$(r)) -Iselftests/lib -MMD -MP -MF $@.d \
		-o $@ $< $(TEST_LIB) $(call archive,size) $(ARCHIVES_daemon) -lcmocka $(LIBS) $(SIZE_LIBS)

# Benchmarks: the real program inside a driver's loop.
BENCH := $(BUILD)/selftests/bench/bench
bench-build: $(BENCH)
$(BUILD)/selftests/bench/bench.bpf.o: selftests/bench/bench.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF) $(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(BENCH): $(sort $(wildcard selftests/bench/*.c)) $(TEST_LIB) $(call archive,daemon) $(ARCHIVES_daemon) \
		$(BUILD)/selftests/bench/bench.bpf.o $(BUILD)/waymarkd
	$(call say,LINK) $(CC) $(USER_CFLAGS) -Wno-missing-prototypes -DWM_BUILD='"$(abspath $(BUILD))"' \
		$(foreach r,lib core dataplane offload daemon,-Iuser/$(r)) -Iselftests/lib -Iselftests/bench -MMD -MP -MF $@.d \
		-o $@ $(filter-out %.bpf.c,$(filter selftests/bench/%.c,$^)) selftests/lib/packet.c \
		$(call archive,daemon) $(ARCHIVES_daemon) -lm $(LIBS)
bench: bench-build
	$(BENCH) --json $(BUILD)/bench.json
	selftests/bench/plot $(BUILD)/bench.json $(BUILD)/bench.svg

# Man pages of commands come from the CLI's own table; the others are written.
man: $(BUILD)/man/waymark.8 $(BUILD)/waymark.bash
$(BUILD)/man/waymark.8: $(BUILD)/waymark
	@mkdir -p $(@D)
	$(call say,MAN) $< help --man > $@.tmp && mv $@.tmp $@
$(BUILD)/waymark.bash: $(BUILD)/waymark
	$(call say,COMP) $< help --completion > $@.tmp && mv $@.tmp $@

check:
	scripts/check
demo:
	scripts/demo
test:
	scripts/test

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/waymark $(DESTDIR)$(PREFIX)/include/waymark \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(BPF_OBJECTS) $(DESTDIR)$(PREFIX)/lib/waymark
	install -m 644 include/waymark/*.h $(DESTDIR)$(PREFIX)/include/waymark
	install -m 644 $(BUILD)/man/waymark.8 $(wildcard Documentation/man/*.8) $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 $(wildcard Documentation/man/*.5) $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(BUILD)/waymark.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/waymark

clean:
	rm -rf $(BUILD)

-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
