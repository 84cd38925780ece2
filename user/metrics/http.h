/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The HTTP side: connections of strangers, bounded in number, time and memory. The loop is the
 * caller's; nothing here waits.
 */
#ifndef WM_HTTP_H
#define WM_HTTP_H

#include <stdint.h>

#include "err.h"
#include "exposition.h"

enum {
	WM_HTTP_CLIENTS = 256,        /* connections; more wait in the kernel's queue */
	WM_HTTP_REQUEST_BYTES = 16384, /* the longest request with its headers */
	WM_HTTP_PAGES_BYTES = 64 << 20, /* of answers that clients have not taken yet, or */
	WM_HTTP_PAGES_MIN = 4,         /* so many of them, if they are large */
};

struct wm_http;

struct wm_http_hooks {
	/* Somebody wants the metrics: wm_http__answer() is to be called soon. */
	void (*wanted)(void *arg);
	/* Write them. */
	void (*write)(void *arg, enum wm_format format, struct wm_page *page);
	void *arg;
};

/* `listener`: a socket that listens and does not block; stays the caller's. 0 or -errno. */
int wm_http__new(struct wm_http **http, int listener, const struct wm_http_hooks *hooks,
		 struct wm_err *err);
void wm_http__free(struct wm_http *http);
/* Readable when wm_http__run() has something to do. */
int wm_http__fd(const struct wm_http *http);
/* Milliseconds until that has to be called anyway; -1: no need. */
int wm_http__timeout(const struct wm_http *http, uint64_t now_ns);
void wm_http__run(struct wm_http *http, uint64_t now_ns);
/* All that is known is known: those who wait get their page, from one text a format. */
void wm_http__answer(struct wm_http *http, uint64_t now_ns);

#endif
