/* SPDX-License-Identifier: GPL-2.0 */
/* Text that grows: what one scrape is answered with. */
#ifndef WM_PAGE_H
#define WM_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {} is empty. `failed`: memory ran out, and what was to be written is not there. */
struct wm_page {
	char *data;
	size_t len, size;
	bool failed;
};

void wm_page__free(struct wm_page *page);
/* Room for `len` bytes more: where they go, or NULL. Whoever has written some of them adds
 * their number to `len`. */
char *wm_page__room(struct wm_page *page, size_t len);
void wm_page__put(struct wm_page *page, const char *data, size_t len);
void wm_page__text(struct wm_page *page, const char *text);
void wm_page__number(struct wm_page *page, uint64_t number);
/* As the value of a label, without its quotation marks: those inside, backslashes and ends of
 * lines are escaped, and what is no UTF-8 is left out. */
void wm_page__label(struct wm_page *page, const char *text);
/* A label, name="text"; the name is taken as it is, with the bracket or comma before it. */
void wm_page__named_label(struct wm_page *page, const char *name, const char *text);

/* The digits of a number; returns the end, without a NUL. */
enum { WM_NUMBER_DIGITS = 20 };
char *wm_number__write(char *to, uint64_t number);

#endif
