// SPDX-License-Identifier: GPL-2.0
/*
 * libcurl's multi interface in this process's event loop: it says which sockets it waits for
 * and when it wants to be called, and we say what happened.
 *
 * Of an answer the status counts, and with `body` a text in its first BODY_MAX bytes. As soon as
 * that is known the transfer is cut off, so that a server cannot make us read for as long as it
 * likes; headers have a bound as well. Redirects are answers like any other, and no name is ever
 * resolved: the real's address is in the URL and `host` in a header. With HTTPS a certificate is
 * for `host`, which is in the URL then, and leads to the address all the same.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "monotonic.h"
#include "run.h"
#include "text.h"

enum {
	BODY_MAX = 64 << 10,
	HEADERS_MAX = 64 << 10,
	URL_TEXT = 1400, /* a host has at most 253 bytes, a path 1023 */
	HOST_TEXT = 300,
};

struct wm_web {
	CURLM *multi;
	sd_event *event;
	sd_event_source *timer;
};

struct wm_web_request {
	struct wm_run *run;
	struct wm_web *web;
	CURL *easy;
	struct curl_slist *headers, *address;
	char *body;     /* as far as it is kept; NULL: nobody asks */
	size_t body_len, headers_len;
	bool enough;    /* what counts is known: we cut it off ourselves */
	bool found;     /* the text is in the body */
	bool endless;   /* headers without end */
	char error[CURL_ERROR_SIZE];
};

/* --- one answer --- */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct wm_web_request *q = arg;

	(void)data;
	q->headers_len += size * n;
	q->endless = q->headers_len > HEADERS_MAX;
	return q->endless ? 0 : size * n;
}

/* A text may come in two pieces, so what came is kept. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct wm_web_request *q = arg;
	const char *wanted = q->run->probe->check.body;
	size_t len = size * n, room = BODY_MAX - q->body_len;

	if (!wanted || !q->body) {
		q->enough = true;
		return CURL_WRITEFUNC_ERROR;
	}
	memcpy(q->body + q->body_len, data, len < room ? len : room);
	q->body_len += len < room ? len : room;
	q->found = memmem(q->body, q->body_len, wanted, strlen(wanted));
	q->enough = q->found || q->body_len == BODY_MAX;
	return q->enough ? CURL_WRITEFUNC_ERROR : len;
}

static void judge(struct wm_web_request *q, long status)
{
	const struct wm_check *check = &q->run->probe->check;
	long min = check->status_min ?: WM_CHECK_STATUS_MIN;
	long max = check->status_max ?: WM_CHECK_STATUS_MAX;

	if (status < min || status > max)
		wm_run__finish(q->run, WM_OUTCOME_BAD, status, "HTTP %ld", status);
	else if (check->body && !q->found)
		wm_run__finish(q->run, WM_OUTCOME_BAD, -1, "HTTP %ld without the text that it "
			       "should contain", status);
	else
		wm_run__finish(q->run, WM_OUTCOME_GOOD, status, "HTTP %ld", status);
}

static void finish(struct wm_web_request *q, CURLcode code)
{
	char text[CURL_ERROR_SIZE];
	long status = 0, error = 0;

	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(q->easy, CURLINFO_OS_ERRNO, &error);
	if (q->endless)
		wm_run__finish(q->run, WM_OUTCOME_BAD, code, "an answer with more than %d KiB of "
			       "headers", HEADERS_MAX >> 10);
	else if (code == CURLE_OK || q->enough)
		judge(q, status);
	else if (code == CURLE_OUT_OF_MEMORY)
		wm_run__finish(q->run, WM_OUTCOME_UNKNOWN, code, "out of memory");
	else if (code == CURLE_SSL_CACERT_BADFILE)
		wm_run__finish(q->run, WM_OUTCOME_UNKNOWN, code, "certificates cannot be read from "
			       "%.80s", q->run->probe->check.ca ?: "the system's file");
	else if (code == CURLE_COULDNT_CONNECT)
		wm_run__not_connected(q->run, error);
	else /* the text may have the server's words in it */
		wm_run__finish(q->run, WM_OUTCOME_BAD, code, "no good answer: %s",
			       wm_text__show(text, sizeof(text), *q->error ? q->error :
					     curl_easy_strerror(code), sizeof(text)));
}

static void collect(struct wm_web *web)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(web->multi, &left))) {
		struct wm_web_request *q;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&q);
		finish(q, message->data.result);
	}
}

/* --- libcurl and the loop --- */

static void act(struct wm_web *web, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(web->multi, fd, what, &running);
	collect(web);
}

