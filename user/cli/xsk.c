// SPDX-License-Identifier: GPL-2.0
/*
 * waymark xsk dump|count|echo: sockets on every queue, then the program that
 * fills them, then bursts until somebody has had enough. The three differ in
 * what they do with a packet.
 */
#include "xsk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "afxdp.h"
#include "frame.h"
#include "interrupt.h"
#include "views.h"
#include "xskprog.h"

enum { WAIT_MS = 200 }; /* then it looks at the clock and for signals */

struct session {
	const struct invocation *in;
	struct wm_xsk *xsk;
	struct wm_xskprog *prog;
	struct wm_xsk_burst burst;
	uint64_t packets, packets_max; /* 0: no end */
	double start_s, seconds_max;
	/* What to do with a burst; 0 or what view__show() says. */
	int (*take)(struct session *session, struct wm_err *err);
	struct output out;
};

/* --- opening --- */

/* To take all is to take a host off the network: it must have been said. */
static int read_filter(const struct invocation *in, struct wm_xsk_filter *filter)
{
	const char *protocol = invocation__option(in, "protocol");
	unsigned int port = invocation__number(in, "port");

	*filter = (struct wm_xsk_filter){ .all = invocation__option(in, "all") != NULL };
	if (port > 65535)
		return invocation__usage(in, "--port: wants 1 to 65535");
	if (filter->all && (protocol || port))
		return invocation__usage(in, "--all goes without --port and --protocol");
	if (!filter->all && !port)
		return invocation__usage(in, "which packets? --port N, or --all of the device's");
	filter->port = htons(port);
	if (protocol)
		filter->proto = wm_proto__parse(protocol); /* was checked */
	return 0;
}

static enum wm_xdp_mode mode_of(const struct invocation *in)
{
	const char *mode = invocation__option(in, "mode");

	return mode ? wm_xdp_mode__parse(mode) : WM_XDP_AUTO; /* was checked */
}

static enum wm_xsk_bind bind_of(const struct invocation *in)
{
	const char *bind = invocation__option(in, "bind") ?: "auto";

	if (!strcmp(bind, "copy"))
		return WM_XSK_COPY;
	return strcmp(bind, "zerocopy") ? WM_XSK_AUTO : WM_XSK_ZEROCOPY;
}

static int open_session(struct session *s, const struct wm_xsk_filter *filter, struct wm_err *err)
{
	const char *sockets = invocation__option(s->in, "sockets") ?: "auto";
	const char *seconds = invocation__option(s->in, "seconds");
	const char *device = s->in->argument[0];
	const struct wm_xsk_options options = {
		.devices = &device,
		.n_devices = 1,
		.bind = bind_of(s->in),
		.ring = invocation__number(s->in, "ring"),
		.every_socket = !strcmp(sockets, "queue"),
		.one_socket = !strcmp(sockets, "one"),
	};
	int ret;

	s->packets_max = invocation__number(s->in, "count");
	s->seconds_max = seconds ? strtod(seconds, NULL) : 0;
	s->out = s->in->out;
	s->out.raw |= s->out.json; /* one line per packet */
	ret = wm_xsk__open(&s->xsk, &options, err);
	if (!ret)
		ret = wm_xskprog__load(&s->prog, filter, err);
	if (!ret)
		ret = wm_xsk__enter(s->xsk, wm_xskprog__map(s->prog), 0, err);
	if (!ret)
		ret = wm_xskprog__attach(s->prog, device, mode_of(s->in), err);
	return ret;
}

static void close_session(struct session *s)
{
	wm_xskprog__close(s->prog);
	wm_xsk__close(s->xsk);
}

/* --- the loop --- */

static bool enough(const struct session *s)
{
	if (interrupt__came() || (s->packets_max && s->packets >= s->packets_max))
		return true;
	return s->seconds_max > 0 && interrupt__now_s() - s->start_s >= s->seconds_max;
}

static int serve(struct session *s, uint32_t index, bool to_the_end, struct wm_err *err)
{
	int ret = 0;

	while (!ret && (to_the_end || !enough(s)) && wm_xsk__receive(s->xsk, index, &s->burst)) {
		s->packets += s->burst.n_packets;
		if (s->take)
			ret = s->take(s, err);
		wm_xsk__release(s->xsk, &s->burst);
	}
	return ret;
}

static int loop(struct session *s, struct wm_err *err)
{
	int ret = 0;

	s->start_s = interrupt__now_s();
	while (!ret && !enough(s)) {
		int ready = wm_xsk__wait(s->xsk, WAIT_MS);

		if (ready < 0 && ready != -EINTR)
			return wm_err__sys(err, ready, "cannot wait for packets");
		if (!ready && !if_nametoindex(s->in->argument[0]))
			return wm_err__set(err, -ENODEV, "%s is gone", s->in->argument[0]);
		for (uint32_t i = 0; i < wm_xsk__sockets(s->xsk) && !ret; i++)
			ret = serve(s, i, false, err);
	}
	return ret;
}

/* No packet comes any more: those that were taken from the stack are served. */
static int drain(struct session *s, struct wm_err *err)
{
	int ret = 0;

	wm_xskprog__detach(s->prog);
	if (s->packets_max && s->packets >= s->packets_max)
		return 0;
	for (uint32_t i = 0; i < wm_xsk__sockets(s->xsk) && !ret; i++)
		ret = serve(s, i, true, err);
	return ret;
}

/* --- dump --- */

