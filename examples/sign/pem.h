/* SPDX-License-Identifier: ISC */
/*
 * PEM (RFC 7468): from the text of a key file to the DER inside it, secret to secret.
 *
 *      anything, or nothing
 *      -----BEGIN PRIVATE KEY-----
 *      MC4CAQAwBQYDK2VwBCIEI...            base64, in lines of any length
 *      -----END PRIVATE KEY-----
 *      anything, or nothing
 *
 * Lines may end in LF or CR LF, and in blanks. Other blocks before the key, such as a
 * certificate or EC parameters, are passed over, as OpenSSL does.
 */
#ifndef SIGN_PEM_H
#define SIGN_PEM_H

#include "span.h"

/*
 * Decodes the first block PRIVATE KEY of text into a new secret: *size bytes of it are
 * the DER. The caller frees *der with securemem_free. The base64 is decoded in a time
 * that does not depend on its contents. Results: see say.h; outputs are set only on
 * success.
 */
const char *pem_decode_private_key(struct span text, unsigned char **der, size_t *size);

#endif
