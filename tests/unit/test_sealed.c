/* SPDX-License-Identifier: ISC */
/* Sealed secrets: what goes in comes out, altered ones do not, what is open is a secret. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sealed/box.h"
#include "unit/unit.h"

static const unsigned classes[] = {0, SECUREMEM_SEAL_SHIELDED, SECUREMEM_SEAL_KEEP,
                                   SECUREMEM_SEAL_SHIELDED | SECUREMEM_SEAL_KEEP};

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((i + seed) * 2654435761U >> 7);
}

static securemem_sealed *sealed_of(const void *bytes, size_t size, unsigned flags)
{
    errno = 77;
    securemem_sealed *sealed = securemem_seal(bytes, size, flags);
    if (sealed == NULL)
        print_error("%s\n", securemem_last_error()->message);
    assert_non_null(sealed);
    assert_int_equal(errno, 77); /* also of the first, which makes what is needed */
    return sealed;
}

static void what_is_sealed_is_unsealed_at_any_size(void **state)
{
    (void)state;
    const size_t sizes[] = {0,  1,  15,  16,   17,   32,   63,
                            64, 65, 127, 1000, 4096, 4097, 70000};
    for (size_t c = 0; c < COUNT(classes); c++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            unsigned char *plain = malloc(sizes[i] + 1), *into = malloc(sizes[i] + 1);
            assert_non_null(plain);
            assert_non_null(into);
            fill(plain, sizes[i], 3);
            securemem_sealed *sealed = sealed_of(plain, sizes[i], classes[c]);
            assert_int_equal(securemem_sealed_size(sealed), sizes[i]);
            unsigned char *secret = securemem_unseal(sealed, NULL);
            assert_non_null(secret);
            assert_int_equal(securemem_size(secret), sizes[i]);
            assert_memory_equal(secret, plain, sizes[i]);
            into[sizes[i]] = 0xa5;
            assert_int_equal(securemem_unseal_into(sealed, into, sizes[i]), 0);
            assert_memory_equal(into, plain, sizes[i]);
            assert_int_equal(into[sizes[i]], 0xa5);
            securemem_free(secret);
            securemem_sealed_free(sealed);
            free(plain);
            free(into);
        }
}

/* No 8 bytes of it lie in the ciphertext; the plain text itself is the control. */
static void a_sealed_secret_shows_nothing_of_what_it_holds(void **state)
{
    (void)state;
    unsigned char plain[256];
    fill(plain, sizeof plain, 9);
    for (size_t c = 0; c < COUNT(classes); c++) {
        securemem_sealed *sealed = sealed_of(plain, sizeof plain, classes[c]);
        size_t whole = sizeof *sealed + sizeof plain;
        for (size_t i = 0; i + 8 <= sizeof plain; i++) {
            assert_non_null(memmem(plain, sizeof plain, plain + i, 8));
            assert_null(memmem(sealed, whole, plain + i, 8));
        }
        securemem_sealed_free(sealed);
    }
}

