// SPDX-License-Identifier: GPL-2.0
#include "counters.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int map(const volatile void **out, int fd, size_t len, struct wm_err *err)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (len + page - 1) & ~(page - 1), PROT_READ, MAP_SHARED, fd, 0);
	int code = -errno;

	close(fd);
	if (memory == MAP_FAILED)
		return wm_err__sys(err, code, "cannot map the counters");
	*out = memory;
	return 0;
}

int wm_counters__open(struct wm_counters *c, int cpus_fd, int dests_fd, struct wm_err *err)
{
	size_t dests = (size_t)c->dest_cpus << c->dest_bits;
	const volatile void *memory;
	int ret;

	ret = map(&memory, cpus_fd, c->n_cpus * sizeof(*c->cpus), err);
	c->cpus = memory;
	if (!ret)
		ret = map(&memory, dests_fd, dests * sizeof(*c->dests), err);
	c->dests = memory;
	return ret;
}

void wm_counters__all(const struct wm_counters *counters, uint64_t out[WM_COUNTERS_MAX],
		      uint64_t *bytes)
{
	memset(out, 0, WM_COUNTERS_MAX * sizeof(*out));
	*bytes = 0;
	for (uint32_t cpu = 0; cpu < counters->n_cpus; cpu++) {
		for (int c = 0; c < WM_COUNTERS_MAX; c++)
			out[c] += counters->cpus[cpu].counter[c];
		*bytes += counters->cpus[cpu].bytes;
	}
}

/* One CPU after the other: its counters lie side by side. */
void wm_counters__dests(const struct wm_counters *counters, const struct wm_facts *facts,
			struct wm_dest_stats *out)
{
	memset(out, 0, facts->n_dests * sizeof(*out));
	for (uint32_t cpu = 0; cpu < counters->dest_cpus; cpu++) {
		const volatile struct wm_dest_stats *of =
			counters->dests + ((size_t)cpu << counters->dest_bits);

		for (size_t i = 0; i < facts->n_dests; i++) {
			const volatile struct wm_dest_stats *s = &of[facts->dests[i].id];

			out[i].packets += s->packets;
			out[i].marked += s->marked;
			out[i].bytes += s->bytes;
			out[i].flows += s->flows;
		}
	}
}
