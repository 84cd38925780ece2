/* SPDX-License-Identifier: GPL-2.0 */
/* What local.c, peers.c and serve.c share. Not for others. */
#ifndef WM_LOCAL_INSIDE_H
#define WM_LOCAL_INSIDE_H

#include <sys/socket.h>

#include "accept.h"
#include "closer.h"
#include "listen.h"
#include "monotonic.h"
#include "rate.h"
#include "running.h"
#include "serve.h"
#include "worker.h"

struct consumer;

/* SILENT -> WAITING -> ASKING -> OWNER, or gone from any of them. */
enum peer_state {
	PEER_SILENT,  /* has not said what it wants */
	PEER_WAITING, /* has, and waits for its turn */
	PEER_ASKING,  /* is being served by the worker */
	PEER_OWNER,   /* is the consumer */
};

struct peer {
	struct consumer *consumer;
	struct peer *next;
	enum peer_state state;
	int fd;
	sd_event_source *io;
	struct wm_timer silence; /* until it has said what it wants */
	struct ucred who;
	uint32_t wants; /* enum wm_handover_kind */
};

struct consumer {
	struct wm_local *local;
	uint32_t number;
	struct wm_listen listen;
	struct wm_accept accept;
	char title[96];            /* for the log: whose these connections are */
	struct wm_timer pause;     /* of serving */
	struct peer *peers;        /* the youngest first */
	size_t n_peers;
	struct wm_closer *closer;
	struct wm_worker *worker;
	struct wm_serving *serving; /* the worker's, while it is busy */
	int socket[WM_XSK_SOCKETS_MAX]; /* the owner's */
	uint32_t n_sockets;
	struct wm_xsk_shape shape; /* of these */
	bool present;              /* gets its share of new flows */
	struct wm_timer grace;     /* for one that is believed to be there */
	struct wm_rate refusals, changes; /* lines in the log */
};

struct wm_local {
	sd_event *event;
	const struct wm_running *running;
	void (*changed)(void *arg); /* one has come or gone */
	void *arg;
	size_t n;
	struct consumer consumer[WM_LOCALS_MAX];
};

static inline const struct wm_config *wm_local_all(const struct consumer *c)
{
	return c->local->running->config;
}

static inline const struct wm_config_local *wm_local_config(const struct consumer *c)
{
	return &wm_local_all(c)->locals[c->number];
}

static inline const char *wm_local_name(const struct consumer *c)
{
	return wm_local_config(c)->name;
}

/* local.c: its interfaces, separated by blanks. */
void wm_local_devices(const struct wm_config *config, char *text, size_t size);
/* It came, or is gone: its share of new flows follows. */
void wm_local_set_present(struct consumer *c, bool present);
/* Its connection ended, and it is to come again soon. */
void wm_local_expect(struct consumer *c);

/* peers.c */
int wm_peers__open(struct consumer *c);
/* All of them; a consumer that there is goes on with what it has. */
void wm_peers__close(struct consumer *c);
/* NULL: there is no consumer. */
struct peer *wm_peers__owner(const struct consumer *c);
/* The connection only: what the consumer has stays in the data plane. */
void wm_peers__drop_owner(struct consumer *c);

#endif
