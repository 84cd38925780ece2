// SPDX-License-Identifier: GPL-2.0
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "words.h"

enum { FILE_MAX_BYTES = 32 << 20 }; /* 65535 rows take about 12 MiB */

const char *const wm_admin_words[] = { "enabled", "drained", "disabled", NULL };

/* --- the table --- */

void wm_admin__free(struct wm_admin *admin)
{
	free(admin->entry);
	*admin = (struct wm_admin){};
}

int wm_admin__copy(struct wm_admin *to, const struct wm_admin *from)
{
	*to = (struct wm_admin){ .entry = calloc(from->n + 1, sizeof(*to->entry)), .n = from->n };
	if (!to->entry) {
		to->n = 0;
		return -ENOMEM;
	}
	if (from->n)
		memcpy(to->entry, from->entry, from->n * sizeof(*to->entry));
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct wm_admin_entry *a = left, *b = right;

	return wm_service__compare(&a->service, &b->service) ?:
	       wm_addr__compare(&a->real, &b->real);
}

/* Whom an entry is of. The number of a local consumer is another one in another file. */
static struct wm_admin_entry key_of(const struct wm_service *service, const struct wm_addr *real)
{
	struct wm_admin_entry key = { .service = *service, .real = *real };

	if (real->family == WM_LOCAL)
		wm_addr__local((const char *)real->word, &key.real);
	return key;
}

static struct wm_admin_entry *find(const struct wm_admin *admin,
				   const struct wm_admin_entry *key)
{
	if (!admin || !admin->n)
		return NULL;
	return bsearch(key, admin->entry, admin->n, sizeof(*admin->entry), compare);
}

const struct wm_admin_entry *wm_admin__find(const struct wm_admin *admin,
					    const struct wm_service *service,
					    const struct wm_addr *real)
{
	const struct wm_admin_entry key = key_of(service, real);

	return find(admin, &key);
}

static void take_out(struct wm_admin *admin, struct wm_admin_entry *entry)
{
	size_t behind = admin->entry + admin->n - (entry + 1);

	memmove(entry, entry + 1, behind * sizeof(*entry));
	admin->n--;
}