static void the_same_secret_is_never_the_same_ciphertext(void **state)
{
    (void)state;
    unsigned char plain[32] = {1};
    securemem_sealed *all[200];
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = sealed_of(plain, sizeof plain, 0);
    for (size_t i = 0; i < COUNT(all); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(all[i]->bytes, all[j]->bytes, sizeof plain);
    for (size_t i = 0; i < COUNT(all); i++)
        securemem_sealed_free(all[i]);
}

/* Which bytes a bit is altered in, from the first byte of size on. */
static size_t tag_bytes(void)
{
    return strcmp(securemem_sealed_cipher(), "aegis128l") == 0 ? 32 : 16;
}

static void refused(securemem_sealed *sealed, const char *where, size_t bit)
{
    size_t secrets = budget_now().secrets;
    errno = 0;
    unsigned char *secret = securemem_unseal(sealed, NULL);
    if (secret != NULL)
        print_error("bit %zu of %s was altered\n", bit, where);
    assert_null(secret);
    assert_true(errno == EBADMSG || errno == EINVAL);
    assert_null(securemem_sealed_open(sealed, SECUREMEM_READ));
    unsigned char into[64];
    memset(into, 0x77, sizeof into);
    int result = securemem_unseal_into(sealed, into, sizeof into);
    assert_true(result == -EBADMSG || result == -EINVAL);
    if (result == -EBADMSG)
        assert_true(all_bytes_are(into, sizeof into, 0));
    assert_int_equal(budget_now().secrets, secrets);
}

static void each_bit_in_turn(securemem_sealed *sealed, const char *where, void *bytes,
                             size_t length)
{
    unsigned char *at = bytes;
    for (size_t bit = 0; bit < 8 * length; bit++) {
        at[bit / 8] ^= (unsigned char)(1U << bit % 8);
        refused(sealed, where, bit);
        at[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
}

static void a_secret_altered_in_one_bit_is_refused(void **state)
{
    (void)state;
    unsigned char plain[64];
    fill(plain, sizeof plain, 77);
    securemem_sealed *sealed = sealed_of(plain, sizeof plain, 0);
    each_bit_in_turn(sealed, "the ciphertext", sealed->bytes, sizeof plain);
    each_bit_in_turn(sealed, "the tag", sealed->tag, tag_bytes());
    each_bit_in_turn(sealed, "the number", &sealed->number, sizeof sealed->number);
    each_bit_in_turn(sealed, "the size", &sealed->size, sizeof sealed->size);
    each_bit_in_turn(sealed, "the mark", &sealed->mark, sizeof sealed->mark);
    unsigned char into[sizeof plain]; /* as it was, it opens: the control */
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
    assert_memory_equal(into, plain, sizeof plain);
    securemem_sealed_free(sealed);
}

static void two_secrets_that_are_exchanged_are_refused(void **state)
{
    (void)state;
    unsigned char plain[64], other[64];
    fill(plain, sizeof plain, 1);
    fill(other, sizeof other, 2);
    securemem_sealed *one = sealed_of(plain, sizeof plain, 0);
    securemem_sealed *two = sealed_of(other, sizeof other, 0);
    one->number = two->number;
    memcpy(one->tag, two->tag, sizeof one->tag);
    memcpy(one->bytes, two->bytes, sizeof plain);
    refused(one, "another's", 0);
    securemem_sealed_free(one);
    securemem_sealed_free(two);
}

static void what_is_no_sealed_secret_is_refused(void **state)
{
    (void)state;
    _Alignas(securemem_sealed) unsigned char no_such[sizeof(securemem_sealed) + 16] = {0};
    securemem_sealed *none = (securemem_sealed *)(void *)no_such;
    unsigned char into[16];
    assert_int_equal(securemem_unseal_into(none, into, 0), -EINVAL);
    assert_int_equal(securemem_unseal_into(NULL, into, 0), -EINVAL);
    assert_int_equal(securemem_sealed_close(none), -EINVAL);
    errno = 0;
    assert_null(securemem_unseal(NULL, NULL));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(securemem_sealed_open(none, SECUREMEM_READ));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(securemem_sealed_size(none), 0);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(securemem_seal(into, sizeof into, 4));
    assert_int_equal(errno, EINVAL);
    assert_null(securemem_seal(NULL, sizeof into, 0));
    securemem_sealed *sealed = sealed_of(into, sizeof into, 0);
    assert_null(securemem_sealed_open(sealed, SECUREMEM_NONE));
    assert_int_equal(securemem_sealed_close(sealed), -EINVAL);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into - 1), -EINVAL);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into + 1), -EINVAL);
    securemem_sealed_free(sealed);
    securemem_sealed_free(NULL);
}

/* The likeliest of mistakes: the name of the one for the name of the other. */
static void a_secret_that_is_not_sealed_is_refused_whatever_is_read_of_it(void **state)
{
    (void)state;
    const size_t sizes[] = {8, 16, 64, 128, 4096};
    const securemem_access all[] = {SECUREMEM_WRITE, SECUREMEM_NONE};
    for (size_t i = 0; i < COUNT(sizes) * COUNT(all); i++) {
        void *secret = securemem_alloc(sizes[i / COUNT(all)]);
        assert_non_null(secret);
        assert_int_equal(securemem_set_access(secret, all[i % COUNT(all)]), 0);
        securemem_sealed *none = secret;
        unsigned char into[16];
        assert_int_equal(securemem_unseal_into(none, into, sizeof into), -EINVAL);
        assert_int_equal(securemem_sealed_close(none), -EINVAL);
        assert_null(securemem_sealed_open(none, SECUREMEM_READ));
        assert_null(securemem_unseal(none, NULL));
        assert_int_equal(securemem_sealed_size(none), 0);
        assert_int_equal(errno, EINVAL);
        securemem_free(secret);
    }
}

