/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The configuration file as checked data. It reads one file and
 * touches nothing else. What a key means stands in Documentation/man/waymark.yaml.5.
 */
#ifndef WM_CONFIG_H
#define WM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "err.h"
#include "healthcheck.h"
#include "queueset.h"
#include "xdpmode.h"

/* A program that somebody took off: attach it again? */
enum wm_attach { WM_ATTACH_KEEP, WM_ATTACH_ONCE };
enum wm_backend {
	WM_BACKEND_AUTO,
	WM_BACKEND_NONE,
	WM_BACKEND_SIM,
	WM_BACKEND_FLOWER,
	WM_BACKEND_NTUPLE,
};
/* How the file spells them, by value; NULL at the end. */
extern const char *const wm_backend_words[];
/* How marks come from the NIC to the program. */
enum wm_lane { WM_LANE_AUTO, WM_LANE_KFUNC, WM_LANE_MAC, WM_LANE_META };
extern const char *const wm_lane_words[];

/* How the program tells the daemon of flows. */
enum wm_events_by { WM_EVENTS_RING, WM_EVENTS_PERF };
extern const char *const wm_events_words[];
enum wm_hash { WM_HASH_MAGLEV /* Katran's V2 */, WM_HASH_MAGLEV_V1 };

struct wm_config_real {
	struct wm_addr address; /* of family WM_LOCAL: the local consumer */
	uint32_t weight; /* 0: keeps its flows, gets no new ones */
	int line;        /* in the file */
	bool named;      /* a key said who it is, right or wrong */
	bool away;       /* not by the file: nothing can be sent to it now */
	bool drained;    /* not by the file: it keeps its flows, and gets no new ones */
};

struct wm_config_vip {
	char *name; /* unique; made from address, port and protocol if not given */
	struct wm_addr address;
	__be16 port; /* 0: every port */
	uint8_t proto;
	enum wm_hash hash;
	bool offload; /* flows may be promoted */
	struct wm_check check; /* of each of its reals that has an address */
	struct wm_config_real *reals;
	size_t n_reals;
	int line;
};

/* May a local consumer get packets without copies? */
enum wm_zero_copy { WM_ZERO_COPY_NEVER, WM_ZERO_COPY_AUTO, WM_ZERO_COPY_ALWAYS };

/* A process on this machine that is a real. */
struct wm_config_local {
	char *name;
	char *socket;   /* where it gets its sockets; %i: first interface */
	uint32_t mode;  /* of that file */
	char *group;    /* that file's; NULL: ours */
	uint32_t ring;  /* entries of a queue's RX ring */
	enum wm_zero_copy zero_copy;
};

/* Where the metrics are served; port 0: nowhere. */
struct wm_config_metrics {
	struct wm_addr address;
	__be16 port;
};

struct wm_config {
	char **interfaces;
	struct wm_queueset *queues; /* of each interface: those to serve; empty: every queue */
	size_t n_interfaces;
	enum wm_xdp_mode mode;
	enum wm_attach attach;
	char *pin;     /* directory below a bpf file system; %i: first interface */
	char *control; /* path of the control socket; %i likewise */
	char *state;   /* of the file of what people said of reals; %i likewise */

	bool gateway_auto;
	uint8_t gateway_mac[6]; /* unless gateway_auto */
	struct wm_addr source4, source6; /* prefixes /16 and /96 of the outer source */
	bool trust_marks;
	bool copy_df; /* DF and identification of the inner header, in the outer IPv4 header */
	uint32_t ring_seed_v4, ring_seed_v6;
	uint32_t max_removal; /* percent of the vips, or reals, that a reload may remove */

	struct {
		enum wm_backend backend;
		enum wm_lane lane;
		enum wm_events_by events;
		uint32_t promote_after;       /* packets; 0 never */
		uint32_t max_rules;
		uint32_t installs_per_second;
		uint64_t idle_ns;             /* a rule without packets for so long goes */
		char *sim_pin;                /* where the softnic pinned its maps */
	} offload;

	uint64_t flows;       /* capacity of the flow table */
	uint64_t udp_idle_ns;
	uint32_t max_vips, max_dests; /* what the maps are sized for; 0: by what is configured */

	struct wm_config_local *locals; /* by their number */
	size_t n_locals;

	struct wm_config_metrics metrics;

	struct wm_config_vip *vips;
	size_t n_vips;
};

/*
 * Read and check `path`. All errors are found in one run: each is one line
 * "file:line:column: what is wrong, what was expected" in err->text as far as
 * they fit (the last line then says how many more). Returns 0 and a
 * configuration that the caller frees with wm_config__free(); -EINVAL for a
 * configuration with errors, or the errno of reading. On failure *out is NULL.
 * Warnings (keys that this version accepts but does not act on) go to `warn`
 * one by one, if it is not NULL.
 */
int wm_config__load(const char *path, struct wm_config **out, struct wm_err *err,
		    void (*warn)(const char *text, void *arg), void *arg);
/* The same from memory; `name` stands for the file in messages. */
int wm_config__parse(const char *name, const char *text, size_t len, struct wm_config **out,
		     struct wm_err *err, void (*warn)(const char *text, void *arg), void *arg);
/* A path of the file, with %i replaced by the first interface. NULL: no memory. */
char *wm_config__path(const struct wm_config *config, const char *template);
void wm_config__free(struct wm_config *config);

/* Write the canonical form: every key that this version acts on, with its
 * value. Read again it gives the same configuration. */
void wm_config__print(const struct wm_config *config, FILE *out);
/* The same keys and values; where they stood in a file does not count. */
bool wm_config__equal(const struct wm_config *a, const struct wm_config *b);
/* Which keys differ, "vips" left out: "offload: idle, flow-table: udp-idle". "": none. */
void wm_config__differences(const struct wm_config *a, const struct wm_config *b, char *text,
			    size_t size);
/* Whether a daemon that runs with `now` can go on with `next` without a restart: 0, or
 * -EINVAL with the first key that cannot change and what to do; `file` is where `next` stands. */
int wm_config__may_follow(const struct wm_config *next, const struct wm_config *now,
			  const char *file, struct wm_err *err);

#endif
