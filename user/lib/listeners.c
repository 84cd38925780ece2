// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's socket diagnosis lists only the sockets in the states that are asked for;
 * /proc/net/tcp would have every connection of the machine in it. Which process has a
 * socket is known to /proc alone: the link of each descriptor names the socket's inode.
 */
#include "listeners.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

enum { LISTENERS_MAX = 65536 };

/* --- sockets --- */

struct search {
	struct wm_listeners *found;
	uint8_t proto;
	int error;
};

static struct wm_listener *append(struct wm_listeners *found)
{
	struct wm_listener *list;

	if (found->n >= LISTENERS_MAX)
		return NULL;
	/* Room grows when the number is a power of two. */
	if (!(found->n & (found->n - 1))) {
		list = reallocarray(found->list, found->n ? 2 * found->n : 1, sizeof(*list));
		if (!list)
			return NULL;
		found->list = list;
	}
	list = &found->list[found->n++];
	*list = (struct wm_listener){};
	return list;
}

static bool only_v6(const struct nlmsghdr *msg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct inet_diag_msg))
		if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY)
			return mnl_attr_get_payload_len(attr) && mnl_attr_get_u8(attr);
	return false;
}

static int on_socket(const struct nlmsghdr *msg, void *arg)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(msg);
	static const __be32 zero[4];
	struct search *search = arg;
	struct wm_listener *l;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*diag) || !diag->id.idiag_sport)
		return MNL_CB_OK;
	l = append(search->found);
	if (!l) {
		search->error = -ENOMEM;
		return MNL_CB_OK;
	}
	l->proto = search->proto;
	l->port = diag->id.idiag_sport;
	l->inode = diag->idiag_inode;
	if (memcmp(diag->id.idiag_src, zero, diag->idiag_family == AF_INET ? 4 : 16)) {
		l->address.family = diag->idiag_family == AF_INET ? WM_IPV4 : WM_IPV6;
		memcpy(l->address.word, diag->id.idiag_src,
		       diag->idiag_family == AF_INET ? 4 : 16);
		return MNL_CB_OK;
	}
	if (diag->idiag_family == AF_INET6)
		l->families = 1 << WM_IPV6;
	if (diag->idiag_family == AF_INET || !only_v6(msg))
		l->families |= 1 << WM_IPV4;
	return MNL_CB_OK;
}

static int ask(struct wm_nl *nl, uint8_t family, struct search *search)
{
	struct inet_diag_req_v2 *request;
	struct nlmsghdr *msg;
	int ret;

	wm_nl__begin(nl);
	msg = wm_nl__add(nl, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	request = mnl_nlmsg_put_extra_header(msg, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = search->proto;
	/* A UDP socket without a peer is in the state that a closed TCP socket has. */
	request->idiag_states = 1u << (search->proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
	ret = wm_nl__ask(nl, on_socket, search, NULL);
	return ret ? ret : search->error;
}

int wm_listeners__find(struct wm_listeners *found)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct search search = { .found = found };
	struct wm_err err;
	struct wm_nl *nl;
	int ret, first = 0;

	*found = (struct wm_listeners){};
	ret = wm_nl__open(&nl, NETLINK_SOCK_DIAG, &err);
	if (ret)
		return ret;
	for (size_t i = 0; i < 2 * sizeof(families); i++) {
		search.proto = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;
		ret = ask(nl, families[i / 2], &search);
		first = first ? first : ret;
	}
	wm_nl__close(nl);
	return first;
}

void wm_listeners__free(struct wm_listeners *found)
{
	free(found->list);
	*found = (struct wm_listeners){};
}

bool wm_listener__takes(const struct wm_listener *l, const struct wm_addr *address)
{
	if (!l->address.family)
		return l->families & 1 << address->family;
	return wm_addr__equal(&l->address, address);
}

/* --- processes --- */

static void set_name(struct wm_listener *l, int process)
{
	int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, l->name, sizeof(l->name) - 1);
	close(fd);
	l->name[n <= 0 ? 0 : n - 1] = '\0'; /* behind it is a newline */
	for (char *c = l->name; *c; c++) /* a process chooses its name itself */
		if (*c <= ' ' || *c > '~')
			*c = '?';
}

static void look_at(int process, const char *link, struct wm_listener *list, size_t n)
{
	unsigned int inode;

	if (sscanf(link, "socket:[%u]", &inode) != 1)
		return;
	for (size_t i = 0; i < n; i++)
		if (list[i].inode == inode && !*list[i].name)
			set_name(&list[i], process);
}

static void look_through(int process, struct wm_listener *list, size_t n)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char link[64];
	ssize_t len;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		look_at(process, link, list, n);
	}
	closedir(dir);
}

void wm_listeners__name(struct wm_listener *list, size_t n)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int process;

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		process = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process < 0)
			continue;
		look_through(process, list, n);
		close(process);
	}
	closedir(proc);
}
