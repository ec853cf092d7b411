/* SPDX-License-Identifier: ISC */
/* ask SOCKET: sends standard input there, and prints what comes back. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char buffer[4096];
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 2 || connection < 0 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    if (connect(connection, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror("ask");
        return 1;
    }
    size_t length = fread(buffer, 1, sizeof buffer, stdin);
    if (send(connection, buffer, length, MSG_NOSIGNAL) != (ssize_t)length ||
        shutdown(connection, SHUT_WR) != 0)
        return 1;
    for (ssize_t count; (count = read(connection, buffer, sizeof buffer)) > 0;)
        (void)fwrite(buffer, 1, (size_t)count, stdout);
    return 0;
}
