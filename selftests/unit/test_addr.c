// SPDX-License-Identifier: GPL-2.0
/* Addresses, endpoints and services as text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "service.h"

static void addresses_there_and_back(void **state)
{
	static const char *const texts[] = { "0.0.0.0", "10.200.1.1", "255.255.255.255", "::",
					     "fc00::1", "2001:db8:1:2:3:4:5:6" };
	char buf[WM_ADDR_TEXT];
	struct wm_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_int_equal(wm_addr__parse(texts[i], &a), 0);
		assert_string_equal(wm_addr__format(&a, buf), texts[i]);
	}
	assert_string_equal(wm_addr__format(&(struct wm_addr){}, buf), "-");
}

static void ipv4_fills_word_0_only(void **state)
{
	struct wm_addr a;

	(void)state;
	memset(&a, 0xff, sizeof(a));
	assert_int_equal(wm_addr__parse("10.0.0.1", &a), 0);
	assert_int_equal(a.family, WM_IPV4);
	assert_int_equal(a.word[0], htonl(0x0a000001));
	assert_int_equal(a.word[1] | a.word[2] | a.word[3], 0);
}

static void no_addresses(void **state)
{
	static const char *const texts[] = { "", "10.0.0", "10.0.0.1.2", "10.0.0.256", "010.0.0.1x",
					     " 10.0.0.1", "10.0.0.1 ", "fc00::1::2", "fc00", "web",
					     "[fc00::1]", "fe80::1%eth0" };
	struct wm_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(wm_addr__parse(texts[i], &a), -EINVAL);
}

static void order_of_addresses(void **state)
{
	static const char *const sorted[] = { "0.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.1.0",
					      "::1", "fc00::1", "fc00::2", "fc01::" };
	struct wm_addr a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(sorted) / sizeof(*sorted); i++)
		for (size_t j = 0; j < sizeof(sorted) / sizeof(*sorted); j++) {
			wm_addr__parse(sorted[i], &a);
			wm_addr__parse(sorted[j], &b);
			assert_true((i < j) == (wm_addr__compare(&a, &b) < 0));
			assert_true((i == j) == wm_addr__equal(&a, &b));
		}
}

static void endpoints(void **state)
{
	char buf[WM_ENDPOINT_TEXT];
	struct wm_addr a;
	__be16 port;

	(void)state;
	assert_int_equal(wm_endpoint__parse("10.0.0.1:80", &a, &port), 0);
	assert_int_equal(port, htons(80));
	assert_string_equal(wm_endpoint__format(&a, port, buf), "10.0.0.1:80");
	assert_int_equal(wm_endpoint__parse("[fc00::1]:65535", &a, &port), 0);
	assert_int_equal(port, htons(65535));
	assert_string_equal(wm_endpoint__format(&a, port, buf), "[fc00::1]:65535");
	assert_string_equal(wm_endpoint__format(&a, 0, buf), "[fc00::1]:*");
}

static void no_endpoints(void **state)
{
	static const char *const texts[] = {
		"", ":", ":80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1",
		"10.0.0.1:8o", "10.0.0.1: 80", "fc00::1:80", "[fc00::1]", "[fc00::1:80",
		"[]:80", "[10.0.0.1:80",
	};
	struct wm_addr a;
	__be16 port;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (wm_endpoint__parse(texts[i], &a, &port) != -EINVAL)
			fail_msg("%s", texts[i]);
}

static void protocols(void **state)
{
	(void)state;
	assert_int_equal(wm_proto__parse("tcp"), IPPROTO_TCP);
	assert_int_equal(wm_proto__parse("UDP"), IPPROTO_UDP);
	assert_int_equal(wm_proto__parse("sctp"), -EINVAL);
	assert_int_equal(wm_proto__parse(""), -EINVAL);
	assert_string_equal(wm_proto__name(IPPROTO_TCP), "tcp");
	assert_string_equal(wm_proto__name(IPPROTO_UDP), "udp");
	assert_string_equal(wm_proto__name(1), "?");
}

static void macs(void **state)
{
	static const char *const wrong[] = { "", "02:00:00:00:00", "02:00:00:00:00:01:02",
					     "02:00:00:00:00:0g", "02-00-00-00-00-01",
					     "02:00:00:00:00:01 " };
	static const uint8_t wanted[6] = { 0x02, 0xab, 0, 0, 0, 0xff };
	uint8_t mac[6];

	(void)state;
	assert_int_equal(wm_mac__parse("02:aB:00:0:00:ff", mac), 0);
	assert_memory_equal(mac, wanted, 6);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (wm_mac__parse(wrong[i], mac) != -EINVAL)
			fail_msg("%s", wrong[i]);
}

static void services_there_and_back(void **state)
{
	static const char *const texts[] = { "10.200.1.1:80/tcp", "10.200.1.1:*/udp",
					     "[fc00::1]:53/udp", "[fc00::1]:*/tcp",
					     "[2001:db8:1111:2222:3333:4444:5555:6666]:65535/udp" };
	static const char *const wrong[] = { "", "/", "web", "10.200.1.1:80", "10.200.1.1/tcp",
					     "10.200.1.1:80/", "10.200.1.1:80/sctp", "*/tcp",
					     "fc00::1:80/tcp", "10.200.1.1:**/tcp" };
	char buf[WM_SERVICE_TEXT];
	struct wm_service s;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_int_equal(wm_service__parse(texts[i], &s), 0);
		assert_string_equal(wm_service__format(&s, buf), texts[i]);
	}
	assert_int_equal(wm_service__parse("10.200.1.1:0/TCP", &s), 0);
	assert_string_equal(wm_service__format(&s, buf), "10.200.1.1:*/tcp");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (wm_service__parse(wrong[i], &s) != -EINVAL)
			fail_msg("%s", wrong[i]);
}

static void services_differ_by_all_parts(void **state)
{
	static const char *const texts[] = { "10.200.1.1:80/tcp", "10.200.1.1:80/udp",
					     "10.200.1.1:81/tcp", "10.200.1.2:80/tcp",
					     "[fc00::1]:80/tcp" };
	struct wm_service a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t j = 0; j < sizeof(texts) / sizeof(*texts); j++) {
			wm_service__parse(texts[i], &a);
			wm_service__parse(texts[j], &b);
			assert_true((i == j) == !wm_service__compare(&a, &b));
			assert_true((wm_service__compare(&a, &b) < 0) ==
				    (wm_service__compare(&b, &a) > 0));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_there_and_back),
		cmocka_unit_test(ipv4_fills_word_0_only),
		cmocka_unit_test(no_addresses),
		cmocka_unit_test(order_of_addresses),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(no_endpoints),
		cmocka_unit_test(protocols),
		cmocka_unit_test(macs),
		cmocka_unit_test(services_there_and_back),
		cmocka_unit_test(services_differ_by_all_parts),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
