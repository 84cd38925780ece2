// SPDX-License-Identifier: GPL-2.0
/*
 * The netdev family of generic netlink. Numbers are written down here because the
 * headers of the machine that builds may be older than the kernel that runs; those from
 * 64 on are of our own patches, with a gap to what Linux may number next.
 */
#include "queue.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "genl.h"

enum {
	QUEUE_GET = 10,
	QUEUE_CHANGE_NTF = 68,

	QUEUE_ID = 1,
	QUEUE_IFINDEX = 2,
	QUEUE_TYPE = 3,
	QUEUE_NAPI_ID = 4,
	QUEUE_DMABUF = 5,
	QUEUE_IO_URING = 6,
	QUEUE_XSK = 7,
	QUEUE_STATE = 64,       /* 0 running, 1 stopped */
	QUEUE_XDP_PROG_ID = 65,
	QUEUE_XDP_PROG_FD = 66, /* only asked for */
};

struct wm_queues {
	struct wm_genl *genl;
};

const char *wm_queue_type__name(enum wm_queue_type type)
{
	return type == WM_QUEUE_TX ? "tx" : "rx";
}

const char *wm_queue_state__name(enum wm_queue_state state)
{
	static const char *const names[] = {
		[WM_QUEUE_RUNNING] = "running", [WM_QUEUE_STOPPED] = "stopped",
	};

	return names[state];
}

const char *wm_queue_memory__name(enum wm_queue_memory memory)
{
	static const char *const names[] = {
		[WM_QUEUE_XSK] = "af_xdp", [WM_QUEUE_DMABUF] = "dmabuf",
		[WM_QUEUE_IO_URING] = "io_uring",
	};

	return names[memory];
}

/* --- open and close --- */

static int finish_open(struct wm_queues **out, struct wm_genl *genl, struct wm_err *err)
{
	int ret = 0;

	if (!wm_genl__has(genl, QUEUE_GET))
		ret = wm_err__set(err, -ENOSYS, "this kernel cannot list queues: its netdev family "
				  "has no queue-get (Linux 6.8 and later have it)");
	if (!ret) {
		*out = calloc(1, sizeof(**out));
		if (*out)
			(*out)->genl = genl;
		else
			ret = wm_err__sys(err, -ENOMEM, "queues");
	}
	if (ret)
		wm_genl__close(genl);
	return ret;
}

int wm_queues__open(struct wm_queues **out, struct wm_err *err)
{
	struct wm_genl *genl;
	int ret;

	*out = NULL;
	ret = wm_genl__open(&genl, "netdev", err);
	if (ret == -ENOENT)
		return -ENOSYS;
	return ret ? ret : finish_open(out, genl, err);
}

int wm_queues__open_io(struct wm_queues **out, const struct wm_nl_io *io, struct wm_err *err)
{
	struct wm_genl *genl;
	int ret;

	*out = NULL;
	ret = wm_genl__open_io(&genl, io, "netdev", err);
	if (ret == -ENOENT)
		return -ENOSYS;
	return ret ? ret : finish_open(out, genl, err);
}

void wm_queues__close(struct wm_queues *queues)
{
	if (!queues)
		return;
	wm_genl__close(queues->genl);
	free(queues);
}

/* --- what the kernel says of a queue --- */

static bool number(const struct nlattr *attr, uint32_t *value)
{
	if (mnl_attr_get_payload_len(attr) < sizeof(*value))
		return false;
	*value = mnl_attr_get_u32(attr);
	return true;
}

static void read_attribute(const struct nlattr *attr, struct wm_queue *queue)
{
	uint32_t value = 0;
	bool good = number(attr, &value);

	switch (mnl_attr_get_type(attr)) {
	case QUEUE_IFINDEX:
		queue->ifindex = value;
		break;
	case QUEUE_TYPE:
		queue->type = value == 1 ? WM_QUEUE_TX : WM_QUEUE_RX;
		break;
	case QUEUE_NAPI_ID:
		queue->napi = value;
		break;
	case QUEUE_DMABUF:
		queue->memory = WM_QUEUE_DMABUF;
		break;
	case QUEUE_IO_URING:
		queue->memory = WM_QUEUE_IO_URING;
		break;
	case QUEUE_XSK:
		queue->memory = WM_QUEUE_XSK;
		break;
	case QUEUE_STATE:
		if (good)
			queue->state = value ? WM_QUEUE_STOPPED : WM_QUEUE_RUNNING;
		break;
	case QUEUE_XDP_PROG_ID:
		queue->program = value;
		break;
	}
}

bool wm_queue__read(const struct nlmsghdr *msg, struct wm_queue *queue)
{
	const struct genlmsghdr *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attr;
	bool has_id = false;

	*queue = (struct wm_queue){};
	if (msg->nlmsg_type < NLMSG_MIN_TYPE || mnl_nlmsg_get_payload_len(msg) < sizeof(*head) ||
	    (head->cmd != QUEUE_GET && head->cmd != QUEUE_CHANGE_NTF))
		return false;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		if (mnl_attr_get_type(attr) == QUEUE_ID)
			has_id = number(attr, &queue->id);
		else
			read_attribute(attr, queue);
	}
	return has_id && queue->ifindex;
}

struct listing {
	void (*each)(void *arg, const struct wm_queue *queue);
	void *arg;
};

static int on_queue(const struct nlmsghdr *msg, void *arg)
{
	const struct listing *listing = arg;
	struct wm_queue queue;

	if (wm_queue__read(msg, &queue))
		listing->each(listing->arg, &queue);
	return MNL_CB_OK;
}

