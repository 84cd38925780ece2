/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One attempt to get an answer out of a server. Each type of check has its way; none of them
 * waits, and none reads more than a bounded number of bytes. How long it may take is the
 * caller's to say: he stops it.
 */
#ifndef WM_RUN_H
#define WM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "wire.h"

enum wm_outcome {
	WM_OUTCOME_GOOD,
	WM_OUTCOME_BAD,
	WM_OUTCOME_UNKNOWN, /* this machine could not ask: that says nothing about the server */
};

struct wm_echo;
struct wm_run;
struct wm_web;
struct wm_web_request;

/* How it went: `why` tells one way to fail from another (an errno, a status); `said` is for
 * people. May be called from within wm_run__start(). The run is over then. */
typedef void (*wm_run_done)(struct wm_run *run, enum wm_outcome outcome, int why,
			    const char *said);

struct wm_run {
	/* The caller's, before the start: */
	sd_event *event;
	struct wm_web *web; /* for HTTP */
	struct wm_echo *echo; /* for ICMP */
	const struct wm_probe *probe;
	wm_run_done done;
	/* This directory's: */
	uint64_t started_ns;
	int fd; /* of a run that is under way and has one of its own */
	sd_event_source *io;
	struct wm_web_request *request;
	uint64_t token; /* of an echo request */
	uint32_t slot;  /* one more than its place among those by raw sockets; 0: none */
	bool script;    /* one is under way */
};

void wm_run__start(struct wm_run *run);
/* End it; `done` is not called. */
void wm_run__stop(struct wm_run *run);
/* What to say of one that had to be stopped after `timeout_ns`. */
void wm_run__late(const struct wm_run *run, char said[WM_SAID]);

/* For the types: end with "TEXT after 12 ms". */
void wm_run__finish(struct wm_run *run, enum wm_outcome outcome, int why, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Where to: address and port. Its length. */
socklen_t wm_run__address(const struct wm_run *run, struct sockaddr_storage *to);
/* A socket that does not wait, and the address to connect it to. 0 or an errno. */
int wm_run__socket(struct wm_run *run, int type, int protocol, struct sockaddr_storage *to,
		   socklen_t *len);
/* Closes it, and nothing is waited for any more. */
void wm_run__close(struct wm_run *run);

/* End with an errno of connecting, which may be this machine's fault. */
void wm_run__not_connected(struct wm_run *run, int error);

struct wm_run_ops {
	void (*start)(struct wm_run *run);
	void (*stop)(struct wm_run *run); /* also at its end */
	const char *lacks; /* if nothing came in time: "no answer" */
};

extern const struct wm_run_ops wm_run_tcp, wm_run_http, wm_run_udp, wm_run_icmp,
	wm_run_script;

/* What all runs of HTTP share. 0 or -errno. */
int wm_web__new(struct wm_web **web, sd_event *event);
void wm_web__free(struct wm_web *web); /* when no run is under way */

/* Raw sockets for echo requests, IPv4 and IPv6, before privileges are given up; below 0 where
 * none is to be had. */
void wm_echo__open_raw(int raw[2]);
/* What all runs of ICMP share; afterwards. Takes the sockets over. 0 or -errno. */
int wm_echo__new(struct wm_echo **echo, sd_event *event, const int raw[2]);
void wm_echo__free(struct wm_echo *echo); /* when no run is under way */

#endif
