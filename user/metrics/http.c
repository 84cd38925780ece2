// SPDX-License-Identifier: GPL-2.0
/*
 * A request for the metrics is suspended until the daemon has said what is new (main.c asks it),
 * or did not do so in time. Then the text is written, once for all who wait, and each gets
 * it from the same memory: a page, which goes when nobody reads it any more.
 *
 * What strangers can take is bounded. Connections: WM_HTTP_CLIENTS, and who comes after that
 * waits until one ends. Time: a client has to send its request, and to take its answer,
 * within so many seconds, and within few when places are rare; whoever does not is cut off.
 * (libmicrohttpd's own timeout is no bound: each byte begins it anew.) Memory: a request has
 * WM_HTTP_REQUEST_BYTES, pages have WM_HTTP_PAGES_BYTES together; beyond that the answer is
 * "503 Service Unavailable". Processor time: a text serves all who ask within FRESH_NS.
 */
#include "http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SECOND_NS 1000000000ull
#define FRESH_NS (SECOND_NS / 10)
#define REQUEST_NS (90 * SECOND_NS) /* longer than scrapers' usual intervals */
#define TAKE_NS (30 * SECOND_NS)
#define CROWDED_NS (5 * SECOND_NS)

enum { CROWDED = WM_HTTP_CLIENTS * 3 / 4, SWEEP_MS = 500 };

struct shared_page {
	struct wm_http *http;
	struct wm_page text;
	uint64_t written_ns;
	unsigned int users; /* the cache, and answers under way */
};

struct client {
	int sock;          /* -1: this place is free */
	uint64_t since_ns; /* of what it is to do now */
	bool takes;        /* its answer; else it is to send a request */
	struct MHD_Connection *suspended;
	enum wm_format format;
	bool ready;        /* it has waited for its page */
};

struct wm_http {
	struct MHD_Daemon *mhd;
	struct wm_http_hooks hooks;
	struct client client[WM_HTTP_CLIENTS];
	unsigned int n_clients, n_waiting;
	struct shared_page *newest[WM_FORMATS];
	size_t pages, pages_bytes; /* in memory */
	uint64_t now_ns;
};

/* --- pages --- */

static void drop_page(void *arg)
{
	struct shared_page *page = arg;

	if (!page || --page->users)
		return;
	page->http->pages--;
	page->http->pages_bytes -= page->text.size;
	wm_page__free(&page->text);
	free(page);
}

static struct shared_page *write_page(struct wm_http *http, enum wm_format format)
{
	struct shared_page *page;

	drop_page(http->newest[format]);
	http->newest[format] = NULL;
	if (http->pages >= WM_HTTP_PAGES_MIN && http->pages_bytes >= WM_HTTP_PAGES_BYTES)
		return NULL;
	page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	http->hooks.write(http->hooks.arg, format, &page->text);
	if (page->text.failed || !page->text.len) {
		wm_page__free(&page->text);
		free(page);
		return NULL;
	}
	page->http = http;
	page->written_ns = http->now_ns;
	page->users = 1;
	http->pages++;
	http->pages_bytes += page->text.size;
	return http->newest[format] = page;
}

/* NULL: none is new enough. */
static struct shared_page *fresh_page(const struct wm_http *http, enum wm_format format)
{
	struct shared_page *page = http->newest[format];

	return page && http->now_ns - page->written_ns < FRESH_NS ? page : NULL;
}

/* --- answers --- */

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned int status,
				 const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text,
						MHD_RESPMEM_PERSISTENT);
	enum MHD_Result sent;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	sent = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return sent;
}

static enum MHD_Result send_page(struct MHD_Connection *connection, struct shared_page *page,
				 enum wm_format format)
{
	struct MHD_Response *response;
	enum MHD_Result sent;

	if (!page)
		return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				 "no answer now: waymarkd has not said anything yet, or too many "
				 "clients do not take their answers\n");
	page->users++;
	response = MHD_create_response_from_buffer_with_free_callback_cls(page->text.len,
									  page->text.data,
									  drop_page, page);
	if (!response) {
		drop_page(page);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				wm_format__content_type(format));
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	sent = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return sent;
}

static enum MHD_Result serve_metrics(struct wm_http *http, struct MHD_Connection *connection,
				     struct client *client)
{
	struct shared_page *page;
	bool ready = client->ready;

