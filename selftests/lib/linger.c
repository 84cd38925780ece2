// SPDX-License-Identifier: GPL-2.0
#include "linger.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_both(struct linger_pair *pair)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);

	pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(pair->listener, (struct sockaddr *)&name, len) || listen(pair->listener, 1) ||
	    getsockname(pair->listener, (struct sockaddr *)&name, &len))
		return -1;
	pair->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(pair->sock, (struct sockaddr *)&name, len))
		return -1;
	pair->peer = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	return pair->peer < 0 ? -1 : 0;
}

int linger_open(struct linger_pair *pair)
{
	const struct linger linger = { 1, LINGER_S };
	static char bytes[65536];

	*pair = (struct linger_pair){ -1, -1, -1 };
	if (connect_both(pair))
		return -1;
	while (send(pair->sock, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	return setsockopt(pair->sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void linger_close(struct linger_pair *pair)
{
	close(pair->peer);
	close(pair->listener);
}
