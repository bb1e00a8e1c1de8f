/* mp_wait for the ends of processes and for the results of a pool, also within its callbacks; the descriptors of
 * processes. */
#include "fd.h"
#include "pool.h"
#include "process.h"
#include "wait.h"

/* -- processes -- */

static void processes(void) {
    for (size_t m = 0; m < sizeof METHODS / sizeof *METHODS; m++) {
        mp_process *running[3];
        mp_waitable items[3];
        int32_t code = 5;
        running[0] = start(sleep_for_ever, NULL, 0, METHODS[m], true);
        running[1] = start(answer, &code, sizeof code, METHODS[m], false);
        running[2] = start(sleep_for_ever, NULL, 0, METHODS[m], true);
        for (int i = 0; i < 3; i++)
            items[i] = of(MP_WAIT_PROCESS, running[i]);
        CHECK_OK(wait_for(items, 3, MP_FOREVER));
        check_ready(items, 3, 2);
        CHECK_EQ(5, exit_code(running[1]));
        CHECK_OK(mp_process_kill(running[2]));
        items[1] = items[0];
        CHECK_OK(wait_for(items, 3, MP_FOREVER));
        check_ready(items, 3, 4);
        CHECK_EQ(-SIGKILL, exit_code(running[2]));
        CHECK_OK(mp_process_kill(running[0]));
        await(items[0]);
        for (int i = 0; i < 3; i++)
            mp_process_free(running[i]);
    }
}

/* The descriptor of a process. */
static void sentinel(void) {
    int32_t fd = -1, code = 3;
    mp_slice arg = {&code, sizeof code};
    mp_process *process = make(sleep_for_ever, NULL, 0, MP_START_FORK, true, NULL);
    CHECK_STATUS(MP_ERR_STATE, mp_process_sentinel(process, &fd));
    CHECK_OK(mp_process_start(process));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_sentinel(process, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_process_sentinel(NULL, &fd));
    CHECK_OK(mp_process_sentinel(process, &fd));
    CHECK(!polls(fd, 0));
    pid_t child = fork();
    if (child == 0) {
        CHECK(fcntl(fd, F_GETFD) < 0);
        CHECK_STATUS(MP_ERR_STATE, mp_process_sentinel(process, &fd));
        mp_process_free(process);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_process_kill(process));
    becomes(fd, true);
    CHECK_EQ(-SIGKILL, exit_code(process));
    CHECK(polls(fd, 0));
    mp_process_free(process);
    CHECK(fcntl(fd, F_GETFD) < 0);
    /* Asked after its end. */
    process = make(answer, &arg, 1, MP_START_SPAWN, false, NULL);
    CHECK_OK(mp_process_start(process));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_sentinel(process, &fd));
    CHECK(polls(fd, 0));
    CHECK_EQ(3, finish(process));
}

/* -- results -- */

static void done(void *user, const mp_result *result) {
    mp_waitable other = of(MP_WAIT_RESULT, *(mp_result **)user), own = of(MP_WAIT_RESULT, (void *)result);
    CHECK_OK(mp_wait(&own, 1, 0));
    CHECK(own.ready);
    CHECK_STATUS(MP_ERR_STATE, mp_wait(&other, 1, MP_FOREVER));
}

static void results(void) {
    mp_pool *pool = pool_new(MP_START_FORK, 2);
    mp_result *slow = NULL, *quick[2] = {NULL, NULL};
    mp_task_options options;
    int64_t naps[] = {CHECK_SECOND / 3, 0};
    mp_slice args[] = {{&naps[0], sizeof *naps}, {&naps[1], sizeof *naps}};
    CHECK_OK(mp_task_options_init(&options));
    options.on_result = done;
    options.user = &slow;
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &args[0], 1, NULL, &slow));
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &args[1], 1, &options, &quick[0]));
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &args[1], 1, NULL, &quick[1]));
    mp_waitable items[] = {of(MP_WAIT_RESULT, slow), of(MP_WAIT_RESULT, quick[0]), of(MP_WAIT_RESULT, quick[1])};
    bool seen[3] = {false, false, false};
    for (int left = 3; left > 0;) {
        mp_waitable some[3];
        int map[3], n = 0;
        for (int i = 0; i < 3; i++)
            if (!seen[i]) {
                some[n] = items[i];
                map[n++] = i;
            }
        CHECK_OK(wait_for(some, (size_t)n, MP_FOREVER));
        for (int i = 0; i < n; i++)
            if (some[i].ready) {
                CHECK_OK(mp_result_get(items[map[i]].handle, 0));
                seen[map[i]] = true;
                left--;
            }
    }
    CHECK_OK(wait_for(items, 3, 0));
    check_ready(items, 3, 7);
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(MP_ERR_INVALID, wait_for(items, 3, MP_FOREVER));
        CHECK_ERROR_HAS("items[0]");
        CHECK_ERROR_HAS("another process");
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    /* A worker's death is an outcome. */
    mp_result *lost = NULL;
    int64_t nap = 60 * CHECK_SECOND;
    CHECK_OK(mp_pool_apply_async(pool, pool_nap, &(mp_slice){&nap, sizeof nap}, 1, NULL, &lost));
    CHECK(!is_ready(of(MP_WAIT_RESULT, lost)));
    CHECK_OK(mp_pool_terminate(pool));
    await(of(MP_WAIT_RESULT, lost));
    mp_result_free(lost);
    mp_result_free(slow);
    mp_result_free(quick[0]);
    mp_result_free(quick[1]);
    CHECK_OK(mp_pool_join(pool, POOL_WAIT));
    mp_pool_free(pool);
}

int main(int argc, char **argv) {
    check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    both_ways(processes);
    sentinel();
    both_ways(results);
    return 0;
}
