/* SPDX-License-Identifier: ISC */
#include "faults/agent/notary.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/reply.h"
#include "agent/wire.h"
#include "support/need.h"

#define RSA_BITS     1024U /* the fewest that are taken: it signs thousands of times */
#define NUMBER_MOST  (RSA_BITS / 8 + 1)
#define REQUEST_MOST 1024U

static EVP_PKEY *made[NOTARY_KEYS]; /* the notary's own */

static void mask(unsigned char *out, const unsigned char *in, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = in[i] ^ NOTARY_MASK;
}

static void keep(struct notary *notary, const unsigned char *bytes, size_t size)
{
    size = size < NOTARY_VALUE ? size : NOTARY_VALUE;
    for (unsigned turned = 0; turned < 2; turned++) {
        NEED(notary->values_count < NOTARY_VALUES);
        struct notary_value *value = &notary->values[notary->values_count++];
        value->size = size;
        for (size_t i = 0; i < size; i++)
            value->bytes[i] = bytes[turned ? size - 1 - i : i] ^ NOTARY_MASK;
    }
}

static void keep_key(struct notary_key *key, const struct reply *body,
                     const struct reply *blob)
{
    NEED(!body->failed && body->size <= NOTARY_BODY && blob->size <= NOTARY_BODY);
    mask(key->body, body->bytes, body->size);
    memcpy(key->blob, blob->bytes, blob->size);
    key->body_size = body->size;
    key->blob_size = blob->size;
}

static void make_ed25519(struct notary *notary, enum notary_kind kind)
{
    struct reply body = {0}, blob = {0};
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    NEED(crypto_sign_keypair(public_key, secret_key) == 0);
    reply_text(&body, "ssh-ed25519");
    reply_string(&body, (struct span){public_key, sizeof public_key});
    reply_string(&body, (struct span){secret_key, sizeof secret_key});
    reply_text(&blob, "ssh-ed25519");
    reply_string(&blob, (struct span){public_key, sizeof public_key});
    keep(notary, secret_key, crypto_sign_SEEDBYTES);
    keep_key(&notary->keys[kind], &body, &blob);
    made[kind] = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key,
                                             sizeof public_key);
    NEED(made[kind] != NULL);
}

static void put(struct notary *notary, EVP_PKEY *key, const char *name, bool is_private,
                struct reply *out)
{
    unsigned char bytes[NUMBER_MOST];
    BIGNUM *number = NULL;
    NEED(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    size_t size = (size_t)BN_bn2bin(number, bytes);
    reply_positive(out, (struct span){bytes, size});
    if (is_private)
        keep(notary, bytes, size);
}

static void make_ecdsa(struct notary *notary)
{
    struct reply body = {0}, blob = {0};
    unsigned char point[2 * 32 + 1];
    size_t size = 0;
    EVP_PKEY *key = made[NOTARY_ECDSA] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    NEED(key != NULL && EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
                                                        point, sizeof point, &size) == 1);
    reply_text(&blob, "ecdsa-sha2-nistp256");
    reply_text(&blob, "nistp256");
    reply_string(&blob, (struct span){point, size});
    reply_bytes(&body, reply_span(&blob));
    put(notary, key, OSSL_PKEY_PARAM_PRIV_KEY, true, &body);
    keep_key(&notary->keys[NOTARY_ECDSA], &body, &blob);
}

static void make_rsa(struct notary *notary)
{
    struct reply body = {0}, blob = {0};
    EVP_PKEY *key = made[NOTARY_RSA] =
        EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
    NEED(key != NULL);
    reply_text(&blob, "ssh-rsa");
    put(notary, key, OSSL_PKEY_PARAM_RSA_E, false, &blob);
    put(notary, key, OSSL_PKEY_PARAM_RSA_N, false, &blob);
    reply_text(&body, "ssh-rsa");
    put(notary, key, OSSL_PKEY_PARAM_RSA_N, false, &body);
    put(notary, key, OSSL_PKEY_PARAM_RSA_E, false, &body);
    put(notary, key, OSSL_PKEY_PARAM_RSA_D, true, &body);
    put(notary, key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, false, &body);
    put(notary, key, OSSL_PKEY_PARAM_RSA_FACTOR1, true, &body);
    put(notary, key, OSSL_PKEY_PARAM_RSA_FACTOR2, true, &body);
    keep_key(&notary->keys[NOTARY_RSA], &body, &blob);
}

