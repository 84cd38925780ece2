/* SPDX-License-Identifier: GPL-2.0 */
/* Text in the language of manual pages, mdoc(7). */
#ifndef WM_MDOC_H
#define WM_MDOC_H

#include <stdio.h>

/* Text as running text, each sentence on a line of its own. */
void mdoc__text(FILE *file, const char *text);

/*
 * Text as arguments of a macro, one if `blank` is "\\ ". A word of two letters may
 * be a macro's name (At, In, No, St) and a lone punctuation mark has a meaning
 * of its own, hence the zero-width \& in front.
 */
void mdoc__words(FILE *file, const char *text, const char *blank);
/* One argument, whatever is in it. */
void mdoc__word(FILE *file, const char *text);

#endif
