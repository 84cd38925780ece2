// SPDX-License-Identifier: GPL-2.0
#include "xdpmode.h"

#include <string.h>

const char *const wm_xdp_mode_words[] = {
	[WM_XDP_AUTO] = "auto",
	[WM_XDP_NATIVE] = "native",
	[WM_XDP_GENERIC] = "generic",
	NULL,
};

int wm_xdp_mode__parse(const char *word)
{
	for (int mode = 0; wm_xdp_mode_words[mode]; mode++)
		if (!strcmp(wm_xdp_mode_words[mode], word))
			return mode;
	return -1;
}
