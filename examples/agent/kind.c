/* SPDX-License-Identifier: ISC */
#include "kind.h"

#include "wire.h"

const struct kind *kind_find(struct span name)
{
    const struct kind *const all[] = {&kind_ed25519, &kind_ecdsa[0], &kind_ecdsa[1],
                                      &kind_ecdsa[2], &kind_rsa};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (wire_is(name, all[i]->name))
            return all[i];
    return NULL;
}

bool kind_read(const struct kind *kind, struct span *in, struct span *fields,
               struct span *whole)
{
    const unsigned char *begin = in->at;
    for (unsigned i = 0; i < kind->fields; i++)
        if (!wire_string(in, &fields[i]))
            return false;
    *whole = (struct span){begin, (size_t)(in->at - begin)};
    return true;
}

void kind_publish(const struct kind *kind, const struct span *fields, struct reply *reply)
{
    reply_text(reply, kind->name);
    for (unsigned i = 0; i < kind->publics; i++)
        reply_string(reply, fields[kind->order[i]]);
}
