# SPDX-License-Identifier: GPL-2.0
# waymark. `make help` lists the targets. Products go to build/, nothing else is written.

VERSION := 0.1.0
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
BUILD := build
# One spelling, whoever calls: files of dependencies name what was built by it.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
BPF := bpf
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
	-Iinclude -I$(BPF) $(if $(TRIPLET),-idirafter /usr/include/$(TRIPLET))

PACKAGES := libbpf libxdp libmnl libsystemd jansson smartcols yaml-0.1
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lpthread
# What waymark-size needs, and nothing else does. Without it that program is not built.
HAS_PCAP := $(shell $(PKG_CONFIG) --exists libpcap && echo yes)
# What waymark-metrics needs, and nothing else does.
METRICS_LIBS := $(shell $(PKG_CONFIG) --libs libmicrohttpd)
SIZE_LIBS := $(if $(HAS_PCAP),$(shell $(PKG_CONFIG) --libs libpcap)) -lm
# What waymark-health needs, and nothing else does.
HEALTH_LIBS := $(shell $(PKG_CONFIG) --libs libcurl)
OPT ?= -O2
# The header ABI is shared with the BPF side: no aliasing surprises on mapped memory.
USER_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(OPT) -g -fno-strict-aliasing $(WARN) -Iinclude $(LIB_CFLAGS) \
	-DWM_VERSION='"$(VERSION)"' $(CFLAGS)

# Directories of user/ and what each may include: arrows go one way. Documentation/overview.md has the
# same table, unit/test_arrows compares them.
DAEMON_DIRS := daemon/replies daemon/lifecycle daemon/metrics daemon/reload daemon/health daemon/network \
	daemon/local daemon/nic daemon/control daemon/base
DIRS := lib core dataplane offload size afxdp health metrics $(DAEMON_DIRS) daemon cli sizecli
INC_lib := lib
INC_core := lib core
INC_dataplane := lib dataplane
INC_offload := lib offload
INC_size := lib offload size
INC_afxdp := lib afxdp
INC_health := lib core health
INC_metrics := lib metrics
INC_daemon/base := lib core dataplane daemon/base
INC_daemon/control := lib dataplane daemon/base daemon/control
INC_daemon/nic := lib core dataplane offload daemon/base daemon/nic
INC_daemon/local := lib core dataplane afxdp daemon/base daemon/control daemon/local
INC_daemon/health := lib core dataplane health daemon/base daemon/health
INC_daemon/network := lib core dataplane offload daemon/base daemon/nic daemon/local daemon/network
INC_daemon/reload := lib core dataplane offload daemon/base daemon/nic daemon/local daemon/network \
	daemon/health daemon/reload
INC_daemon/metrics := lib core dataplane offload metrics daemon/base daemon/control daemon/nic daemon/metrics
INC_daemon/lifecycle := lib core dataplane offload daemon/base daemon/control daemon/nic daemon/local \
	daemon/network daemon/health daemon/reload daemon/metrics daemon/lifecycle
INC_daemon/replies := lib core dataplane offload $(DAEMON_DIRS)
INC_daemon := lib core dataplane offload $(DAEMON_DIRS) daemon
INC_cli := lib core dataplane offload size afxdp cli
INC_sizecli := lib core size cli sizecli