static json_t *endpoint(const struct wm_frame *frame,
			void (*of)(const struct wm_frame *, struct wm_addr *, __be16 *))
{
	char text[WM_ENDPOINT_TEXT];
	struct wm_addr addr;
	__be16 port;

	of(frame, &addr, &port);
	return json_string(wm_endpoint__format(&addr, port, text));
}

static json_t *number_or_null(bool there, uint32_t number)
{
	return there ? json_integer(number) : json_null();
}

static json_t *packet_row(const struct session *s, const struct wm_xsk_packet *packet)
{
	struct wm_frame frame;
	bool known = !wm_frame__parse(packet, &frame);

	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:s?, s:o, s:o}",
			 "socket", (json_int_t)s->burst.index,
			 "bytes", (json_int_t)packet->len,
			 "parts", (json_int_t)packet->n_parts,
			 "mark", number_or_null(packet->has_mark, packet->mark),
			 "hash", number_or_null(packet->has_hash, packet->hash),
			 "protocol", known ? wm_proto__name(frame.proto) : NULL,
			 "source", known ? endpoint(&frame, wm_frame__source) : json_null(),
			 "destination",
			 known ? endpoint(&frame, wm_frame__destination) : json_null());
}

/* A burst is one piece of the table; with --json each packet is one line. */
static int show_packets(struct session *s, struct wm_err *err)
{
	json_t *rows = json_array(), *row;
	int ret = 0;
	size_t i;

	for (i = 0; i < s->burst.n_packets; i++)
		json_array_append_new(rows, packet_row(s, &s->burst.packet[i]));
	if (!s->out.json)
		ret = view__show_rows(&view_xsk_dump, rows, &s->out, err);
	else
		json_array_foreach(rows, i, row)
			ret = ret ?: view__show_json(row, &s->out);
	json_decref(rows);
	s->out.no_headings = true;
	if (fflush(s->out.file))
		interrupt__pretend(); /* nobody reads; main says why */
	return ret;
}

/* --- echo --- */

static int send_back(struct session *s, struct wm_err *err)
{
	struct wm_frame frame;

	(void)err;
	for (uint32_t i = 0; i < s->burst.n_packets; i++) {
		struct wm_xsk_packet *packet = &s->burst.packet[i];

		if (wm_frame__parse(packet, &frame) || frame.proto != IPPROTO_UDP)
			continue;
		wm_frame__turn(&frame, packet);
		wm_xsk__send(s->xsk, &s->burst, packet); /* no room: counted there */
	}
	return 0;
}

/* --- the sum of it --- */

static json_t *socket_row(const struct session *s, uint32_t index)
{
	struct wm_xsk_stats st;

	if (wm_xsk__stats(s->xsk, index, &st))
		return NULL;
#define N(member) #member, (json_int_t)st.member
	return json_pack("{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:I}", "socket", (json_int_t)index,
			 "zero_copy", wm_xsk__zero_copy(wm_xsk__fd(s->xsk, index)),
			 N(packets), N(bytes), N(parts), N(marked), N(sent), N(tx_full),
			 N(wakeups_rx), N(wakeups_tx), N(given_up), N(stall_kicks), N(rx_dropped),
			 N(rx_ring_full), N(rx_fill_empty), N(rx_invalid), N(tx_invalid),
			 N(tx_ring_empty));
#undef N
}

static json_t *report(const struct session *s)
{
	json_t *sockets = json_array(), *program = json_object();
	struct wm_xsk_counts counts;

	for (uint32_t i = 0; i < wm_xsk__sockets(s->xsk); i++)
		json_array_append_new(sockets, socket_row(s, i));
	wm_xskprog__counts(s->prog, &counts);
	for (int i = 0; i < WM_XSK_COUNTERS_USED; i++)
		json_object_set_new(program, wm_xsk_counter_names[i],
				    json_integer(counts.counter[i]));
	return json_pack("{s:s, s:s, s:b, s:f, s:o, s:o}", "device", s->in->argument[0],
			 "mode", wm_xskprog__mode(s->prog), "one_socket", wm_xsk__is_any(s->xsk),
			 "seconds", interrupt__now_s() - s->start_s, "program", program, "sockets",
			 sockets);
}

static int failed(const struct invocation *in, int error, const struct wm_err *err)
{
	return invocation__fail(in, WM_EXIT_FAILED, *err->text ? err->text : strerror(-error));
}

static int run(struct invocation *in, bool with_report,
	       int (*take)(struct session *session, struct wm_err *err))
{
	struct session *s = calloc(1, sizeof(*s));
	struct wm_xsk_filter filter;
	struct wm_err err = { "" };
	json_t *data = NULL;
	int ret = read_filter(in, &filter);

	if (ret || !s) {
		free(s);
		return ret ? ret : failed(in, -ENOMEM, &err);
	}
	s->in = in;
	s->take = take;
	interrupt__catch();
	ret = open_session(s, &filter, &err);
	ret = ret ?: loop(s, &err);
	ret = ret ?: drain(s, &err);
	if (!ret && with_report) {
		data = report(s);
		ret = data ? view__show(in->command->view, data, &in->out, &err) : -ENOMEM;
	}
	json_decref(data);
	close_session(s);
	free(s);
	return ret ? failed(in, ret, &err) : WM_EXIT_OK;
}

int xsk__dump(struct invocation *in)
{
	return run(in, false, show_packets);
}

int xsk__count(struct invocation *in)
{
	return run(in, true, NULL);
}

int xsk__echo(struct invocation *in)
{
	return run(in, true, send_back);
}
