// SPDX-License-Identifier: GPL-2.0
/*
 * What goes out is made when there is room for it: results that nobody reads yet stay in their
 * checks, where a newer one takes the place of an older one.
 */
#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "checks.h"
#include "lines.h"
#include "log.h"

enum {
	OUT_SIZE = 64 << 10,
	RESULT_MAX = 2048, /* of one result: WM_SAID bytes, each at most 6 in JSON, and the rest */
};

struct wm_channel {
	sd_event *event;
	int fd;
	sd_event_source *io, *flush; /* `flush` runs once when the loop comes round */
	struct wm_checks *checks;
	struct wm_lines lines;
	size_t start, used; /* out[start .. used) is on its way */
	char out[OUT_SIZE];
};

/* --- out --- */

static void fill(struct wm_channel *c)
{
	struct wm_result result;

	if (c->start == c->used)
		c->start = c->used = 0;
	while (OUT_SIZE - c->used >= RESULT_MAX && wm_checks__next(c->checks, &result))
		c->used += wm_wire__result(c->out + c->used, OUT_SIZE - c->used, &result);
}

static void wait_for_room(struct wm_channel *c, bool wait)
{
	sd_event_source_set_io_events(c->io, EPOLLIN | (wait ? EPOLLOUT : 0));
}

static void flush(struct wm_channel *c)
{
	ssize_t n;

	for (fill(c); c->start < c->used; fill(c)) {
		n = send(c->fd, c->out + c->start, c->used - c->start,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR) {
			wait_for_room(c, errno == EAGAIN); /* else reading says what is wrong */
			return;
		}
		c->start += n > 0 ? n : 0;
	}
	wait_for_room(c, false);
}

static int on_flush(sd_event_source *source, void *arg)
{
	(void)source;
	flush(arg);
	return 0;
}

static void on_news(void *arg)
{
	struct wm_channel *c = arg;

	if (c->flush)
		sd_event_source_set_enabled(c->flush, SD_EVENT_ONESHOT);
}

/* --- in --- */

static int take_line(struct wm_channel *c, const char *line, size_t len)
{
	struct wm_probe probe;
	int what = wm_wire__parse_request(line, len, &probe);

	switch (what) {
	case WM_WIRE_BEGIN:
		wm_checks__begin(c->checks);
		return 0;
	case WM_WIRE_PROBE:
		return wm_checks__add(c->checks, &probe);
	case WM_WIRE_END:
		wm_checks__end(c->checks);
		return 0;
	}
	return what;
}

static int take_lines(struct wm_channel *c)
{
	char *line;
	size_t len;
	int ret = 0;

	while (!ret && (line = wm_lines__next(&c->lines, &len)))
		ret = take_line(c, line, len);
	return ret;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct wm_channel *c = arg;
	ssize_t n = events & ~EPOLLOUT ? wm_lines__read(&c->lines, fd) : -EAGAIN;
	int ret = n > 0 ? take_lines(c) : n < 0 && n != -EAGAIN ? n : 0;

	(void)source;
	if (!n || n == -ECONNRESET)
		return sd_event_exit(c->event, 0);
	if (ret) {
		wm_error("cannot follow what waymarkd says: %s", strerror(-ret));
		return sd_event_exit(c->event, ret);
	}
	flush(c);
	return 0;
}

int wm_channel__new(struct wm_channel **out, sd_event *event, int fd, size_t most,
		    const int raw[2], struct wm_err *err)
{
	struct wm_channel *c = calloc(1, sizeof(*c));
	int ret;

	*out = c;
	if (!c)
		return wm_err__sys(err, -ENOMEM, "cannot listen to waymarkd");
	c->event = event;
	c->fd = fd;
	wm_lines__init(&c->lines, WM_WIRE_LINE_MAX);
	ret = wm_checks__new(&c->checks, event, most, raw, on_news, c);
	if (ret >= 0)
		ret = sd_event_add_io(event, &c->io, fd, EPOLLIN, on_io, c);
	if (ret >= 0)
		ret = sd_event_add_defer(event, &c->flush, on_flush, c);
	return ret < 0 ? wm_err__sys(err, ret, "cannot listen to waymarkd") : 0;
}

void wm_channel__free(struct wm_channel *c)
{
	if (!c)
		return;
	c->flush = sd_event_source_disable_unref(c->flush);
	c->io = sd_event_source_disable_unref(c->io);
	wm_checks__free(c->checks);
	wm_lines__free(&c->lines);
	free(c);
}
