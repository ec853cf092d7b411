/* SPDX-License-Identifier: ISC */
/*
 * sign KEY.pem FILE SIGNATURE
 *
 * Signs FILE with the Ed25519 key in KEY.pem (PKCS#8, as openssl genpkey writes it) and
 * writes the 64 bytes of the signature. Prints what the kernel says of the key's memory.
 * Exits with 0; with 1 and one line on standard error where it could not; with 2 where
 * it was called wrongly.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include <securemem.h>

#include "file.h"
#include "key.h"
#include "report.h"
#include "say.h"

/* Says what is wrong with path, if anything. */
static int passed(const char *path, const char *wrong)
{
    if (wrong != NULL)
        say(path, wrong);
    return wrong == NULL;
}

static int sign(const char *key_path, const char *message_path, const char *out_path)
{
    const char *const inputs[2] = {key_path, message_path};
    unsigned char signature[KEY_SIGNATURE_SIZE];
    unsigned char *key;
    unsigned char *message;
    size_t size;
    int status = EXIT_FAILURE;

    if (!passed(message_path, file_read_message(message_path, &message, &size)))
        return status;
    if (!passed(key_path, key_load(key_path, &key)))
        goto free_message;
    (void)passed(key_path, file_exposure(key_path));
    if (passed(key_path, report_protection(stdout, key)) &&
        passed(key_path, key_sign(key, message, size, signature)) &&
        passed(out_path,
               file_write_signature(out_path, signature, sizeof signature, inputs)))
        status = EXIT_SUCCESS;
    securemem_free(key);
free_message:
    free(message);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fputs("usage: sign KEY.pem FILE SIGNATURE\n", stderr);
        return 2;
    }
    if (sodium_init() < 0) {
        (void)fputs("sign: libsodium does not start\n", stderr);
        return EXIT_FAILURE;
    }
    return sign(argv[1], argv[2], argv[3]);
}
