// SPDX-License-Identifier: GPL-2.0
#include "plain.h"

#include <errno.h>
#include <sys/socket.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

void wm_plain__refuse_rights(int sock)
{
	const int no = 0, yes = 1;

	/* Older kernels do not know it. Out-of-band data shall be as all others there. */
	setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
	setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes));
}

/* A look says whether descriptors come with these bytes; taking just as many bytes takes
 * no more than was seen. */
ssize_t wm_plain__recv(int sock, void *data, size_t size)
{
	struct iovec part = { data, size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t got;

	do
		got = recvmsg(sock, &header, MSG_PEEK | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (header.msg_flags & MSG_CTRUNC)
		return -EPERM;
	if (!got)
		return 0;
	got = recv(sock, data, got, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}
