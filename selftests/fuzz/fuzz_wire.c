// SPDX-License-Identifier: GPL-2.0
/*
 * Lines between waymarkd and waymark-health, read by either side: any bytes, or a good line of
 * which some are others. What is understood holds together, and says the same once more.
 */
#include "fuzz.h"
#include "wire.h"

static const struct wm_probe good = {
	.id = 7, .state = WM_HEALTH_UP, .address = { { 0x0100000a }, WM_IPV4 },
	.check = {
		.type = WM_CHECK_UDP, .port = 53, .path = (char *)"/a", .host = (char *)"h",
		.ca = (char *)"/c", .send = (char *)"\\x00", .body = (char *)"b",
		.script = (char *)"/s t", .verify = true, .status_min = 200, .status_max = 204,
		.interval_ns = 5000000000, .timeout_ns = 1000000000, .jitter = 7, .rise = 2,
		.fall = 3, .hold_ns = 4,
	},
};

/* From `first` on, for `n` bytes. In a piece of memory of its own, so that reading beyond it is
 * seen. */
static char *changed(struct fuzz *in, const char *line, size_t len, size_t first, size_t n)
{
	char *copy = malloc(len);

	fuzz_require(copy);
	memcpy(copy, line, len);
	while (in->left) {
		size_t at = first + fuzz_u16(in) % n;

		copy[at] = fuzz_u8(in);
	}
	return copy;
}

static void check_request(const char *line, size_t len)
{
	struct wm_probe probe, again;
	char *said;

	if (wm_wire__parse_request(line, len, &probe) != WM_WIRE_PROBE)
		return;
	fuzz_require(probe.check.type > WM_CHECK_NONE && probe.check.type <= WM_CHECK_SCRIPT);
	fuzz_require(probe.check.port || !wm_check__needs_port(&probe.check));
	fuzz_require(probe.check.script || probe.check.type != WM_CHECK_SCRIPT);
	fuzz_require(probe.check.interval_ns && probe.check.timeout_ns && probe.check.rise &&
		     probe.check.fall && probe.state <= WM_HEALTH_DOWN);
	said = wm_wire__request(WM_WIRE_PROBE, &probe);
	fuzz_require(said && wm_wire__parse_request(said, strlen(said), &again) ==
		     WM_WIRE_PROBE);
	fuzz_require(again.id == probe.id && again.state == probe.state &&
		     wm_addr__equal(&again.address, &probe.address) &&
		     wm_check__same(&again.check, &probe.check));
	free(said);
	wm_check__clear(&again.check);
	wm_check__clear(&probe.check);
}

static void check_result(const char *line, size_t len)
{
	char said[4096];
	struct wm_result result;

	if (wm_wire__parse_result(line, len, &result))
		return;
	fuzz_require(strnlen(result.said, sizeof(result.said)) < sizeof(result.said));
	for (const char *p = result.said; *p; p++)
		fuzz_require(*p >= ' ' && *p <= '~');
	fuzz_require(result.state <= WM_HEALTH_DOWN);
	fuzz_require(wm_wire__result(said, sizeof(said), &result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wm_result result = { 7, WM_HEALTH_DOWN, true, "HTTP 503 after 2 ms" };
	struct fuzz in = { data, size };
	uint8_t how = fuzz_u8(&in);
	char buffer[512], *line, *copy;
	size_t len, first = 0;

	if (how & 1) {
		check_request((const char *)in.data, in.left);
		check_result((const char *)in.data, in.left);
		return 0;
	}
	if (how & 2) {
		line = wm_wire__request(WM_WIRE_PROBE, &good);
		fuzz_require(line);
		len = strlen(line);
		line[len - 1] = ' ';
	} else {
		len = wm_wire__result(buffer, sizeof(buffer), &result);
		line = memcpy(malloc(len), buffer, len);
		if (how & 4) { /* only the words, or it is seldom a result */
			char escape[8];

			first = strstr(buffer, result.said) - buffer;
			snprintf(escape, sizeof(escape), "\\u%04x", fuzz_u8(&in));
			memcpy(line + first, escape, 6);
		}
	}
	copy = changed(&in, line, len, first, first ? strlen(result.said) : len);
	if (how & 2)
		check_request(copy, len);
	else
		check_result(copy, len);
	free(copy);
	free(line);
	return 0;
}
