/* SPDX-License-Identifier: ISC */
/* agent: an SSH agent whose keys are sealed while nobody signs. What it does is in --help. */
#include <stdio.h>

#include "options.h"
#include "say.h"
#include "start.h"

static const char help[] =
    "usage: agent [-c | -s] [-a SOCKET] [-t TIME] [-D | -d]\n"
    "       agent [-a SOCKET] [-t TIME] COMMAND [ARGUMENT ...]\n"
    "       agent [-c | -s] -k\n"
    "\n"
    "Holds private keys for ssh(1), ssh-add(1), ssh-keygen(1) and git(1), as ssh-agent\n"
    "does: eval \"$(agent)\", then ssh-add. Keys are Ed25519, ECDSA and RSA; with RSA it\n"
    "signs by SHA-2 alone. A key is ciphertext but for the moment of a signature.\n"
    "\n"
    "  -a SOCKET  listen there; otherwise in a new folder below $TMPDIR\n"
    "  -t TIME    keys that come without a lifetime have this one: 3600, 1h, 1h30m\n"
    "  -D, -d     stay in the foreground\n"
    "  -s, -c     words for sh(1) or csh(1); otherwise as $SHELL ends\n"
    "  -k         end the agent that $SSH_AGENT_PID names\n"
    "  COMMAND    run it with the agent beside it, which ends with it\n"
    "\n"
    "$SSH_ASKPASS, or /usr/bin/ssh-askpass, asks for keys added with ssh-add -c. Only\n"
    "processes of the same user are served, not root's. SIGTERM, SIGINT and SIGHUP end\n"
    "the agent; all keys are wiped.\n"
    "\n"
    "1.5 MiB of the lock limit (ulimit -l) are needed to start, and 0.5 MiB from then on.\n"
    "\n"
    "Exits with 0; with 1 and a line on standard error where it could not; with 2 where\n"
    "it was called wrongly.\n";

int main(int argc, char **argv)
{
    struct options options;
    const char *wrong = options_read(argc, argv, &options);
    if (wrong != NULL) {
        say(wrong);
        return 2;
    }
    if (options.help)
        return fputs(help, stdout) < 0;
    return options.kills ? stop(&options) : start(&options);
}
