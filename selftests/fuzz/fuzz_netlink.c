// SPDX-License-Identifier: GPL-2.0
/* Answers of the kernel, to one question and to a batch: each request has one answer at
 * most, in order, whatever comes. */
#include "fuzz_nl.h"

enum { REQUESTS = 5 };

struct seen {
	size_t next;
};

static int on_message(const struct nlmsghdr *msg, void *arg)
{
	unsigned int *sum = arg;
	const uint8_t *byte = mnl_nlmsg_get_payload(msg);

	for (size_t i = 0; i < mnl_nlmsg_get_payload_len(msg); i++)
		*sum += byte[i];
	return *sum & 1 ? MNL_CB_OK : MNL_CB_ERROR;
}

static void on_answer(void *arg, size_t i, int result, const char *words)
{
	struct seen *seen = arg;

	(void)result;
	fuzz_require(i == seen->next && i < REQUESTS);
	fuzz_require(strlen(words) < WM_NL_WORDS);
	seen->next++;
}

static void ask(struct wm_nl *nl, uint16_t flags)
{
	char words[WM_NL_WORDS];
	unsigned int sum = 0;

	wm_nl__begin(nl);
	wm_nl__add(nl, NLMSG_MIN_TYPE, flags);
	wm_nl__ask(nl, on_message, &sum, words);
	fuzz_require(strlen(words) < sizeof(words));
}

static void run(struct wm_nl *nl)
{
	struct seen seen = {};

	wm_nl__begin(nl);
	for (int i = 0; i < REQUESTS; i++)
		wm_nl__add(nl, NLMSG_MIN_TYPE, NLM_F_ACK);
	fuzz_require(!wm_nl__run(nl, on_answer, &seen));
	fuzz_require(seen.next == REQUESTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct fuzz_kernel kernel = { .in = &in };
	struct wm_nl_io io = fuzz_kernel_io(&kernel);
	struct wm_nl *nl;

	if (wm_nl__open_io(&nl, &io))
		return 0;
	switch (fuzz_u8(&in) % 3) {
	case 0:
		ask(nl, 0);
		break;
	case 1:
		ask(nl, NLM_F_DUMP);
		break;
	default:
		run(nl);
	}
	wm_nl__close(nl);
	return 0;
}
