// SPDX-License-Identifier: GPL-2.0
/* Generic netlink: what a family is, what its queues are, and a device's resources. */
#include "devlink.h"
#include "fuzz_nl.h"
#include "queue.h"

static void on_queue(void *arg, const struct wm_queue *queue)
{
	(void)arg;
	fuzz_require(queue->ifindex);
	fuzz_require(wm_queue_type__name(queue->type) && wm_queue_state__name(queue->state));
	wm_queue_memory__name(queue->memory);
}

static void ask_queues(const struct wm_nl_io *io)
{
	struct wm_queues *queues;
	struct wm_queue queue;
	struct wm_err err;

	if (wm_queues__open_io(&queues, io, &err))
		return;
	wm_queues__list(queues, 0, on_queue, NULL, &err);
	wm_queues__get(queues, "lo", 0, &queue, &err);
	wm_queues__close(queues);
}

static void ask_resources(const struct wm_nl_io *io)
{
	struct wm_devlink_resource resource;
	struct wm_genl *genl;

	if (wm_genl__open_io(&genl, io, "devlink", NULL))
		return;
	wm_devlink__ask(genl, 0, "", "flow-table", &resource);
	wm_genl__close(genl);
}

static void read_notification(struct fuzz *in)
{
	struct nlmsghdr *msg = fuzz_message(in->data, in->left);
	struct wm_queue queue;

	if (msg && wm_queue__read(msg, &queue))
		on_queue(NULL, &queue);
	free(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct fuzz_kernel kernel = { .in = &in };
	struct wm_nl_io io = fuzz_kernel_io(&kernel);

	switch (fuzz_u8(&in) % 3) {
	case 0:
		ask_queues(&io);
		break;
	case 1:
		ask_resources(&io);
		break;
	default:
		read_notification(&in);
	}
	return 0;
}
