/* Barriers through mp.h: rounds, indices, ends of waits, deaths, tokens. check: valgrind */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>

static mp_barrier *barrier_for(uint32_t parties) {
    mp_barrier *barrier = NULL;
    CHECK_OK(mp_barrier_new(parties, &barrier));
    return barrier;
}

static uint32_t waiting(const mp_barrier *barrier) {
    uint32_t n = 99;
    CHECK_OK(mp_barrier_waiting(barrier, &n));
    return n;
}

static bool broken(const mp_barrier *barrier) {
    bool answer = false;
    CHECK_OK(mp_barrier_broken(barrier, &answer));
    return answer;
}

/* Waits until so many wait; the watchdog is the limit. */
static void until_waiting(const mp_barrier *barrier, uint32_t n) {
    while (waiting(barrier) != n)
        check_sleep(CHECK_SECOND / 2000);
}

/* A child of plain fork that waits and must get this status. */
static pid_t waiter(mp_barrier *barrier, mp_status expected) {
    uint32_t before = waiting(barrier);
    pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(expected, mp_barrier_wait(barrier, MP_FOREVER, NULL));
        _exit(0);
    }
    until_waiting(barrier, before + 1);
    return child;
}

static void basics(void) {
    mp_barrier *barrier = barrier_for(1);
    uint32_t index = 7, parties = 0;
    for (int i = 0; i < 3; i++) {
        index = 7;
        CHECK_OK(mp_barrier_wait(barrier, i - 1, &index));
        CHECK_EQ(0, index);
    }
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    CHECK_OK(mp_barrier_parties(barrier, &parties));
    CHECK_EQ(1, parties);
    CHECK(waiting(barrier) == 0 && !broken(barrier));
    CHECK_OK(mp_barrier_abort(barrier));
    CHECK_OK(mp_barrier_abort(barrier));
    CHECK(broken(barrier));
    index = 7;
    CHECK_STATUS(MP_ERR_BROKEN, mp_barrier_wait(barrier, MP_FOREVER, &index));
    CHECK_EQ(7, index);
    CHECK_ERROR_HAS("broken");
    CHECK_OK(mp_barrier_reset(barrier));
    CHECK_OK(mp_barrier_reset(barrier));
    CHECK(!broken(barrier));
    CHECK_OK(mp_barrier_wait(barrier, 0, &index));
    mp_barrier_free(barrier);

    barrier = barrier_for(2);
    int64_t before = check_now();
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_barrier_wait(barrier, CHECK_SECOND / 20, NULL));
    CHECK(check_now() - before >= CHECK_SECOND / 20);
    CHECK(broken(barrier) && waiting(barrier) == 0);
    CHECK_STATUS(MP_ERR_BROKEN, mp_barrier_wait(barrier, CHECK_SECOND / 20, NULL));
    CHECK_OK(mp_barrier_reset(barrier));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_barrier_wait(barrier, INT64_MIN, NULL));
    CHECK(broken(barrier));
    mp_barrier_free(barrier);
}

static void bad_arguments(void) {
    mp_barrier *barrier = NULL, *none = (mp_barrier *)&barrier;
    uint32_t number = 7;
    bool answer = true;
    mp_token token;
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_new(1, NULL));
    barrier = none;
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_new(0, &barrier));
    CHECK(barrier == NULL);
    CHECK_ERROR_HAS("0 parties");
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_barrier_new(UINT32_MAX, &barrier));
    CHECK(barrier == NULL);
    mp_barrier *freed = barrier_for(1);
    mp_barrier_free(freed);
    mp_barrier *bad[] = {NULL, none, freed};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_wait(bad[i], 0, &number));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_reset(bad[i]));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_abort(bad[i]));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_parties(bad[i], &number));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_waiting(bad[i], &number));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_broken(bad[i], &answer));
        CHECK_STATUS(MP_ERR_INVALID, mp_barrier_token(bad[i], &token));
        mp_barrier_free(bad[i]);
    }
    CHECK(number == 7 && answer);
    barrier = barrier_for(1);
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_parties(barrier, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_waiting(barrier, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_broken(barrier, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_token(barrier, NULL));
    mp_barrier_free(barrier);
}

static void tokens(void) {
    mp_barrier *barrier = barrier_for(2), *again = NULL;
    mp_lock *lock = NULL;
    mp_token token;
    CHECK_OK(mp_barrier_token(barrier, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_lock_from_token(&token, &lock));
    CHECK_ERROR_HAS("names a barrier, not a lock");
    CHECK_OK(mp_barrier_from_token(&token, &again));
    pid_t child = waiter(barrier, MP_OK);
    mp_barrier_free(barrier);
    CHECK_EQ(1, waiting(again));
    CHECK_OK(mp_barrier_wait(again, MP_FOREVER, NULL));
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_token_keep(&token));
    mp_barrier_free(again);
    CHECK_OK(mp_barrier_from_token(&token, &again));
    CHECK_OK(mp_token_drop(&token));
    mp_barrier_free(again);
    again = (mp_barrier *)1;
    /* The child's handle goes when its end is noticed, which a new object or this call does in time. */
    mp_status status = MP_OK;
    while ((status = mp_barrier_from_token(&token, &again)) == MP_OK) {
        CHECK(broken(again));
        mp_barrier_free(again);
    }
    CHECK_EQ(MP_ERR_STALE, status);
    CHECK(again == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_from_token(NULL, &again));
    CHECK_STATUS(MP_ERR_INVALID, mp_barrier_from_token(&token, NULL));
}

#define PROCESSES 3
#define THREADS 2
#define ROUNDS 300

struct team {
    mp_barrier *barrier;
    volatile int *came;
    volatile int (*taken)[PROCESSES * THREADS];
};

static void *go_rounds(void *argument) {
    struct team *team = argument;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t index = 99;
        __sync_fetch_and_add(team->came, 1);
        CHECK_OK(mp_barrier_wait(team->barrier, MP_FOREVER, &index));
        CHECK(*team->came >= (round + 1) * PROCESSES * THREADS);
        CHECK(index < PROCESSES * THREADS);
        CHECK_EQ(0, __sync_fetch_and_add(&team->taken[round][index], 1));
    }
    return NULL;
}

