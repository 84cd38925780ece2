// SPDX-License-Identifier: GPL-2.0
#include "objects.h"

_Static_assert(sizeof(struct wm_object) == 16, "the assembler below writes two 64-bit words");

/* The assembler reads the files that the BPF compiler wrote, and writes the
 * struct too: only it knows their length. */
#define EMBED(name)                                                  \
	__asm__(".pushsection .rodata\n"                             \
		".balign 16\n"                                       \
		"elf_" #name ":\n"                                   \
		".incbin \"" WM_BPF_DIR "/" #name ".bpf.o\"\n"       \
		"elf_" #name "_end:\n"                               \
		".popsection\n"                                      \
		".pushsection .data.rel.ro,\"aw\"\n"                 \
		".balign 8\n"                                        \
		".global wm_object_" #name "\n"                      \
		"wm_object_" #name ":\n"                             \
		".quad elf_" #name "\n"                              \
		".quad elf_" #name "_end - elf_" #name "\n"          \
		".popsection\n")

EMBED(waymark);
EMBED(softnic);
EMBED(decap);
EMBED(xsk);
