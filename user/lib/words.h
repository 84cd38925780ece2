/* SPDX-License-Identifier: GPL-2.0 */
/* Words that stand for numbers. */
#ifndef WM_WORDS_H
#define WM_WORDS_H

/* The place of `text` in a list that ends with NULL; -1: it is not there, or `text` is NULL. */
int wm_words__find(const char *const *words, const char *text);

#endif
