/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a health check is and how its results change what a vip does with its reals. Nothing
 * is asked of a server here: user/health/ does that.
 */
#ifndef WM_HEALTHCHECK_H
#define WM_HEALTHCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wm_check_type {
	WM_CHECK_NONE, WM_CHECK_TCP, WM_CHECK_HTTP, WM_CHECK_HTTPS, WM_CHECK_UDP, WM_CHECK_ICMP,
	WM_CHECK_SCRIPT,
};
/* How files and messages spell them, by value; NULL at the end. */
extern const char *const wm_check_words[];

/* What becomes of a vip when all of its reals are down. */
enum wm_check_fail {
	WM_CHECK_FAIL_OPEN,   /* they are served as if all of them were up */
	WM_CHECK_FAIL_CLOSED, /* nobody is */
};

/* How the reals of a vip are checked: the key `check` of the configuration. */
struct wm_check {
	enum wm_check_type type;
	uint16_t port;    /* host byte order; 0: the vip's */
	/* Of HTTP and HTTPS: */
	char *path;       /* NULL: "/" */
	char *host;       /* header, and the name that a certificate is for; NULL: the real's
			   * address */
	uint16_t status_min, status_max; /* good answers; 0: see below */
	/* Of HTTPS: */
	bool verify;      /* the certificate */
	char *ca;         /* file of those that are trusted; NULL: the system's */

	char *send;       /* of UDP: what to send, see wm_check__unescape() */
	char *body;       /* a text that the answer has to contain; NULL: any will do */
	char *script;     /* program and arguments, by blanks */
	uint64_t interval_ns, timeout_ns; /* the timeout is not longer than the interval */
	uint32_t jitter;  /* percent of the interval, by which it is longer or shorter */
	uint32_t rise, fall; /* results in a row that make a real up, and down */
	uint64_t hold_ns; /* one that went down is down for so long at least */
	enum wm_check_fail fail;
	uint32_t max_down; /* percent of a vip's reals that checks may take out */
};

enum { WM_CHECK_STATUS_MIN = 200, WM_CHECK_STATUS_MAX = 399 }; /* unless given */

enum { WM_CHECK_SEND_MAX = 512 }; /* bytes of a datagram */
enum { WM_CHECK_SCRIPT_WORDS = 32 }; /* the program's included */

/* `text` with \xNN, \n, \r, \t and \\ as the bytes that they mean, in `to`, which has
 * WM_CHECK_SEND_MAX bytes. How many they are, or -EINVAL: another backslash, too many, none. */
int wm_check__unescape(const char *text, uint8_t *to);

/* A port has to be known for it. */
bool wm_check__needs_port(const struct wm_check *check);

/* Frees its texts, not itself. */
void wm_check__clear(struct wm_check *check);
/* `to` gets texts of its own. 0 or -ENOMEM, and then it has none. */
int wm_check__copy(struct wm_check *to, const struct wm_check *from);
/* The same questions, asked as often, and judged alike; fail and max_down do not count. */
bool wm_check__same(const struct wm_check *a, const struct wm_check *b);

enum wm_health_state { WM_HEALTH_UNCHECKED, WM_HEALTH_UP, WM_HEALTH_DOWN };
extern const char *const wm_health_words[]; /* by value; NULL at the end */

/* One real of a vip, when it is decided which of them are given new flows. */
struct wm_standing {
	bool eligible;     /* it has a weight and can be reached */
	bool down;         /* by its check */
	uint64_t since_ns; /* went down then; any clock */
	size_t place;      /* in the caller's list; breaks ties */
	bool out;          /* the result */
};

/*
 * Which of them get no new flows because of their checks: those that are down; but no more
 * than max_down of the eligible ones, and those first that went down first; and if all are
 * down, all or none as `fail` says. The list comes back in any order. Returns how many are out.
 */
size_t wm_standing__judge(const struct wm_check *check, struct wm_standing *list, size_t n);

#endif