static int on_socket_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	int what = 0;

	(void)source;
	what |= events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0;
	what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	what |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
	act(arg, fd, what);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t us, void *arg)
{
	(void)source;
	(void)us;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct wm_web *web = arg;
	sd_event_source *source = known;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
			  (what & CURL_POLL_OUT ? EPOLLOUT : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		curl_multi_assign(web->multi, fd, NULL);
	} else if (source) {
		return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
	} else {
		if (sd_event_add_io(web->event, &source, fd, events, on_socket_ready, web) < 0)
			return -1;
		curl_multi_assign(web->multi, fd, source);
	}
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct wm_web *web = arg;

	(void)multi;
	if (ms >= 0)
		sd_event_source_set_time_relative(web->timer, ms * 1000);
	sd_event_source_set_enabled(web->timer, ms >= 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

int wm_web__new(struct wm_web **out, sd_event *event)
{
	struct wm_web *web = calloc(1, sizeof(*web));

	*out = web;
	if (!web)
		return -ENOMEM;
	web->event = event;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	web->multi = curl_multi_init();
	if (!web->multi)
		return -ENOMEM;
	curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
	curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
	return sd_event_add_time(event, &web->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, web);
}

void wm_web__free(struct wm_web *web)
{
	if (!web)
		return;
	curl_multi_cleanup(web->multi);
	sd_event_source_disable_unref(web->timer);
	curl_global_cleanup();
	free(web);
}

/* --- one request --- */

static void free_request(struct wm_web_request *q)
{
	if (q->easy) {
		curl_multi_remove_handle(q->web->multi, q->easy);
		curl_easy_cleanup(q->easy);
	}
	curl_slist_free_all(q->headers);
	curl_slist_free_all(q->address);
	free(q->body);
	free(q);
}

static bool set_host(struct wm_web_request *q, const char *host)
{
	char line[HOST_TEXT];

	if (!host)
		return true;
	snprintf(line, sizeof(line), "Host: %s", host);
	q->headers = curl_slist_append(NULL, line);
	return q->headers && !curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers);
}

static bool set_options(struct wm_web_request *q, const char *url)
{
	CURL *e = q->easy;

	return !curl_easy_setopt(e, CURLOPT_URL, url) &&
	       !curl_easy_setopt(e, CURLOPT_PRIVATE, q) &&
	       !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(e, CURLOPT_NOPROXY, "*") &&
	       !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L) &&
	       !curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L) &&
	       !curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) &&
	       !curl_easy_setopt(e, CURLOPT_USERAGENT, "waymark-health/" WM_VERSION) &&
	       !curl_easy_setopt(e, CURLOPT_ERRORBUFFER, q->error) &&
	       !curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) &&
	       !curl_easy_setopt(e, CURLOPT_HEADERDATA, q) &&
	       !curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) &&
	       !curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
}

static bool is_https(const struct wm_check *check)
{
	return check->type == WM_CHECK_HTTPS;
}

/* Whom a certificate is trusted by, and whose it has to be. */
static bool set_tls(struct wm_web_request *q, const struct wm_probe *probe)
{
	const struct wm_check *check = &probe->check;
	char endpoint[WM_ENDPOINT_TEXT], line[WM_ENDPOINT_TEXT + 2];
	CURL *e = q->easy;

	if (!is_https(check))
		return true;
	/* Whatever host and port the URL has. */
	snprintf(line, sizeof(line), "::%s",
		 wm_endpoint__format(&probe->address, htons(check->port), endpoint));
	q->address = curl_slist_append(NULL, line);
	return q->address && !curl_easy_setopt(e, CURLOPT_CONNECT_TO, q->address) &&
	       !curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, (long)check->verify) &&
	       !curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, check->verify ? 2L : 0L) &&
	       (!check->ca || (!curl_easy_setopt(e, CURLOPT_CAINFO, check->ca) &&
			       !curl_easy_setopt(e, CURLOPT_CAPATH, NULL)));
}

static void make_url(const struct wm_probe *probe, char url[URL_TEXT])
{
	const struct wm_check *check = &probe->check;
	char endpoint[WM_ENDPOINT_TEXT];

	wm_endpoint__format(&probe->address, htons(check->port), endpoint);
	if (is_https(check) && check->host)
		snprintf(url, URL_TEXT, "https://%s:%u%s", check->host, check->port,
			 check->path ?: "/");
	else
		snprintf(url, URL_TEXT, "%s://%s%s", is_https(check) ? "https" : "http", endpoint,
			 check->path ?: "/");
}

static bool begin(struct wm_run *run)
{
	const struct wm_check *check = &run->probe->check;
	struct wm_web_request *q = calloc(1, sizeof(*q));
	char url[URL_TEXT];

	run->request = q;
	if (!q)
		return false;
	q->run = run;
	q->web = run->web;
	q->easy = curl_easy_init();
	q->body = check->body ? malloc(BODY_MAX) : NULL;
	make_url(run->probe, url);
	return q->easy && (q->body || !check->body) && set_options(q, url) &&
	       set_host(q, check->host) && set_tls(q, run->probe) &&
	       !curl_multi_add_handle(run->web->multi, q->easy);
}

static void http_start(struct wm_run *run)
{
	if (!begin(run))
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, ENOMEM, "out of memory");
}

static void http_stop(struct wm_run *run)
{
	if (run->request)
		free_request(run->request);
	run->request = NULL;
}

const struct wm_run_ops wm_run_http = { http_start, http_stop, "no answer" };
