// SPDX-License-Identifier: GPL-2.0
/*
 * A batch is one buffer of messages with consecutive sequence numbers, sent at
 * once. The kernel works on them inside of send() and has put every answer into the
 * socket's buffer when that returns, so reading never waits: an answer that is not
 * there got lost, because the buffer was too small for it. The buffer is made large
 * enough for a batch; where that is not allowed, lost answers are what
 * wm_nl__run() says about them.
 *
 * Answers to earlier requests (that nobody waited for) are told by their number.
 */
#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVE_SIZE = 32 * 1024, /* what the kernel fills when it dumps */
	SOCKET_BUFFER = 1 << 20,  /* a small answer counts for about 1 KiB */
	ANSWERS_MAX = 4 * WM_NL_BATCH, /* received for one batch: stale ones as well */
	READS_MAX = 64,           /* at a time, of what nobody asked for */
};

struct wm_nl {
	struct wm_nl_io io;
	struct mnl_socket *socket; /* NULL: io is somebody else's */
	uint32_t seq;              /* of the first request of the batch */
	size_t n, used;
	struct nlmsghdr *last;
	char *out, *in;
};

static ssize_t socket_send(void *arg, const void *data, size_t len)
{
	const struct wm_nl *nl = arg;

	return mnl_socket_sendto(nl->socket, data, len);
}

/* As recv(), and 0 for what does not come from the kernel. A message that is cut is one
 * that was lost. */
static ssize_t receive_from_kernel(int fd, void *data, size_t size)
{
	struct sockaddr_nl from = {};
	struct iovec where = { data, size };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
			      .msg_iov = &where, .msg_iovlen = 1 };
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (got < 0)
		return got;
	if (msg.msg_namelen != sizeof(from) || from.nl_pid)
		return 0;
	if (msg.msg_flags & MSG_TRUNC) {
		errno = ENOBUFS;
		return -1;
	}
	return got;
}

static ssize_t socket_receive(void *arg, void *data, size_t size)
{
	const struct wm_nl *nl = arg;

	return receive_from_kernel(mnl_socket_get_fd(nl->socket), data, size);
}

static void socket_close(void *arg)
{
	struct wm_nl *nl = arg;

	mnl_socket_close(nl->socket);
}

int wm_nl__open_io(struct wm_nl **out, const struct wm_nl_io *io)
{
	struct wm_nl *nl = calloc(1, sizeof(*nl));

	*out = NULL;
	if (!nl)
		return -ENOMEM;
	nl->io = *io;
	nl->seq = 1;
	nl->out = calloc(WM_NL_BATCH, WM_NL_MESSAGE);
	nl->in = malloc(RECEIVE_SIZE);
	if (!nl->out || !nl->in) {
		free(nl->out);
		free(nl->in);
		free(nl);
		return -ENOMEM;
	}
	*out = nl;
	return 0;
}

static int open_socket(struct wm_nl *nl, int protocol)
{
	int yes = 1, size = SOCKET_BUFFER, fd;

	nl->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	if (!nl->socket)
		return -errno;
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID)) {
		int ret = -errno;

		mnl_socket_close(nl->socket);
		return ret;
	}
	fd = mnl_socket_get_fd(nl->socket);
	/* All of these are wishes: without them there is less to read in a refusal. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	nl->io = (struct wm_nl_io){ socket_send, socket_receive, socket_close, nl };
	return 0;
}

int wm_nl__open(struct wm_nl **out, int protocol, struct wm_err *err)
{
	const struct wm_nl_io none = {};
	struct wm_nl *nl;
	int ret = wm_nl__open_io(&nl, &none);

	*out = NULL;
	if (!ret) {
		ret = open_socket(nl, protocol);
		if (ret)
			wm_nl__close(nl);
	}
	if (ret)
		return wm_err__sys(err, ret, "cannot open a netlink socket");
	*out = nl;
	return 0;
}

void wm_nl__close(struct wm_nl *nl)
{
	if (!nl)
		return;
	if (nl->io.close)
		nl->io.close(nl->io.arg);
	free(nl->out);
	free(nl->in);
	free(nl);
}

/* mnl_nlmsg_ok() takes a length of 2 GiB and more for a negative one, and so for a small one. */
static bool is_whole(const struct nlmsghdr *msg, int len)
{
	return len > 0 && mnl_nlmsg_ok(msg, len) && msg->nlmsg_len <= (uint32_t)len;
}