objects = $(patsubst user/%.c,$(BUILD)/user/%.o,$(sort $(wildcard user/$(1)/*.c)))
archive = $(BUILD)/user/lib$(subst /,-,$(1)).a
ARCHIVES_daemon := $(foreach r,health offload dataplane afxdp core lib,$(call archive,$(r)))
# The daemon but for main.c, from the top down.
ARCHIVES_parts := $(foreach r,$(DAEMON_DIRS),$(call archive,$(r)))
ARCHIVES_cli := $(foreach r,offload dataplane afxdp core lib,$(call archive,$(r)))
ARCHIVES_sizecli := $(foreach r,cli size offload core lib,$(call archive,$(r)))

BPF_OBJECTS := $(patsubst $(BPF)/%.bpf.c,$(BUILD)/%.bpf.o,$(wildcard $(BPF)/*.bpf.c))
PROGRAMS := $(BUILD)/waymarkd $(BUILD)/waymark-health $(BUILD)/waymark-metrics $(BUILD)/waymark \
	$(if $(HAS_PCAP),$(BUILD)/waymark-size)
# Not installed: to be read, and used by tests.
EXAMPLES := $(patsubst Documentation/examples/%.c,$(BUILD)/examples/%,$(wildcard Documentation/examples/*.c))

.PHONY: all bpf user tests unit-tests sanitized fuzz man check demo test bench bench-build install uninstall clean help
all: bpf user man

help:
	@echo 'make             everything into build/'
	@echo 'make test        build and run every test that this machine can run (root)'
	@echo 'make fuzz        fuzz targets into build/fuzz/ (clang and its libFuzzer)'
	@echo 'make demo        a load balancer with clients and reals in network namespaces (root)'
	@echo 'make bench       measure the data plane; build/bench.json (root)'
	@echo 'make check       linters'
	@echo 'make install     DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc; uninstall takes it away'
	@echo 'make clean'
	@echo 'V=1 shows commands, CI=1 makes warnings errors'

bpf: $(BPF_OBJECTS)
user: $(PROGRAMS) $(EXAMPLES)

$(BUILD)/%.bpf.o: $(BPF)/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF) $(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@.tmp && \
		$(LLVM_STRIP) -g $@.tmp && mv $@.tmp $@

# The daemon and the CLI carry the BPF objects: no path to look for at run time.
$(BUILD)/user/dataplane/objects.o: $(BPF_OBJECTS)

define DIR
$(BUILD)/user/$(1)/%.o: user/$(1)/%.c
	@mkdir -p $$(@D)
	$$(call say,CC) $$(CC) $$(USER_CFLAGS) $$(foreach r,$$(INC_$(1)),-Iuser/$$(r)) \
		-DWM_BPF_DIR='"$$(BUILD)"' -MMD -MP -c $$< -o $$@
$(call archive,$(1)): $(call objects,$(1))
	$$(call say,AR) rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(DIRS),$(eval $(call DIR,$(r))))

$(BUILD)/waymarkd: $(call objects,daemon) $(ARCHIVES_parts) $(ARCHIVES_daemon)
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/waymark-health: $(call objects,health) $(call archive,core) $(call archive,lib)
	$(call say,LINK) $(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS) $(HEALTH_LIBS)
$(BUILD)/waymark: $(call objects,cli) $(ARCHIVES_cli)
	$(call say,LINK) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/waymark-size: $(call objects,sizecli) $(ARCHIVES_sizecli)
	$(call say,LINK) $(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS) $(SIZE_LIBS)
$(BUILD)/waymark-metrics: $(call objects,metrics) $(call archive,lib)
	$(call say,LINK) $(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS) $(METRICS_LIBS)

$(BUILD)/examples/%: Documentation/examples/%.c $(call archive,afxdp) $(call archive,lib)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(USER_CFLAGS) -Iuser/lib -Iuser/afxdp -MMD -MP -MF $@.d -o $@ $< \
		$(filter %.a,$^) $(LIBS)

# Unit and packet tests: one program per file, against cmocka; each directory's own includes.
TEST_SOURCES := $(sort $(wildcard selftests/unit/*.c selftests/prog/*.c))
TESTS := $(patsubst selftests/%.c,$(BUILD)/selftests/%,$(TEST_SOURCES))
TEST_LIB := $(sort $(wildcard selftests/lib/*.c))
UNIT_TESTS := $(filter $(BUILD)/selftests/unit/%,$(TESTS))
unit-tests: $(UNIT_TESTS)
tests: $(filter-out $(UNIT_TESTS),$(TESTS)) sanitized bpf
# Unit tests, and what they test, once more with sanitizers: these are the ones that are run.
sanitized:
	@+$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized OPT=-O1 \
		CFLAGS='$(CFLAGS) -fno-omit-frame-pointer -fsanitize=address,undefined' unit-tests
# What is tested together with the daemon's own parts, and with a clock that the test moves.
WITH_DAEMON := $(addprefix $(BUILD)/selftests/,prog/test_one_real unit/test_listen unit/test_nic \
	unit/test_queuewatch)
$(WITH_DAEMON): $(ARCHIVES_parts)
$(WITH_DAEMON): TEST_DAEMON := $(addprefix -Iuser/,$(DAEMON_DIRS)) -Wl,--wrap=wm_now_ns $(ARCHIVES_parts)
# The table of requests, and both who go by it.
$(BUILD)/selftests/unit/test_protocol: $(ARCHIVES_parts) $(call archive,cli)
$(BUILD)/selftests/unit/test_protocol: TEST_DAEMON := $(addprefix -Iuser/,$(DAEMON_DIRS) cli) $(ARCHIVES_parts) \
	$(call archive,cli)
$(BUILD)/selftests/unit/test_queuewatch: TEST_DAEMON += -Wl,--wrap=wm_queues__open,--wrap=wm_queues__listen
# With waymark-metrics' own parts, and with memory whose requests are counted.
WITH_METRICS := $(BUILD)/selftests/unit/test_exposition
$(WITH_METRICS): $(call archive,metrics)
$(WITH_METRICS): TEST_DAEMON := -Iuser/metrics -Wl,--wrap=realloc,--wrap=calloc $(call archive,metrics) \
	$(METRICS_LIBS)
$(TESTS): $(BUILD)/selftests/%: selftests/%.c $(TEST_LIB) $(call archive,size) $(ARCHIVES_daemon)
	@mkdir -p $(@D)
	$(call say,TEST) $(CC) $(USER_CFLAGS) -Wno-missing-prototypes -DWM_BUILD='"$(abspath $(BUILD))"' \
		-DWM_SELFTESTS='"$(abspath selftests)"' \
		$(foreach r,lib core dataplane offload size afxdp health,-Iuser/$(r)) -Iselftests/lib -MMD -MP -MF $@.d \
		-o $@ $< $(TEST_LIB) $(TEST_DAEMON) $(call archive,size) $(ARCHIVES_daemon) -lcmocka $(LIBS) $(SIZE_LIBS)

# Fuzz targets: one program per file, with libFuzzer's main(), against the directories below the daemon,
# which are built once more with sanitizers.
FUZZ := $(patsubst selftests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard selftests/fuzz/*.c)))
FUZZ_DIRS := size offload afxdp core lib
FUZZ_CFLAGS := $(filter-out -O%,$(USER_CFLAGS)) -Wno-gnu -O1 -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_ARCHIVES := $(foreach r,$(FUZZ_DIRS),$(BUILD)/fuzz/lib$(r).a)
# A clang without libFuzzer: said once, and by the group of tests.
HAS_FUZZER := $(wildcard $(shell $(CLANG) -print-resource-dir 2>/dev/null)/lib/linux/libclang_rt.fuzzer-*.a)
ifneq ($(HAS_FUZZER),)
fuzz: $(FUZZ)
	@rm -f $(BUILD)/fuzz/none
else
fuzz:
	@mkdir -p $(BUILD)/fuzz && touch $(BUILD)/fuzz/none
	@echo '$(CLANG) has no libFuzzer here: no fuzz targets (scripts/deps test)'
endif
define FUZZ_DIR
$(BUILD)/fuzz/user/$(1)/%.o: user/$(1)/%.c
	@mkdir -p $$(@D)
	$$(call say,CC) $$(CLANG) $$(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link $$(foreach r,$$(INC_$(1)),-Iuser/$$(r)) \
		-MMD -MP -c $$< -o $$@
$(BUILD)/fuzz/lib$(1).a: $(patsubst $(BUILD)/user/%,$(BUILD)/fuzz/user/%,$(call objects,$(1)))
	$$(call say,AR) rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(FUZZ_DIRS) health,$(eval $(call FUZZ_DIR,$(r))))
# Of a program's directory, which has a main() of its own: the part that is meant.
$(BUILD)/fuzz/fuzz_wire: $(BUILD)/fuzz/user/health/wire.o
$(FUZZ): $(BUILD)/fuzz/%: selftests/fuzz/%.c $(FUZZ_ARCHIVES)
	$(call say,FUZZ) $(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer \
		$(foreach r,$(FUZZ_DIRS) health,-Iuser/$(r)) -Iselftests/fuzz -MMD -MP -MF $@.d -o $@ $< \
		$(filter %.o,$^) $(FUZZ_ARCHIVES) $(LIBS) $(SIZE_LIBS)

# Benchmarks: the real program inside a driver's loop.
BENCH := $(BUILD)/selftests/bench/bench
bench-build: $(BENCH)
$(BUILD)/selftests/bench/bench.bpf.o: selftests/bench/bench.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF) $(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
$(BENCH): $(sort $(wildcard selftests/bench/*.c)) $(TEST_LIB) $(ARCHIVES_parts) $(ARCHIVES_daemon) \
		$(BUILD)/selftests/bench/bench.bpf.o $(BUILD)/waymarkd
	$(call say,LINK) $(CC) $(USER_CFLAGS) -Wno-missing-prototypes -DWM_BUILD='"$(abspath $(BUILD))"' \
		$(addprefix -Iuser/,lib core dataplane offload $(DAEMON_DIRS)) -Iselftests/lib -Iselftests/bench -MMD -MP -MF $@.d \
		-o $@ $(filter-out %.bpf.c,$(filter selftests/bench/%.c,$^)) selftests/lib/packet.c \
		$(ARCHIVES_parts) $(ARCHIVES_daemon) -lm $(LIBS)
bench: bench-build
	@# What was measured is drawn, also where a case failed.
	@$(BENCH) --json $(BUILD)/bench.json; status=$$?; \
		selftests/bench/plot $(BUILD)/bench.json $(BUILD)/bench.svg && exit $$status

# Man pages of commands and of the control protocol come from their tables; the others are written.
man: $(BUILD)/man/waymark.8 $(BUILD)/man/waymark-protocol.7 $(BUILD)/waymark.bash
$(BUILD)/man/waymark.8: $(BUILD)/waymark
	@mkdir -p $(@D)
	$(call say,MAN) $< help --man > $@.tmp && mv $@.tmp $@
$(BUILD)/man/waymark-protocol.7: $(BUILD)/waymark
	@mkdir -p $(@D)
	$(call say,MAN) $< help --protocol > $@.tmp && mv $@.tmp $@
$(BUILD)/waymark.bash: $(BUILD)/waymark
	$(call say,COMP) $< help --completion > $@.tmp && mv $@.tmp $@

check:
	scripts/check
demo:
	scripts/demo
test:
	scripts/test

# What is installed, directory by directory: `uninstall` goes through the same list.
UNIT := $(BUILD)/waymarkd.service
INSTALL_sbin := $(PROGRAMS)
INSTALL_lib/waymark := $(BPF_OBJECTS)
INSTALL_lib/systemd/system := $(UNIT)
INSTALL_include/waymark := $(wildcard include/waymark/*.h)
INSTALL_share/man/man8 := $(BUILD)/man/waymark.8 $(wildcard Documentation/man/*.8)
INSTALL_share/man/man7 := $(BUILD)/man/waymark-protocol.7
INSTALL_share/man/man5 := $(wildcard Documentation/man/*.5)
INSTALL_share/doc/waymark := COPYING Documentation/examples/waymark.yaml
INSTALL_DIRS := sbin lib/waymark lib/systemd/system include/waymark share/man/man8 share/man/man7 \
	share/man/man5 share/doc/waymark
COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions/waymark
SAMPLE := $(DESTDIR)$(SYSCONFDIR)/waymark/waymark.yaml.sample

# Paths are those of the machine that it will run on, without DESTDIR. Written anew each time:
# PREFIX may be another one.
.PHONY: $(UNIT)
$(UNIT): Documentation/examples/waymarkd.service.in
	@mkdir -p $(@D)
	$(call say,UNIT) sed -e 's|@sbindir@|$(PREFIX)/sbin|g' -e 's|@sysconfdir@|$(SYSCONFDIR)|g' $< > $@

install: all $(UNIT)
	$(foreach d,$(INSTALL_DIRS),install -d $(DESTDIR)$(PREFIX)/$(d) && \
		install -m $(if $(filter sbin,$(d)),755,644) $(INSTALL_$(d)) $(DESTDIR)$(PREFIX)/$(d) &&) true
	install -d $(dir $(COMPLETION)) $(dir $(SAMPLE))
	install -m 644 $(BUILD)/waymark.bash $(COMPLETION)
	ln -sf waymark $(COMPLETION)-size
	install -m 644 Documentation/examples/waymark.yaml $(SAMPLE)
	@echo 'Now: write $(SYSCONFDIR)/waymark/waymark.yaml (there is a sample beside it), and'
	@echo '     systemctl daemon-reload && systemctl enable --now waymarkd'

# The configuration stays, and so does a program that runs (waymarkd(8), FILES).
uninstall:
	rm -f $(foreach d,$(INSTALL_DIRS),$(foreach f,$(INSTALL_$(d)),$(DESTDIR)$(PREFIX)/$(d)/$(notdir $(f)))) \
		$(COMPLETION) $(COMPLETION)-size $(SAMPLE)
	-rmdir $(addprefix $(DESTDIR)$(PREFIX)/,lib/waymark include/waymark share/doc/waymark) \
		$(DESTDIR)$(SYSCONFDIR)/waymark 2>/dev/null || true

clean:
	rm -rf $(BUILD)

-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