static int frees_a_secret_as_sealed(void *argument)
{
    (void)argument;
    securemem_sealed_free(securemem_alloc(16));
    return 0;
}

static int frees_what_is_not_sealed(void *argument)
{
    (void)argument;
    _Alignas(securemem_sealed) unsigned char no_such[sizeof(securemem_sealed)] = {0};
    securemem_sealed_free((securemem_sealed *)(void *)no_such);
    return 0;
}

static void freeing_what_is_not_sealed_is_misuse(void **state)
{
    (void)state;
    int (*const ways[])(void *) = {frees_what_is_not_sealed, frees_a_secret_as_sealed};
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct child_end end;
        child_run(ways[i], NULL, &end);
        assert_int_equal(end.signal, SIGABRT);
        assert_non_null(
            strstr(end.errors, "securemem: free of what is not a sealed secret"));
    }
}

static void what_is_open_is_a_secret_of_its_own_for_all_scopes(void **state)
{
    (void)state;
    unsigned char plain[48];
    fill(plain, sizeof plain, 5);
    for (size_t c = 0; c < COUNT(classes); c++) {
        securemem_sealed *sealed = sealed_of(plain, sizeof plain, classes[c]);
        size_t secrets = budget_now().secrets;
        unsigned char *open = securemem_sealed_open(sealed, SECUREMEM_READ);
        assert_non_null(open);
        assert_memory_equal(open, plain, sizeof plain);
        struct view view;
        assert_true(view_at(open, &view));
        assert_true(view_has(&view, "lo") && view_has(&view, "dd"));
        assert_false(view_readable(guard_behind(open, sizeof plain)));
        assert_ptr_equal(securemem_sealed_open(sealed, SECUREMEM_READ), open);
        assert_int_equal(budget_now().secrets, secrets + 1);
        assert_int_equal(securemem_sealed_close(sealed), 0);
        assert_memory_equal(open, plain, sizeof plain);
        assert_int_equal(securemem_sealed_close(sealed), 0);
        assert_int_equal(budget_now().secrets, secrets);
        securemem_sealed_free(sealed);
    }
}

static void what_was_written_is_sealed_and_else_dropped(void **state)
{
    (void)state;
    unsigned char plain[20] = "written", into[20];
    securemem_sealed *sealed = sealed_of(plain, sizeof plain, 0);
    unsigned char *open = securemem_sealed_open(sealed, SECUREMEM_READ);
    open[0] = 'W';
    assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
    assert_memory_equal(into, plain, sizeof plain);

    open = securemem_sealed_open(sealed, SECUREMEM_READ);
    assert_ptr_equal(securemem_sealed_open(sealed, SECUREMEM_WRITE), open);
    open[0] = 'W';
    assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
    assert_memory_equal(into, plain, sizeof plain); /* not before the last */
    assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
    assert_string_equal((char *)into, "Written");

    open = securemem_sealed_open(sealed, SECUREMEM_READ);
    open[0] = 'X';
    assert_int_equal(securemem_sealed_rotate(), 0); /* closing seals it anew, unchanged */
    assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(smem_key_pending(), 0);
    assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
    assert_string_equal((char *)into, "Written");
    securemem_sealed_free(sealed);
}

/* What is open is a secret: whoever closed it, closing the scope is none of an access. */
static void what_is_open_may_be_closed_as_any_secret(void **state)
{
    (void)state;
    unsigned char plain[20] = "written", into[20];
    for (int access = SECUREMEM_NONE; access <= SECUREMEM_READ; access++)
        for (int scope = SECUREMEM_READ; scope <= SECUREMEM_WRITE; scope++) {
            securemem_sealed *sealed = sealed_of(plain, sizeof plain, 0);
            unsigned char *open = securemem_sealed_open(sealed, (securemem_access)scope);
            open[0] = scope == SECUREMEM_WRITE ? 'W' : 'w';
            assert_int_equal(securemem_set_access(open, (securemem_access)access), 0);
            assert_int_equal(securemem_sealed_rotate(), 0);
            assert_int_equal(securemem_sealed_close(sealed), 0);
            assert_int_equal(smem_key_pending(), 0);
            assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), 0);
            assert_string_equal((char *)into,
                                scope == SECUREMEM_WRITE ? "Written" : "written");
            securemem_sealed_free(sealed);
        }
}