/* --- requests --- */

void wm_nl__begin(struct wm_nl *nl)
{
	nl->seq += nl->n;
	nl->n = 0;
	nl->used = 0;
	nl->last = NULL;
}

static size_t length(const struct wm_nl *nl)
{
	return nl->used + (nl->last ? MNL_ALIGN(nl->last->nlmsg_len) : 0);
}

struct nlmsghdr *wm_nl__add(struct wm_nl *nl, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *msg;

	if (nl->n == WM_NL_BATCH)
		return NULL;
	nl->used = length(nl);
	msg = mnl_nlmsg_put_header(nl->out + nl->used);
	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	msg->nlmsg_seq = nl->seq + nl->n++;
	nl->last = msg;
	return msg;
}

size_t wm_nl__added(const struct wm_nl *nl)
{
	return nl->n;
}

/* --- answers --- */

/* The text of an extended ack, cut to fit. */
static void read_words(const struct nlmsghdr *msg, char *words)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(msg);
	size_t skip = sizeof(*e), len;
	const struct nlattr *attr;

	words[0] = '\0';
	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(msg->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		skip += MNL_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	if (skip > mnl_nlmsg_get_payload_len(msg))
		return;
	mnl_attr_for_each(attr, msg, skip) {
		if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_MSG)
			continue;
		len = mnl_attr_get_payload_len(attr);
		if (len >= WM_NL_WORDS)
			len = WM_NL_WORDS - 1;
		memcpy(words, mnl_attr_get_payload(attr), len);
		words[len] = '\0';
	}
}

/* One datagram; 0: not the kernel's, -1: nothing is there. ENOBUFS says that answers were
 * lost. */
static ssize_t receive(struct wm_nl *nl)
{
	ssize_t got;

	do
		got = nl->io.receive(nl->io.arg, nl->in, RECEIVE_SIZE);
	while (got < 0 && (errno == EINTR || errno == ENOBUFS));
	return got;
}