static int put_in(struct wm_admin *admin, const struct wm_admin_entry *entry)
{
	struct wm_admin_entry *grown = reallocarray(admin->entry, admin->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	admin->entry = grown;
	grown[admin->n++] = *entry;
	qsort(grown, admin->n, sizeof(*grown), compare);
	return 0;
}

int wm_admin__set(struct wm_admin *admin, const struct wm_service *service,
		  const struct wm_addr *real, enum wm_admin_state state, uint64_t since_s)
{
	struct wm_admin_entry wanted = key_of(service, real), *is = find(admin, &wanted);

	wanted.state = state;
	wanted.since_s = since_s;
	if (!is)
		return state == WM_ADMIN_ENABLED ? 0 : put_in(admin, &wanted);
	if (state == WM_ADMIN_ENABLED)
		take_out(admin, is);
	else if (is->state != state)
		*is = wanted;
	return 0;
}

/* --- the configuration --- */

static struct wm_service service_of(const struct wm_config_vip *vip)
{
	return (struct wm_service){ vip->address, vip->port, vip->proto };
}

size_t wm_admin__keep(struct wm_admin *admin, const struct wm_config *config)
{
	size_t before = admin->n, n = 0;
	bool *kept = admin->n ? calloc(admin->n, sizeof(*kept)) : NULL;

	if (!kept)
		return 0; /* another time */
	for (size_t i = 0; i < config->n_vips; i++) {
		const struct wm_service service = service_of(&config->vips[i]);

		for (size_t k = 0; k < config->vips[i].n_reals; k++) {
			const struct wm_admin_entry *e =
				wm_admin__find(admin, &service, &config->vips[i].reals[k].address);

			if (e)
				kept[e - admin->entry] = true;
		}
	}
	for (size_t i = 0; i < before; i++)
		if (kept[i])
			admin->entry[n++] = admin->entry[i];
	admin->n = n;
	free(kept);
	return before - n;
}

void wm_admin__mark(const struct wm_admin *admin, const struct wm_config_vip *vip,
		    struct wm_config_real *reals)
{
	const struct wm_service service = service_of(vip);

	for (size_t i = 0; admin && admin->n && i < vip->n_reals; i++) {
		const struct wm_admin_entry *e = wm_admin__find(admin, &service,
								&reals[i].address);

		reals[i].drained = e && e->state == WM_ADMIN_DRAINED;
		reals[i].away |= e && e->state == WM_ADMIN_DISABLED;
	}
}

/* --- the file --- */

static int parse_real(const char *text, struct wm_addr *real)
{
	static const char local[] = "local:";

	if (strncmp(text, local, sizeof(local) - 1))
		return wm_addr__parse(text, real);
	wm_addr__local(text + sizeof(local) - 1, real);
	return 0;
}

static int take_row(struct wm_admin *admin, json_t *row)
{
	const char *vip, *real, *word;
	struct wm_service service;
	struct wm_addr address;
	json_int_t since;
	int state;

	if (json_unpack(row, "{ss ss ss sI !}", "vip", &vip, "real", &real, "state", &word,
			"since", &since) ||
	    wm_service__parse(vip, &service) || parse_real(real, &address) || since < 0)
		return -EINVAL;
	state = wm_words__find(wm_admin_words, word);
	if (state < WM_ADMIN_DRAINED)
		return -EINVAL;
	return wm_admin__set(admin, &service, &address, state, since);
}

static int take_rows(struct wm_admin *admin, const json_t *list, const char *path,
		     struct wm_err *err)
{
	json_t *row;
	size_t i;
	int ret;

	if (!json_is_array(list))
		return wm_err__set(err, -EINVAL, "%s: a list \"reals\" is missing", path);
	json_array_foreach(list, i, row) {
		ret = take_row(admin, row);
		if (ret)
			return wm_err__sys(err, ret, "%s: real number %zu", path, i + 1);
	}
	return 0;
}

/* What is no file, or a huge one, is not read. */
static int open_file(const char *path, struct wm_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot read %s", path);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_BYTES)
		return fd;
	close(fd);
	return wm_err__set(err, -EINVAL, "%s: this is no file of ours", path);
}

int wm_admin__load(struct wm_admin *admin, const char *path, struct wm_err *err)
{
	json_error_t where;
	int fd, ret;
	json_t *o;

	*admin = (struct wm_admin){};
	fd = open_file(path, err);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	o = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
	close(fd);
	ret = o ? take_rows(admin, json_object_get(o, "reals"), path, err) :
		wm_err__set(err, -EINVAL, "%s:%d: %s", path, where.line, where.text);
	json_decref(o);
	if (ret)
		wm_admin__free(admin);
	return ret;
}

static json_t *row_of(const struct wm_admin_entry *e)
{
	char vip[WM_SERVICE_TEXT], real[WM_ADDR_TEXT];

	return json_pack("{ss ss ss sI}", "vip", wm_service__format(&e->service, vip), "real",
			 wm_addr__format(&e->real, real), "state", wm_admin_words[e->state],
			 "since", (json_int_t)e->since_s);
}

static char *text_of(const struct wm_admin *admin)
{
	json_t *list = json_array(), *o = json_pack("{so}", "reals", list);
	char *text = NULL;
	int ret = o ? 0 : -1;

	for (size_t i = 0; i < admin->n && !ret; i++)
		ret = json_array_append_new(list, row_of(&admin->entry[i]));
	if (!ret)
		text = json_dumps(o, JSON_INDENT(1));
	json_decref(o);
	return text;
}

static int write_whole(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	for (size_t done = 0; done < len; done += n) {
		n = write(fd, text + done, len - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
	}
	return fsync(fd) ? -errno : 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644), ret;

	if (fd < 0)
		return -errno;
	ret = write_whole(fd, text);
	close(fd);
	return ret;
}

/* A name that was changed is on the disk when its directory is. */
static int put_in_place(const char *new, const char *path, const char *dir)
{
	int fd, ret;

	if (rename(new, path))
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

int wm_admin__save(const struct wm_admin *admin, const char *path, struct wm_err *err)
{
	char copy[PATH_MAX], new[PATH_MAX], *dir, *text = text_of(admin);
	int ret = text ? 0 : -ENOMEM;

	if (!ret && snprintf(new, sizeof(new), "%s.new", path) >= (int)sizeof(new))
		ret = -ENAMETOOLONG;
	if (!ret) {
		strcpy(copy, path);
		dir = dirname(copy);
		if (mkdir(dir, 0755) && errno != EEXIST)
			ret = -errno;
		else
			ret = write_file(new, text) ?: put_in_place(new, path, dir);
	}
	free(text);
	return ret ? wm_err__sys(err, ret, "cannot write %s, so that it would not outlast the "
				 "daemon", path) : 0;
}