/* "cannot WHAT: Operation not supported (the kernel's words)" */
static int failed(struct wm_err *err, int ret, const char *what, const char *words)
{
	const char *hint = ret == -EPERM ? "; needs root (CAP_NET_ADMIN)" : "";

	return wm_err__set(err, ret, "%s: %s%s%s%s%s", what, strerror(-ret), *words ? " (" : "",
			   words, *words ? ")" : "", hint);
}

int wm_queues__list(struct wm_queues *queues, int ifindex,
		    void (*each)(void *arg, const struct wm_queue *queue), void *arg,
		    struct wm_err *err)
{
	struct listing listing = { each, arg };
	char words[WM_NL_WORDS];
	struct nlmsghdr *msg;
	int ret;

	msg = wm_genl__request(queues->genl, QUEUE_GET, NLM_F_DUMP);
	if (ifindex)
		mnl_attr_put_u32(msg, QUEUE_IFINDEX, ifindex);
	ret = wm_genl__ask(queues->genl, on_queue, &listing, words);
	return ret ? failed(err, ret, "cannot list queues", words) : 0;
}

/* --- one receive queue --- */

/* A request that names it; NULL: there is no such device, *ret says so. */
static struct nlmsghdr *request(struct wm_queues *queues, uint8_t command, uint16_t flags,
				const char *device, uint32_t id, int *ret, struct wm_err *err)
{
	int ifindex = if_nametoindex(device);
	struct nlmsghdr *msg;

	*ret = 0;
	if (!ifindex) {
		*ret = wm_err__sys(err, -ENODEV, "interface %s", device);
		return NULL;
	}
	msg = wm_genl__request(queues->genl, command, flags);
	mnl_attr_put_u32(msg, QUEUE_IFINDEX, ifindex);
	mnl_attr_put_u32(msg, QUEUE_TYPE, 0);
	mnl_attr_put_u32(msg, QUEUE_ID, id);
	return msg;
}

static void keep(void *arg, const struct wm_queue *queue)
{
	*(struct wm_queue *)arg = *queue;
}

int wm_queues__get(struct wm_queues *queues, const char *device, uint32_t id,
		   struct wm_queue *queue, struct wm_err *err)
{
	struct listing listing = { keep, queue };
	char words[WM_NL_WORDS], what[96];
	int ret;

	*queue = (struct wm_queue){};
	if (!request(queues, QUEUE_GET, 0, device, id, &ret, err))
		return ret;
	ret = wm_genl__ask(queues->genl, on_queue, &listing, words);
	if (!ret && !queue->ifindex)
		ret = -EPROTO;
	snprintf(what, sizeof(what), "cannot ask for rx queue %u of %s", id, device);
	return ret ? failed(err, ret, what, words) : 0;
}

static const char *word_of(enum wm_queue_action action)
{
	switch (action) {
	case WM_QUEUE_STOP:
		return "stop";
	case WM_QUEUE_START:
		return "start";
	case WM_QUEUE_RESTART:
		return "restart";
	case WM_QUEUE_SET:
		break;
	}
	return "set";
}

bool wm_queues__can(const struct wm_queues *queues, enum wm_queue_action action)
{
	return wm_genl__has(queues->genl, action);
}

int wm_queues__require(const struct wm_queues *queues, enum wm_queue_action action,
		       struct wm_err *err)
{
	if (wm_queues__can(queues, action))
		return 0;
	if (action == WM_QUEUE_SET)
		return wm_err__set(err, -ENOSYS, "this kernel cannot give a queue an XDP program "
				   "of its own: its netdev family has no queue-set (waymark's "
				   "kernel-patches/ add it); let the program have all queues");
	return wm_err__set(err, -ENOSYS, "this kernel cannot %s single queues: its netdev family "
			   "has no queue-%s (waymark's kernel-patches/ add it); all queues at "
			   "once: ip link set dev ... down, then up", word_of(action),
			   word_of(action));
}

int wm_queues__do(struct wm_queues *queues, enum wm_queue_action action, const char *device,
		  uint32_t id, struct wm_err *err)
{
	int ret = wm_queues__require(queues, action, err);
	char words[WM_NL_WORDS], what[96];

	if (ret || !request(queues, action, NLM_F_ACK, device, id, &ret, err))
		return ret;
	ret = wm_genl__ask(queues->genl, NULL, NULL, words);
	snprintf(what, sizeof(what), "cannot %s rx queue %u of %s", word_of(action), id, device);
	return ret ? failed(err, ret, what, words) : 0;
}

int wm_queues__set_program(struct wm_queues *queues, const char *device, uint32_t id, int prog_fd,
			   struct wm_err *err)
{
	int ret = wm_queues__require(queues, WM_QUEUE_SET, err);
	char words[WM_NL_WORDS], what[96];
	struct nlmsghdr *msg;

	if (ret)
		return ret;
	msg = request(queues, WM_QUEUE_SET, NLM_F_ACK, device, id, &ret, err);
	if (!msg)
		return ret;
	mnl_attr_put_u32(msg, QUEUE_XDP_PROG_FD, prog_fd);
	ret = wm_genl__ask(queues->genl, NULL, NULL, words);
	snprintf(what, sizeof(what), "cannot %s rx queue %u of %s",
		 prog_fd < 0 ? "take the program off" : "attach to", id, device);
	return ret ? failed(err, ret, what, words) : 0;
}

int wm_queues__listen(const struct wm_queues *queues, struct mnl_socket **socket,
		      struct wm_err *err)
{
	*socket = NULL;
	/* Notifications are not listed; they came with the commands. */
	if (!wm_queues__can(queues, WM_QUEUE_STOP) && !wm_queues__can(queues, WM_QUEUE_SET))
		return wm_err__set(err, -ENOSYS, "this kernel does not tell when a queue changes: "
				   "its netdev family has no queue-stop (waymark's "
				   "kernel-patches/ add it)");
	return wm_genl__listen(queues->genl, "mgmt", socket, err);
}
