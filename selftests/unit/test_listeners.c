// SPDX-License-Identifier: GPL-2.0
/* Listening sockets are found with the addresses that they take packets for, and their
 * process; sockets that serve nobody are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listeners.h"

/* A bound socket on a port that the kernel chooses. -1: this machine has no such family. */
static int bound(int family, int type, const char *address, bool only_v6, __be16 *port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr *sa = family == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, type, 0), yes = only_v6;

	if (fd < 0)
		return -1;
	if (family == AF_INET)
		inet_pton(family, address, &v4.sin_addr);
	else
		inet_pton(family, address, &v6.sin6_addr);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (bind(fd, sa, len)) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, sa, &len), 0);
	*port = family == AF_INET ? v4.sin_port : v6.sin6_port;
	return fd;
}

static struct wm_listener *find(const struct wm_listeners *all, uint8_t proto, __be16 port)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].proto == proto && all->list[i].port == port)
			return &all->list[i];
	return NULL;
}

static void search(struct wm_listeners *all)
{
	int ret = wm_listeners__find(all);

	if (ret)
		fail_msg("socket diagnosis: %s", strerror(-ret));
}

static bool takes(const struct wm_listener *l, const char *address)
{
	struct wm_addr a;

	assert_int_equal(wm_addr__parse(address, &a), 0);
	return wm_listener__takes(l, &a);
}

static void listening_sockets_are_found(void **state)
{
	__be16 one, all4, idle;
	int fd = bound(AF_INET, SOCK_STREAM, "127.0.0.1", false, &one);
	int every = bound(AF_INET, SOCK_STREAM, "0.0.0.0", false, &all4);
	int only_bound = bound(AF_INET, SOCK_STREAM, "127.0.0.1", false, &idle);
	struct wm_listeners found;
	struct wm_listener *l;

	(void)state;
	assert_int_equal(listen(fd, 1) | listen(every, 1), 0);
	search(&found);
	l = find(&found, IPPROTO_TCP, one);
	assert_non_null(l);
	assert_true(takes(l, "127.0.0.1"));
	assert_false(takes(l, "127.0.0.2") || takes(l, "::1"));
	l = find(&found, IPPROTO_TCP, all4);
	assert_non_null(l);
	assert_true(takes(l, "127.0.0.2") && takes(l, "10.9.8.7"));
	assert_false(takes(l, "::1"));
	assert_null(find(&found, IPPROTO_TCP, idle));
	assert_null(find(&found, IPPROTO_UDP, one));
	wm_listeners__free(&found);
	close(fd);
	close(every);
	close(only_bound);
}

static void udp_without_a_peer_is_found(void **state)
{
	__be16 one, with_peer;
	int fd = bound(AF_INET, SOCK_DGRAM, "127.0.0.1", false, &one);
	int peered = bound(AF_INET, SOCK_DGRAM, "127.0.0.1", false, &with_peer);
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = one,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct wm_listeners found;

	(void)state;
	assert_int_equal(connect(peered, (void *)&peer, sizeof(peer)), 0);
	search(&found);
	assert_non_null(find(&found, IPPROTO_UDP, one));
	assert_null(find(&found, IPPROTO_UDP, with_peer));
	wm_listeners__free(&found);
	close(fd);
	close(peered);
}

static void ipv6_sockets_may_take_ipv4(void **state)
{
	__be16 only, both;
	int fd = bound(AF_INET6, SOCK_STREAM, "::", true, &only);
	int wide = bound(AF_INET6, SOCK_STREAM, "::", false, &both);
	struct wm_listeners found;

	(void)state;
	if (fd < 0 || wide < 0)
		skip(); /* no IPv6 here */
	assert_int_equal(listen(fd, 1) | listen(wide, 1), 0);
	search(&found);
	assert_non_null(find(&found, IPPROTO_TCP, only));
	assert_non_null(find(&found, IPPROTO_TCP, both));
	assert_true(takes(find(&found, IPPROTO_TCP, only), "fc00::1"));
	assert_false(takes(find(&found, IPPROTO_TCP, only), "10.0.0.1"));
	assert_true(takes(find(&found, IPPROTO_TCP, both), "fc00::1"));
	assert_true(takes(find(&found, IPPROTO_TCP, both), "10.0.0.1"));
	wm_listeners__free(&found);
	close(fd);
	close(wide);
}

static void processes_are_named(void **state)
{
	__be16 port;
	int fd = bound(AF_INET, SOCK_STREAM, "127.0.0.1", false, &port);
	struct wm_listeners found;

	(void)state;
	assert_int_equal(prctl(PR_SET_NAME, "a\nb\033c"), 0);
	assert_int_equal(listen(fd, 1), 0);
	search(&found);
	wm_listeners__name(found.list, found.n);
	assert_string_equal(find(&found, IPPROTO_TCP, port)->name, "a?b?c");
	wm_listeners__free(&found);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listening_sockets_are_found),
		cmocka_unit_test(udp_without_a_peer_is_found),
		cmocka_unit_test(ipv6_sockets_may_take_ipv4),
		cmocka_unit_test(processes_are_named),
	};

	return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