static int send_all(struct wm_nl *nl)
{
	ssize_t sent;

	do
		sent = nl->io.send(nl->io.arg, nl->out, length(nl));
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* What an answer says, as 0 or -errno. */
static int result_of(int error)
{
	return error > 0 || error < -4095 ? -EPROTO : error;
}

/* What is left of a batch: the next request whose answer is due. */
struct run {
	struct wm_nl *nl;
	size_t next;
	wm_nl_answer answer;
	void *arg;
};

/* Requests before `until` have no answer any more. */
static void lose(struct run *run, size_t until)
{
	while (run->next < until)
		run->answer(run->arg, run->next++, -EIO, "");
}

static void take_answers(struct run *run, const struct nlmsghdr *msg, int len)
{
	char words[WM_NL_WORDS];

	for (; is_whole(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(msg);
		uint32_t i = msg->nlmsg_seq - run->nl->seq;

		if (msg->nlmsg_type != NLMSG_ERROR || i >= run->nl->n || i < run->next ||
		    mnl_nlmsg_get_payload_len(msg) < sizeof(*e))
			continue;
		lose(run, i);
		read_words(msg, words);
		run->next++;
		run->answer(run->arg, i, result_of(e->error), words);
	}
}

int wm_nl__run(struct wm_nl *nl, wm_nl_answer answer, void *arg)
{
	struct run run = { nl, 0, answer, arg };
	ssize_t got;
	int ret;

	if (!nl->n)
		return 0;
	ret = send_all(nl);
	for (int tries = 0; !ret && run.next < nl->n && tries < ANSWERS_MAX; tries++) {
		got = receive(nl);
		if (got < 0)
			break;
		take_answers(&run, (struct nlmsghdr *)nl->in, got);
	}
	if (!ret)
		lose(&run, nl->n);
	return ret;
}

/* --- one question --- */

struct question {
	uint32_t seq;
	int (*each)(const struct nlmsghdr *msg, void *arg);
	void *arg;
	char *words;
	bool dump, done, broken;
	int result;
};

static void take_end(struct question *q, const struct nlmsghdr *msg)
{
	q->done = true;
	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(int))
		q->result = result_of(*(const int *)mnl_nlmsg_get_payload(msg));
	if (q->words && msg->nlmsg_type == NLMSG_ERROR &&
	    mnl_nlmsg_get_payload_len(msg) >= sizeof(struct nlmsgerr))
		read_words(msg, q->words);
}

/* False: there is nothing in it for us. */
static bool take_parts(struct question *q, const struct nlmsghdr *msg, int len)
{
	bool any = false;

	for (; !q->done && is_whole(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
		if (msg->nlmsg_seq != q->seq)
			continue;
		any = true;
		if (msg->nlmsg_type == NLMSG_DONE || msg->nlmsg_type == NLMSG_ERROR) {
			take_end(q, msg);
			continue;
		}
		if (msg->nlmsg_type >= NLMSG_MIN_TYPE && !q->broken && q->each &&
		    q->each(msg, q->arg) < 0)
			q->broken = true;
		/* An answer of one message has no end of its own. A list has, also
		 * where (generic netlink) its parts do not say that they are parts. */
		q->done = !q->dump && !(msg->nlmsg_flags & NLM_F_MULTI);
	}
	return any;
}

int wm_nl__ask(struct wm_nl *nl, int (*each)(const struct nlmsghdr *msg, void *arg), void *arg,
	       char *words)
{
	struct question q = { .seq = nl->seq, .each = each, .arg = arg, .words = words };
	const struct nlmsghdr *asked = (const struct nlmsghdr *)nl->out;
	int ret, strays = 0;
	ssize_t got;

	if (words)
		words[0] = '\0';
	q.dump = (asked->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	ret = send_all(nl);
	while (!ret && !q.done) {
		got = receive(nl);
		if (got < 0 || strays > ANSWERS_MAX)
			return -EIO;
		strays += !take_parts(&q, (struct nlmsghdr *)nl->in, got);
	}
	if (!ret && q.broken)
		return -EPROTO;
	return ret ? ret : q.result;
}

/* --- reading --- */

const void *wm_nl__head(const struct nlmsghdr *msg, size_t size)
{
	return mnl_nlmsg_get_payload_len(msg) >= size ? mnl_nlmsg_get_payload(msg) : NULL;
}

bool wm_nl__copy(const struct nlattr *attr, void *to, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) < size)
		return false;
	memcpy(to, mnl_attr_get_payload(attr), size);
	return true;
}

int wm_nl__hear(struct mnl_socket *socket, void (*each)(const struct nlmsghdr *msg, void *arg),
		void *arg)
{
	union {
		struct nlmsghdr head;
		char bytes[RECEIVE_SIZE];
	} buffer;

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t got = receive_from_kernel(mnl_socket_get_fd(socket), &buffer,
						  sizeof(buffer));
		const struct nlmsghdr *msg = &buffer.head;
		int len = got;

		if (got < 0 && errno != EINTR)
			return errno == EAGAIN ? 0 : -errno;
		for (; is_whole(msg, len); msg = mnl_nlmsg_next(msg, &len))
			if (msg->nlmsg_type >= NLMSG_MIN_TYPE)
				each(msg, arg);
	}
	return 0;
}
