/*
 * A process with twenty daemons of all methods, who start others in turn, and a pool, is killed at a random instant
 * while it starts more; afterwards nobody of its family is left.
 *
 * check: once
 * check: unsanitized (AddressSanitizer's allocator does not survive a fork beside a thread that allocates)
 */
#include "host.h"

enum { SECONDS = 12, ROUNDS = 200, DAEMONS = 20 };

static unsigned seed = 7;

static int32_t start_another(mp_call *call) {
    int32_t method;
    memcpy(&method, mp_call_arg(call, 0).data, sizeof method);
    mp_process_free(start(sleep_for_ever, "", 0, method, false));
    return sleep_for_ever(call);
}

static int32_t stop_itself(mp_call *call) {
    raise(SIGSTOP);
    return sleep_for_ever(call);
}

static void start_and_end_daemons(int32_t method) {
    mp_process *daemons[DAEMONS] = {NULL};
    mp_pool *pool = host_pool(method, 2);
    CHECK_EQ(1, write(STDOUT_FILENO, "x", 1));
    for (size_t n = 0;; n++) {
        size_t at = n % DAEMONS;
        int32_t of = METHODS[(size_t)rand_r(&seed) % HOST_METHODS];
        int32_t below = METHODS[(size_t)rand_r(&seed) % HOST_METHODS];
        if (daemons[at]) {
            CHECK_OK(mp_process_kill(daemons[at]));
            CHECK_EQ(-SIGKILL, finish(daemons[at]));
        }
        mp_fn fn = n % 3 == 0 ? start_another : n % 3 == 1 ? sleep_for_ever : stop_itself;
        daemons[at] = start(fn, &below, sizeof below, of, true);
        if (n == DAEMONS)
            host_pool_ends(pool);
    }
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    int64_t longest = 0, end = check_now() + SECONDS * CHECK_SECOND;
    int rounds = 0;
    for (; rounds < ROUNDS && check_now() < end; rounds++) {
        char byte;
        seed = (unsigned)rounds * 31 + 1;
        host h = host_start(start_and_end_daemons, METHODS[(size_t)rounds % HOST_METHODS]);
        host_hears(&h, &byte, 1);
        check_sleep(rand_r(&seed) % 80 * INT64_C(1000000) + rand_r(&seed) % 1000 * 1000);
        CHECK_EQ(0, kill(h.pid, SIGKILL));
        CHECK_EQ(-SIGKILL, check_wait(h.pid));
        int64_t took = host_is_gone(&h);
        longest = took > longest ? took : longest;
    }
    printf("%d rounds: gone after %lld us at most\n", rounds, (long long)longest);
    return 0;
}
