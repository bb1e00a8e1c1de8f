/* Statuses, their names, the last error's text, the version, and every macro of the header. check: valgrind */
#include "check.h"
#include <mp.h> /* Twice is fine. */
#include <pthread.h>

static void *elsewhere(void *unused) {
    CHECK_STRING("", mp_last_error());
    return unused;
}

static void names(void) {
    CHECK_STRING("MP_OK", mp_status_name(MP_OK));
    CHECK_STRING("MP_OWNER_DEAD", mp_status_name(MP_OWNER_DEAD));
    CHECK_STRING("MP_ERR_FULL", mp_status_name(MP_ERR_FULL));
    CHECK_STRING("MP_STATUS_UNKNOWN", mp_status_name(12345));
    CHECK_STRING("MP_STATUS_UNKNOWN", mp_status_name(INT32_MIN));
    for (mp_status status = MP_ERR_INTERNAL; status <= MP_OWNER_DEAD; status++)
        CHECK(strncmp(mp_status_name(status), status < 0 ? "MP_ERR_" : "MP_O", 4) == 0);
}

static void macros(void) {
    CHECK(MP_SUCCEEDED(MP_OK) && MP_SUCCEEDED(MP_OWNER_DEAD) && !MP_SUCCEEDED(MP_ERR_FULL));
    CHECK(MP_FAILED(MP_ERR_INTERNAL) && !MP_FAILED(MP_OK) && !MP_FAILED(MP_OWNER_DEAD));
    CHECK_EQ(-6, 2 * MP_ERR_TIMEOUT);
    CHECK(MP_FOREVER == INT64_MAX && MP_EXIT_UNKNOWN == INT32_MIN);
}

static void version(void) {
    char expected[40];
    snprintf(expected, sizeof expected, "%d.%d.%d", MP_VERSION_MAJOR, MP_VERSION_MINOR, MP_VERSION_PATCH);
    CHECK_STRING(expected, mp_version());
    CHECK_EQ(MP_VERSION_MAJOR * 10000 + MP_VERSION_MINOR * 100 + MP_VERSION_PATCH, MP_VERSION_NUMBER);
}

int main(void) {
    pthread_t thread;
    check_begin();
    CHECK_STRING("", mp_last_error());
    names();
    macros();
    version();
    errno = ENOTTY;
    CHECK(mp_cpu_count() >= 1 && mp_cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
    CHECK_EQ(ENOTTY, errno);
    CHECK_EQ(0, pthread_create(&thread, NULL, elsewhere, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
    return 0;
}