static void scopes_are_counted_to_their_limit(void **state)
{
    (void)state;
    securemem_sealed *sealed = sealed_of("k", 1, 0);
    for (unsigned i = 0; i < 65535; i++)
        assert_non_null(securemem_sealed_open(sealed, SECUREMEM_READ));
    errno = 0;
    assert_null(securemem_sealed_open(sealed, SECUREMEM_READ));
    assert_int_equal(errno, EOVERFLOW);
    for (unsigned i = 0; i < 65535; i++)
        assert_int_equal(securemem_sealed_close(sealed), 0);
    assert_int_equal(securemem_sealed_close(sealed), -EINVAL);
    securemem_sealed_free(sealed);
}

static void an_open_one_may_be_freed(void **state)
{
    (void)state;
    size_t secrets = budget_now().secrets;
    securemem_sealed *sealed = sealed_of("k", 1, 0);
    assert_non_null(securemem_sealed_open(sealed, SECUREMEM_WRITE));
    securemem_sealed_free(sealed);
    assert_true(budget_now().secrets <= secrets + 1); /* the sealing key */
}

/* Keys are secrets: after wiping them all, nothing is sealed with zeros. */
static void wiping_everything_loses_what_is_sealed_and_no_more(void **state)
{
    (void)state;
    unsigned char plain[32] = "lost", into[32];
    for (size_t c = 0; c < COUNT(classes); c++) {
        securemem_sealed *sealed = sealed_of(plain, sizeof plain, classes[c]);
        securemem_sealed *open = sealed_of(plain, sizeof plain, classes[c]);
        assert_non_null(securemem_sealed_open(open, SECUREMEM_WRITE));
        assert_int_equal(securemem_wipe_all(), 0);
        assert_int_equal(securemem_unseal_into(sealed, into, sizeof into), -ENOKEY);
        assert_null(securemem_sealed_open(sealed, SECUREMEM_READ));
        errno = 0; /* not the zeros that are open */
        assert_null(securemem_sealed_open(open, SECUREMEM_READ));
        assert_int_equal(errno, ENOKEY);
        assert_int_equal(securemem_sealed_close(open), 0);
        assert_int_equal(securemem_sealed_close(open), -EINVAL);
        assert_int_equal(securemem_unseal_into(open, into, sizeof into), -ENOKEY);

        securemem_sealed *later = sealed_of(plain, sizeof plain, classes[c]);
        assert_int_equal(securemem_unseal_into(later, into, sizeof into), 0);
        assert_memory_equal(into, plain, sizeof plain);
        assert_true(later->key != sealed->key);
        securemem_sealed_free(sealed);
        securemem_sealed_free(open);
        securemem_sealed_free(later);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_unsealed_at_any_size),
        cmocka_unit_test(a_sealed_secret_shows_nothing_of_what_it_holds),
        cmocka_unit_test(the_same_secret_is_never_the_same_ciphertext),
        cmocka_unit_test(a_secret_altered_in_one_bit_is_refused),
        cmocka_unit_test(two_secrets_that_are_exchanged_are_refused),
        cmocka_unit_test(what_is_no_sealed_secret_is_refused),
        cmocka_unit_test(a_secret_that_is_not_sealed_is_refused_whatever_is_read_of_it),
        cmocka_unit_test(freeing_what_is_not_sealed_is_misuse),
        cmocka_unit_test(what_is_open_is_a_secret_of_its_own_for_all_scopes),
        cmocka_unit_test(what_was_written_is_sealed_and_else_dropped),
        cmocka_unit_test(what_is_open_may_be_closed_as_any_secret),
        cmocka_unit_test(scopes_are_counted_to_their_limit),
        cmocka_unit_test(an_open_one_may_be_freed),
        cmocka_unit_test(wiping_everything_loses_what_is_sealed_and_no_more),
    };
    return RUN_GROUP(tests);
}