/* Threads of several processes go many rounds; each index is given once in each. */
static void together(void) {
    struct team team;
    pid_t children[PROCESSES];
    size_t size = sizeof *team.came + ROUNDS * sizeof *team.taken;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    team.taken = memory;
    team.came = (volatile int *)&team.taken[ROUNDS];
    team.barrier = barrier_for(PROCESSES * THREADS);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            pthread_t threads[THREADS];
            for (int k = 0; k < THREADS; k++)
                CHECK_EQ(0, pthread_create(&threads[k], NULL, go_rounds, &team));
            for (int k = 0; k < THREADS; k++)
                CHECK_EQ(0, pthread_join(threads[k], NULL));
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EQ(0, check_wait(children[i]));
    CHECK_EQ(ROUNDS * PROCESSES * THREADS, *team.came);
    mp_barrier_free(team.barrier);
    munmap(memory, size);
}

/* Timeout, abort and reset of one reach all others. */
static void ends_reach_all(void) {
    mp_barrier *barrier = barrier_for(4);
    for (int how = 0; how < 3; how++) {
        pid_t first = waiter(barrier, MP_ERR_BROKEN), second = waiter(barrier, MP_ERR_BROKEN);
        CHECK(waiting(barrier) == 2 && !broken(barrier));
        if (how == 0)
            CHECK_STATUS(MP_ERR_TIMEOUT, mp_barrier_wait(barrier, CHECK_SECOND / 50, NULL));
        else if (how == 1)
            CHECK_OK(mp_barrier_abort(barrier));
        if (how < 2)
            CHECK_STATUS(MP_ERR_BROKEN, mp_barrier_wait(barrier, MP_FOREVER, NULL));
        CHECK_EQ(how < 2, broken(barrier));
        CHECK_OK(mp_barrier_reset(barrier));
        CHECK(!broken(barrier));
        CHECK_EQ(0, check_wait(first));
        CHECK_EQ(0, check_wait(second));
    }
    mp_barrier_free(barrier);
}

struct cancelling {
    mp_barrier *barrier;
    mp_cancel *cancel;
};

static void *wait_cancelled(void *argument) {
    struct cancelling *cancelling = argument;
    CHECK_OK(mp_cancel_use(cancelling->cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_barrier_wait(cancelling->barrier, MP_FOREVER, NULL));
    return NULL;
}

static void cancelled(void) {
    struct cancelling cancelling = {barrier_for(3), NULL};
    pthread_t thread;
    CHECK_OK(mp_cancel_new(&cancelling.cancel));
    pid_t other = waiter(cancelling.barrier, MP_ERR_BROKEN);
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_cancelled, &cancelling));
    until_waiting(cancelling.barrier, 2);
    CHECK_OK(mp_cancel_fire(cancelling.cancel));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_EQ(0, check_wait(other));
    CHECK(broken(cancelling.barrier));
    /* Fired before: the same. */
    CHECK_OK(mp_barrier_reset(cancelling.barrier));
    CHECK_OK(mp_cancel_use(cancelling.cancel));
    CHECK_STATUS(MP_ERR_CANCELLED, mp_barrier_wait(cancelling.barrier, MP_FOREVER, NULL));
    CHECK(broken(cancelling.barrier));
    CHECK_OK(mp_cancel_use(NULL));
    mp_cancel_free(cancelling.cancel);
    mp_barrier_free(cancelling.barrier);
}

