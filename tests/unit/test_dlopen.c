/* SPDX-License-Identifier: ISC */
/* The library as a plugin host meets it: by dlopen(3), its functions by name. */
#include <dlfcn.h>

#include "unit/unit.h"

static const char *path;

/* dlsym gives an object pointer for what is a function; POSIX has both of one size. */
static void (*function(void *library, const char *name))(void)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        print_error("%s\n", dlerror());
    assert_non_null(symbol);
    void (*result)(void);
    memcpy(&result, &symbol, sizeof result);
    return result;
}

typedef void *alloc_function(size_t);
typedef void free_function(void *);
typedef int access_function(void *, securemem_access);
typedef int protection_function(const void *, securemem_protection *);
typedef const char *version_function(void);

static void a_loaded_library_serves_secrets_and_stays_when_closed(void **state)
{
    (void)state;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        print_error("%s\n", dlerror());
    assert_non_null(library);
    alloc_function *alloc = (alloc_function *)function(library, "securemem_alloc");
    free_function *release = (free_function *)function(library, "securemem_free");
    access_function *set_access =
        (access_function *)function(library, "securemem_set_access");
    /* The name in the language differs, since C has one for the type already. */
    protection_function *protection =
        (protection_function *)function(library, "securemem_protection");
    version_function *version =
        (version_function *)function(library, "securemem_version");

    char *secret = alloc(100);
    assert_non_null(secret);
    memset(secret, 7, 100);
    /* Its fork handlers and locked pages must outlive the close (-z nodelete). */
    assert_int_equal(dlclose(library), 0);
    securemem_protection report;
    assert_int_equal(protection(secret, &report), 0);
    assert_true(report.lock.holds && report.guards.holds && report.no_dump.holds);
    assert_int_equal(set_access(secret, SECUREMEM_NONE), 0);
    assert_true(permissions_are(secret, "---p"));
    release(secret);
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", SECUREMEM_VERSION_MAJOR,
             SECUREMEM_VERSION_MINOR, SECUREMEM_VERSION_PATCH);
    assert_string_equal(version(), expected);
}

static void what_is_internal_cannot_be_found(void **state)
{
    (void)state;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    assert_null(dlsym(library, "smem_kernel_lock"));
    assert_null(dlsym(library, "securemem_protection_of"));
    assert_int_equal(dlclose(library), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loaded_library_serves_secrets_and_stays_when_closed),
        cmocka_unit_test(what_is_internal_cannot_be_found),
    };
    return RUN_GROUP(tests);
}