	client->ready = false;
	if (!ready)
		client->format = wm_format__choose(MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	page = fresh_page(http, client->format);
	if (!page && ready)
		page = write_page(http, client->format);
	if (page || ready)
		return send_page(connection, page, client->format);
	client->suspended = connection;
	MHD_suspend_connection(connection);
	if (!http->n_waiting++)
		http->hooks.wanted(http->hooks.arg);
	return MHD_YES;
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **context)
{
	static int seen;
	struct wm_http *http = arg;
	struct client *client = client_of(connection);

	(void)version;
	(void)data;
	if (!client)
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return *size ? MHD_NO : send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
						  "only GET and HEAD are known here\n");
	if (!*context) { /* the headers are there, and maybe a body will follow */
		*context = &seen;
		client->takes = true;
		client->since_ns = http->now_ns;
		return MHD_YES;
	}
	if (*size)
		return MHD_NO;
	if (!strcmp(url, "/metrics"))
		return serve_metrics(http, connection, client);
	if (!strcmp(url, "/"))
		return send_text(connection, MHD_HTTP_OK, "waymark: see /metrics\n");
	return send_text(connection, MHD_HTTP_NOT_FOUND, "there is /metrics here\n");
}

/* --- clients --- */

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct wm_http *http = arg;
	struct client *client = client_of(connection);

	(void)context;
	(void)how;
	if (!client)
		return;
	client->takes = client->ready = false;
	client->since_ns = http->now_ns;
}

static void begin_client(struct wm_http *http, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	for (int i = 0; i < WM_HTTP_CLIENTS && info; i++) {
		struct client *client = &http->client[i];

		if (client->sock >= 0)
			continue;
		*client = (struct client){ .sock = info->connect_fd, .since_ns = http->now_ns };
		*context = client;
		http->n_clients++;
		return;
	}
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct wm_http *http = arg;
	struct client *client = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		begin_client(http, connection, context);
	} else if (client) {
		client->sock = -1;
		http->n_clients--;
	}
}

/* Those who have had their time. */
static void sweep(struct wm_http *http)
{
	bool crowded = http->n_clients >= CROWDED;

	for (int i = 0; i < WM_HTTP_CLIENTS; i++) {
		const struct client *client = &http->client[i];
		uint64_t time = crowded ? CROWDED_NS : client->takes ? TAKE_NS : REQUEST_NS;

		if (client->sock >= 0 && http->now_ns - client->since_ns > time)
			shutdown(client->sock, SHUT_RDWR);
	}
}

/* --- the loop's side --- */

int wm_http__fd(const struct wm_http *http)
{
	return MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int wm_http__timeout(const struct wm_http *http, uint64_t now_ns)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int limit = http->n_clients ? SWEEP_MS : -1;

	(void)now_ns;
	if (MHD_get_timeout(http->mhd, &ms) != MHD_YES || (limit >= 0 && ms > (unsigned int)limit))
		return limit;
	return ms > INT32_MAX ? INT32_MAX : ms;
}

void wm_http__run(struct wm_http *http, uint64_t now_ns)
{
	http->now_ns = now_ns;
	sweep(http);
	MHD_run(http->mhd);
}

void wm_http__answer(struct wm_http *http, uint64_t now_ns)
{
	http->now_ns = now_ns;
	http->n_waiting = 0;
	for (int i = 0; i < WM_HTTP_CLIENTS; i++) {
		struct client *client = &http->client[i];

		if (client->sock < 0 || !client->suspended)
			continue;
		client->ready = true;
		MHD_resume_connection(client->suspended);
		client->suspended = NULL;
	}
	MHD_run(http->mhd);
}

int wm_http__new(struct wm_http **out, int listener, const struct wm_http_hooks *hooks,
		 struct wm_err *err)
{
	struct wm_http *http = calloc(1, sizeof(*http));

	*out = NULL;
	if (!http)
		return wm_err__sys(err, -ENOMEM, "cannot serve metrics");
	http->hooks = *hooks;
	for (int i = 0; i < WM_HTTP_CLIENTS; i++)
		http->client[i].sock = -1;
	http->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, listener,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)WM_HTTP_CLIENTS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WM_HTTP_REQUEST_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
	if (!http->mhd) {
		free(http);
		return wm_err__set(err, -EIO, "libmicrohttpd does not start");
	}
	*out = http;
	return 0;
}

void wm_http__free(struct wm_http *http)
{
	if (!http)
		return;
	wm_http__answer(http, http->now_ns); /* nothing may be suspended */
	MHD_stop_daemon(http->mhd);
	for (int i = 0; i < WM_FORMATS; i++)
		drop_page(http->newest[i]);
	free(http);
}
