/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets from the process that may make them to the one that reads them.
 *
 * A SOCK_SEQPACKET socket in the file system; a message is one struct
 * wm_handover, descriptors travel with it. The consumer speaks first:
 *
 *   WM_HANDOVER_NEW                      -> WM_HANDOVER_OFFER with the memory
 *                                           and the sockets, or WM_HANDOVER_REFUSE
 *   WM_HANDOVER_RESUME with the sockets  -> WM_HANDOVER_OFFER without descriptors,
 *                                           or WM_HANDOVER_REFUSE
 *
 * Then both keep the connection. Its end tells the daemon that the consumer is
 * gone, and the consumer that the daemon is: then it goes on receiving, and
 * offers its sockets to the next daemon (resume).
 */
#ifndef WM_HANDOVER_H
#define WM_HANDOVER_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <waymark/xsk_abi.h>

#include "afxdp.h"

#define WM_HANDOVER_MAGIC 0x68786d77 /* "wmxh" */
#define WM_HANDOVER_VERSION 2

enum wm_handover_kind {
	WM_HANDOVER_NEW = 1,
	WM_HANDOVER_RESUME,
	WM_HANDOVER_OFFER,
	WM_HANDOVER_REFUSE,
};

struct wm_xsk_port {
	char name[IF_NAMESIZE];
	uint32_t queues;  /* that it receives by */
};

/* What sockets there are: from this follows which frames and rings are whose. */
struct wm_xsk_shape {
	uint32_t frame;   /* bytes */
	uint32_t ring;    /* entries of RX and TX; twice as many of fill and completion */
	uint32_t any;     /* one socket for all queues of a device */
	uint32_t devices;
	struct wm_xsk_port device[WM_XSK_DEVICES_MAX];
};

struct wm_handover {
	uint32_t magic, version;
	uint32_t kind;    /* enum wm_handover_kind */
	int32_t error;    /* of a refusal: -errno, and `text` says why */
	struct wm_xsk_shape shape;
	char text[256];
};

/* Descriptors of one message: the memory's, then the sockets'. */
enum { WM_HANDOVER_FDS = 1 + WM_XSK_SOCKETS_MAX };

/* How many sockets. 0: this is no shape that this version can work. */
uint32_t wm_xsk_shape__sockets(const struct wm_xsk_shape *shape);
/* As wm_xsk__enter(): sockets in the order of the devices and their queues. */
int wm_xsk_shape__enter(const struct wm_xsk_shape *shape, const int *fds, int xskmap_fd,
			uint32_t consumer, struct wm_err *err);

/* What may come with a message: as many as the kernel lets through (SCM_MAX_FD, 253), so
 * that there is room for all of them. Those without room it would close in our place. */
enum { WM_HANDOVER_TAKE = 254 };

struct wm_handover_fds {
	size_t n;
	int fd[WM_HANDOVER_TAKE];
};

/* 0, or -errno of the socket. */
int wm_handover__send(int sock, const struct wm_handover *message, const int *fds, size_t n);

/* Take a message. -EPIPE: the other side is gone; -EAGAIN; -EBADMSG: that was none of ours.
 * Whatever the result, `fds` are open and the caller's. */
int wm_handover__recv(int sock, struct wm_handover *message, struct wm_handover_fds *fds);
/* The same, and the message stays where it is, with its descriptors. */
int wm_handover__peek(int sock, struct wm_handover *message);
void wm_handover__close_fds(const int *fds, size_t n);

/* The shape of these sockets, with `kind`; and their descriptors, the memory's
 * first, which stay the sockets'. Returns how many. */
void wm_xsk__describe(const struct wm_xsk *xsk, enum wm_handover_kind kind,
		      struct wm_handover *message);
size_t wm_xsk__fds(const struct wm_xsk *xsk, int fds[WM_HANDOVER_FDS]);

/* Work sockets that another process made, filled and has not read from. The
 * descriptors are duplicated. Needs no privileges; Linux 6.4 or later. */
int wm_xsk__adopt(struct wm_xsk **xsk, const struct wm_handover *message, const int *fds, size_t n,
		  struct wm_err *err);

#endif
