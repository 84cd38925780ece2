/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The configuration file as checked data. Pure: reads one file, touches nothing
 * else. What a key means stands in Documentation/man/waymark.yaml.5.
 */
#ifndef WM_CONFIG_H
#define WM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "err.h"
#include "queueset.h"

enum wm_mode { WM_MODE_AUTO, WM_MODE_NATIVE, WM_MODE_GENERIC };
enum wm_backend {
	WM_BACKEND_AUTO,
	WM_BACKEND_NONE,
	WM_BACKEND_SIM,
	WM_BACKEND_FLOWER,
	WM_BACKEND_NTUPLE,
};
enum wm_hash { WM_HASH_MAGLEV /* Katran's V2 */, WM_HASH_MAGLEV_V1 };

struct wm_config_real {
	struct wm_addr address; /* of family WM_LOCAL: the local consumer */
	uint32_t weight; /* 0: keeps its flows, gets no new ones */
	int line;        /* in the file */
	bool named;      /* a key said who it is, right or wrong */
};

struct wm_config_vip {
	char *name; /* unique; made from address, port and protocol if not given */
	struct wm_addr address;
	__be16 port; /* 0: every port */
	uint8_t proto;
	enum wm_hash hash;
	bool offload; /* flows may be promoted */
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

struct wm_config {
	char **interfaces;
	struct wm_queueset *queues; /* of each interface: those to serve; empty: every queue */
	size_t n_interfaces;
	enum wm_mode mode;
	char *pin;     /* directory below a bpf file system; %i: first interface */
	char *control; /* path of the control socket; %i likewise */

	bool gateway_auto;
	uint8_t gateway_mac[6]; /* unless gateway_auto */
	struct wm_addr source4, source6; /* prefixes /16 and /96 of the outer source */
	bool trust_marks;
	uint32_t ring_seed_v4, ring_seed_v6;

	struct {
		enum wm_backend backend;
		uint32_t promote_after;       /* packets; 0 never */
		uint32_t max_rules;
		uint32_t installs_per_second;
		uint64_t idle_ns;             /* a rule without packets for so long goes */
		char *sim_pin;                /* where the software NIC pinned its maps */
	} offload;

	uint64_t flows;       /* capacity of the flow table */
	uint64_t udp_idle_ns;
	uint32_t max_vips, max_dests; /* what the maps are sized for; 0: by what is configured */

	struct wm_config_local *locals; /* by their number */
	size_t n_locals;

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
void wm_config__free(struct wm_config *config);

/* Write the canonical form: every key that this version acts on, with its
 * value. Read again it gives the same configuration. */
void wm_config__print(const struct wm_config *config, FILE *out);
/* The same keys and values; where they stood in a file does not count. */
bool wm_config__equal(const struct wm_config *a, const struct wm_config *b);
/* The same under `local`. */
bool wm_config__same_local(const struct wm_config *a, const struct wm_config *b);

#endif