/* r and s, as the protocol has them, as DER. */
static struct span to_der(struct span numbers, unsigned char **der)
{
    struct span r, s;
    ECDSA_SIG *parsed = ECDSA_SIG_new();
    NEED(parsed != NULL);
    if (!wire_string(&numbers, &r) || !wire_string(&numbers, &s) || numbers.size != 0)
        return (struct span){0};
    NEED(ECDSA_SIG_set0(parsed, BN_bin2bn(r.at, (int)r.size, NULL),
                        BN_bin2bn(s.at, (int)s.size, NULL)) == 1);
    int size = i2d_ECDSA_SIG(parsed, der);
    ECDSA_SIG_free(parsed);
    return (struct span){*der, size < 0 ? 0 : (size_t)size};
}

static bool judge(unsigned kind, struct span whole)
{
    static const char *const names[] = {"ssh-ed25519", "ssh-ed25519",
                                        "ecdsa-sha2-nistp256", "rsa-sha2-512"};
    static const char *const digests[] = {NULL, NULL, "SHA256", "SHA512"};
    struct span name, signature;
    unsigned char *der = NULL;
    NEED(kind < NOTARY_KEYS);
    if (!wire_string(&whole, &name) || !wire_string(&whole, &signature) ||
        whole.size != 0 || !wire_is(name, names[kind]))
        return false;
    if (kind == NOTARY_ECDSA)
        signature = to_der(signature, &der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    NEED(context != NULL && EVP_DigestVerifyInit_ex(context, NULL, digests[kind], NULL,
                                                    NULL, made[kind], NULL) == 1);
    bool good =
        signature.size > 0 && EVP_DigestVerify(context, signature.at, signature.size,
                                               (const unsigned char *)NOTARY_MESSAGE,
                                               sizeof NOTARY_MESSAGE - 1) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return good;
}

_Noreturn static void be_notary(struct notary *notary, int asked, int ready)
{
    unsigned char request[REQUEST_MOST];
    ssize_t size;
    make_ed25519(notary, NOTARY_ED25519);
    make_ed25519(notary, NOTARY_OTHER_ED25519);
    make_ecdsa(notary);
    make_rsa(notary);
    NEED(write(ready, "", 1) == 1);
    while ((size = recv(asked, request, sizeof request, 0)) > 0) {
        unsigned char good =
            judge(request[0], (struct span){request + 1, (size_t)size - 1});
        NEED(send(asked, &good, 1, MSG_NOSIGNAL) == 1);
    }
    _exit(0);
}

const struct notary *notary_start(void)
{
    int asks[2], ready[2];
    char byte;
    struct notary *notary = mmap(NULL, sizeof *notary, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (notary == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, asks) != 0 ||
        pipe(ready) != 0)
        return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        close(asks[0]);
        close(ready[0]);
        be_notary(notary, asks[1], ready[1]);
    }
    close(asks[1]);
    close(ready[1]);
    bool started = pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    notary->asks = asks[0];
    return started ? notary : NULL;
}

bool notary_agrees(const struct notary *notary, enum notary_kind kind,
                   const unsigned char *signature, size_t size)
{
    unsigned char request[REQUEST_MOST], good = 0;
    NEED(size < sizeof request);
    request[0] = (unsigned char)kind;
    memcpy(request + 1, signature, size);
    NEED(send(notary->asks, request, size + 1, MSG_NOSIGNAL) == (ssize_t)size + 1);
    NEED(recv(notary->asks, &good, 1, 0) == 1);
    return good == 1;
}
