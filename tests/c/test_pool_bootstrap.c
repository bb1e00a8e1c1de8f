/*
 * A program that has not called mp_main_init: spawned workers would run its main again, so the pool is refused and no
 * child is made. Forked ones and threads need nothing.
 */
#include "pool.h"

static int32_t twice(mp_call *call) { return pool_give(call, 2 * pool_arg(call, 0)); }

int main(int argc, char **argv) {
    mp_pool_options options;
    mp_pool *pool = (mp_pool *)&options;
    mp_buffer *buffer = NULL;
    int64_t number = 21;
    mp_slice arg = {&number, sizeof number};
    (void)argv;
    CHECK_EQ(1, argc);
    check_begin();
    CHECK_OK(mp_pool_options_init(&options));
    options.start_method = MP_START_SPAWN;
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_pool_new(&options, &pool));
    CHECK(pool == NULL);
    CHECK_ERROR_HAS("mp_main_init");
    pool_no_children();
    CHECK_OK(mp_set_start_method(MP_START_SPAWN));
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_pool_new(NULL, &pool));
    CHECK(pool == NULL);
    pool_no_children();
    static const int32_t others[] = {MP_START_FORK, MP_START_THREAD};
    for (int i = 0; i < 2; i++) {
        pool = pool_new(others[i], 1);
        CHECK_OK(mp_pool_apply(pool, twice, &arg, 1, &buffer));
        CHECK_EQ(42, pool_number((mp_slice){mp_buffer_data(buffer), mp_buffer_len(buffer)}));
        mp_buffer_free(buffer);
        pool_end(pool);
    }
    return 0;
}