/* A late waiter whose round was complete comes through, whatever happened since. */
static void late_sleeper(void) {
    mp_barrier *barrier = barrier_for(2);
    pid_t late = waiter(barrier, MP_OK);
    CHECK_EQ(0, kill(late, SIGSTOP));
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    pid_t reset = waiter(barrier, MP_ERR_BROKEN);
    CHECK_EQ(0, kill(reset, SIGSTOP));
    CHECK_OK(mp_barrier_reset(barrier));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(mp_barrier_abort(barrier));
        CHECK_OK(mp_barrier_reset(barrier));
    }
    CHECK_OK(mp_barrier_abort(barrier));
    CHECK_EQ(0, kill(late, SIGCONT));
    CHECK_EQ(0, kill(reset, SIGCONT));
    CHECK_EQ(0, check_wait(late));
    CHECK_EQ(0, check_wait(reset));
    mp_barrier_free(barrier);
}

/* A partner in the round that is over: it lives on until it is killed. */
static pid_t partner(mp_barrier *barrier) {
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
        for (;;)
            pause();
    }
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    return child;
}

static void end(pid_t child) {
    CHECK_EQ(0, kill(child, SIGKILL));
    CHECK_EQ(-SIGKILL, check_wait(child));
}

static void deaths(void) {
    mp_barrier *barrier = barrier_for(2);
    /* A waiter. */
    end(waiter(barrier, MP_OK));
    CHECK_STATUS(MP_ERR_BROKEN, mp_barrier_wait(barrier, MP_FOREVER, NULL));
    CHECK_OK(mp_barrier_reset(barrier));
    end(waiter(barrier, MP_OK));
    CHECK(broken(barrier));
    CHECK_OK(mp_barrier_reset(barrier));
    /* One that took part in the last round, while another one waits. */
    pid_t former = partner(barrier), other = waiter(barrier, MP_ERR_BROKEN);
    end(former);
    CHECK_EQ(0, check_wait(other));
    CHECK_OK(mp_barrier_reset(barrier));
    /* The same, before anybody waits. */
    end(partner(barrier));
    CHECK(broken(barrier));
    CHECK_OK(mp_barrier_reset(barrier));
    pid_t alive = waiter(barrier, MP_OK);
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    CHECK_EQ(0, check_wait(alive));
    mp_barrier_free(barrier);
}

static int32_t sleep_for_ever(mp_call *call) {
    (void)call;
    alarm(120);
    while (pause() < 0) {
    }
    return 0;
}

/* This process waits for a child that is killed before it comes: nobody is left. */
static void *kill_soon(void *argument) {
    check_sleep(CHECK_SECOND / 5);
    CHECK_OK(mp_process_kill(argument));
    return NULL;
}

static void only_other_holder(void) {
    mp_barrier *barrier = barrier_for(2);
    mp_process *child = NULL;
    pthread_t killer;
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.start_method = MP_START_FORK;
    CHECK_OK(mp_process_new(sleep_for_ever, NULL, 0, &options, &child));
    CHECK_OK(mp_process_start(child));
    CHECK_EQ(0, pthread_create(&killer, NULL, kill_soon, child));
    CHECK_STATUS(MP_ERR_BROKEN, mp_barrier_wait(barrier, MP_FOREVER, NULL));
    CHECK_EQ(0, pthread_join(killer, NULL));
    CHECK_OK(mp_process_join(child, MP_FOREVER));
    mp_process_free(child);
    mp_barrier_free(barrier);
}

static void *wait_once(void *barrier) {
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    return NULL;
}

/* A child that is forked while a thread of its parent waits does not wait, and its end ends nothing. */
static void forked_beside_a_waiter(void) {
    mp_barrier *barrier = barrier_for(3);
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_once, barrier));
    until_waiting(barrier, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
        _exit(0);
    }
    until_waiting(barrier, 2);
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
    CHECK_EQ(0, check_wait(child));
    mp_barrier_free(barrier);
}

int main(void) {
    check_begin();
    basics();
    bad_arguments();
    tokens();
    together();
    ends_reach_all();
    cancelled();
    late_sleeper();
    deaths();
    forked_beside_a_waiter();
    /* Last: a child forked beside the reaper's thread leaks what that has. */
    only_other_holder();
    return 0;
}
