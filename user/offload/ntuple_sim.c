// SPDX-License-Identifier: GPL-2.0
/*
 * The software NIC as a driver that takes n-tuple rules: its mark is the rule's location.
 * It refuses as ice does: a location out of range with -ENOSPC, a rule that is there
 * already with -EINVAL, a look at an empty location with -EINVAL. Its rules have no TCP
 * flags, so a connection's SYN, FIN and RST come marked.
 *
 * The NIC's table is by flow, so who is at which location is kept here, and read anew
 * from the table with each listing.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ntuple.h"
#include "ntuple_spec.h"
#include "simnic.h"

enum { QUEUES = 4, BATCH = 4096 /* far above what one bucket of the map may hold */ };

struct driver {
	struct wm_simnic nic;
	uint32_t n;      /* locations: as many as a mark can name */
	uint32_t asked;  /* insertions so far, for install_every */
	struct wm_flow *flow; /* by location; family 0: no rule */
	struct wm_flow *keys; /* of one batch */
	struct wm_softnic_rule *values;
};

static void driver_close(void *arg)
{
	struct driver *d = arg;

	wm_simnic__close(&d->nic);
	free(d->flow);
	free(d->keys);
	free(d->values);
	free(d);
}

/* --- the table --- */

static void note(struct driver *d, uint32_t n, uint32_t *rules)
{
	for (uint32_t i = 0; i < n; i++) {
		if (d->values[i].mark >= d->n)
			continue;
		d->flow[d->values[i].mark] = d->keys[i];
		++*rules;
	}
}

static int read_table(struct driver *d, uint32_t *rules)
{
	__u32 position, count;
	void *from = NULL;
	int ret;

	*rules = 0;
	memset(d->flow, 0, d->n * sizeof(*d->flow));
	do {
		count = BATCH;
		ret = bpf_map_lookup_batch(d->nic.rules_fd, from, &position, d->keys, d->values,
					   &count, NULL);
		if (ret && ret != -ENOENT)
			return ret;
		note(d, count, rules);
		from = &position;
	} while (!ret);
	return 0;
}

/* The rule at this location, if it is still in the table. */
static bool is_there(struct driver *d, uint32_t at)
{
	struct wm_softnic_rule value;

	return at < d->n && d->flow[at].family &&
	       !bpf_map_lookup_elem(d->nic.rules_fd, &d->flow[at], &value) && value.mark == at;
}

/* --- requests --- */

static int act_fault(struct driver *d)
{
	uint32_t every = d->nic.ctl->install_every;

	d->asked++;
	return d->nic.ctl->install_errno && (!every || d->asked % every == 0) ?
	       -(int)d->nic.ctl->install_errno : 0;
}

static int insert(struct driver *d, const struct ethtool_rx_flow_spec *spec)
{
	struct wm_softnic_rule value = { .mark = spec->location }, old;
	struct wm_flow flow;
	int ret;

	if (!wm_ntuple__read(spec, &flow) || spec->ring_cookie >= QUEUES)
		return -EOPNOTSUPP;
	if (spec->location >= d->n)
		return -ENOSPC;
	ret = act_fault(d);
	if (ret || d->nic.ctl->install_lose)
		return ret;
	if (!bpf_map_lookup_elem(d->nic.rules_fd, &flow, &old))
		return -EINVAL;
	if (is_there(d, spec->location))
		bpf_map_delete_elem(d->nic.rules_fd, &d->flow[spec->location]);
	ret = bpf_map_update_elem(d->nic.rules_fd, &flow, &value, BPF_ANY);
	if (!ret)
		d->flow[spec->location] = flow;
	return ret == -E2BIG ? -ENOSPC : ret;
}

static int take_out(struct driver *d, uint32_t at)
{
	int ret;

	if (d->nic.ctl->remove_errno)
		return -(int)d->nic.ctl->remove_errno;
	if (!is_there(d, at))
		return -ENOENT;
	if (d->nic.ctl->remove_lose)
		return 0;
	ret = bpf_map_delete_elem(d->nic.rules_fd, &d->flow[at]);
	if (!ret)
		d->flow[at].family = 0;
	return ret;
}

static int show(struct driver *d, struct ethtool_rx_flow_spec *spec)
{
	if (!is_there(d, spec->location))
		return -EINVAL;
	wm_ntuple__write(spec, &d->flow[spec->location], spec->location, QUEUES);
	return 0;
}

static int list(struct driver *d, struct ethtool_rxnfc *request)
{
	uint32_t rules, n = 0;
	int ret = read_table(d, &rules);

	request->data = d->n;
	for (uint32_t at = 0; !ret && at < d->n; at++) {
		if (!d->flow[at].family)
			continue;
		if (n == request->rule_cnt)
			return -EMSGSIZE;
		request->rule_locs[n++] = at;
	}
	request->rule_cnt = n;
	return ret;
}

static int answer(void *arg, void *data)
{
	struct ethtool_rxnfc *request = data;
	struct driver *d = arg;

	switch (request->cmd) {
	case ETHTOOL_GRXRINGS:
		request->data = QUEUES;
		return 0;
	case ETHTOOL_GRXCLSRLCNT:
		request->data = d->n;
		return read_table(d, &request->rule_cnt);
	case ETHTOOL_GRXCLSRLALL:
		return list(d, request);
	case ETHTOOL_GRXCLSRULE:
		return show(d, &request->fs);
	case ETHTOOL_SRXCLSRLINS:
		return insert(d, &request->fs);
	case ETHTOOL_SRXCLSRLDEL:
		return take_out(d, request->fs.location);
	}
	return -EOPNOTSUPP;
}

int wm_ntuple__software_nic(struct wm_ethtool_io *io, const char *dir, struct wm_err *err)
{
	struct driver *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return wm_err__sys(err, -ENOMEM, "offload ntuple");
	ret = wm_simnic__open(&d->nic, dir, err);
	if (ret) {
		free(d);
		return ret;
	}
	d->n = d->nic.capacity + 1; /* location 0 marks nothing */
	if (d->nic.ctl->mark_bits < 32 && d->n > 1u << d->nic.ctl->mark_bits)
		d->n = 1u << d->nic.ctl->mark_bits;
	d->flow = calloc(d->n, sizeof(*d->flow));
	d->keys = calloc(BATCH, sizeof(*d->keys));
	d->values = calloc(BATCH, sizeof(*d->values));
	if (!d->flow || !d->keys || !d->values) {
		driver_close(d);
		return wm_err__sys(err, -ENOMEM, "offload ntuple");
	}
	*io = (struct wm_ethtool_io){ answer, driver_close, d };
	return 0;
}
