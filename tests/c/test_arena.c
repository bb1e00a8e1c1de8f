/* Named arenas through mp.h: strangers meet by name, and what is refused. check: valgrind */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static char name[64];
static const char *program;

/* A name that nobody else uses. */
static const char *fresh(void) {
    static int n;
    snprintf(name, sizeof name, "test-c-%d-%d", (int)getpid(), n++);
    return name;
}

static mp_arena *opened(const char *which) {
    mp_arena *arena = NULL;
    CHECK_OK(mp_arena_open(which, NULL, &arena));
    return arena;
}

/* Runs `body` in a process that was forked before any arena was opened: a stranger. */
static pid_t stranger(void (*body)(const char *), const char *which) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        body(which);
        _exit(0);
    }
    return pid;
}

static mp_queue *jobs(mp_arena *arena, int64_t maxsize) {
    mp_queue *queue = NULL;
    mp_queue_options options;
    CHECK_OK(mp_queue_options_init(&options));
    options.maxsize = maxsize;
    CHECK_OK(mp_arena_queue(arena, "jobs", &options, &queue));
    return queue;
}

static void produce(const char *which) {
    mp_arena *arena = opened(which);
    mp_queue *queue = jobs(arena, 8);
    mp_arena_free(arena);
    for (int i = 0; i < 500; i++)
        CHECK_OK(mp_queue_put(queue, &i, sizeof i, MP_FOREVER));
    mp_queue_free(queue);
}

static void consume(const char *which) {
    mp_arena *arena = opened(which);
    mp_queue *queue = jobs(arena, 8);
    for (int i = 0; i < 500; i++) {
        int got = -1;
        size_t len = 0;
        CHECK_OK(mp_queue_get_into(queue, &got, sizeof got, &len, MP_FOREVER));
        CHECK_EQ(i, got);
    }
    mp_queue_free(queue);
    mp_arena_free(arena);
}

static void strangers_meet(void) {
    const char *which = fresh();
    pid_t consumer = stranger(consume, which), producer = stranger(produce, which);
    CHECK_EQ(0, check_wait(producer));
    CHECK_EQ(0, check_wait(consumer));
    CHECK_OK(mp_arena_unlink(which));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_unlink(which));
}

static void hold(const char *which) {
    mp_lock *lock = NULL;
    CHECK_OK(mp_arena_lock(opened(which), "lock", &lock));
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    kill(getpid(), SIGKILL);
}

static void a_stranger_dies(void) {
    const char *which = fresh();
    mp_lock *lock = NULL;
    CHECK_EQ(-SIGKILL, check_wait(stranger(hold, which)));
    CHECK_OK(mp_arena_lock(opened(which), "lock", &lock));
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_release(lock));
    mp_lock_free(lock);
    CHECK_OK(mp_arena_unlink(which));
}

/* A process that holds a lock becomes another program, this one again, which opens the arena anew. */
static void replaced(const char *which) {
    mp_lock *lock = NULL;
    CHECK_OK(mp_arena_lock(opened(which), "lock", &lock));
    CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
    execl(program, program, "again", which, (char *)NULL);
    CHECK(!"exec");
}

static void again(const char *which) {
    mp_lock *lock = NULL;
    CHECK_OK(mp_arena_lock(opened(which), "lock", &lock));
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

static void a_stranger_is_replaced(void) {
    const char *which = fresh();
    CHECK_EQ(0, check_wait(stranger(replaced, which)));
    mp_arena_free(opened(which));
    CHECK_EQ(0, check_wait(stranger(replaced, which)));
    CHECK_OK(mp_arena_unlink(which));
}

static void names_and_options(void) {
    const char *which = fresh();
    mp_arena *arena = opened(which);
    mp_queue *queue = (mp_queue *)1;
    mp_lock *lock = NULL;
    mp_semaphore *semaphore = NULL;
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_queue(arena, "jobs", NULL, &queue));
    CHECK_ERROR_HAS("jobs");
    CHECK(queue == NULL);
    mp_queue_free(jobs(arena, 3));
    CHECK_OK(mp_arena_queue(arena, "jobs", NULL, &queue));
    mp_queue_free(queue);
    mp_queue_options options;
    CHECK_OK(mp_queue_options_init(&options));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_queue(arena, "jobs", &options, &queue));
    CHECK_ERROR_HAS("other options");
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_lock(arena, "jobs", &lock));
    CHECK_ERROR_HAS("a queue");
    CHECK(lock == NULL);
    CHECK_OK(mp_arena_semaphore(arena, "permits", 3, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_semaphore(arena, "permits", 4, NULL, &semaphore));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_lock(arena, "", &lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_lock(arena, NULL, &lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_lock(NULL, "lock", &lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_lock((mp_arena *)lock, "lock", &lock));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_lock(arena, "lock", NULL));
    CHECK_OK(mp_arena_remove(arena, "jobs"));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_remove(arena, "jobs"));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_remove(arena, NULL));
    CHECK_OK(mp_arena_lock(arena, "jobs", &lock));
    mp_lock_free(lock);
    mp_arena_free(arena);
    mp_arena_free(NULL);
    CHECK_OK(mp_arena_unlink(which));
}

static void opening(void) {
    const char *which = fresh();
    mp_arena *arena = NULL, *again = NULL;
    mp_arena_options options;
    CHECK_OK(mp_arena_options_init(&options));
    CHECK_EQ(0600, options.mode);
    CHECK_EQ(geteuid(), options.uid);
    options.must_exist = true;
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_open(which, &options, &arena));
    CHECK_ERROR_HAS(which);
    CHECK(arena == NULL);
    options.must_exist = false;
    options.mode = 0640;
    umask(077);
    CHECK_OK(mp_arena_open(which, &options, &arena));
    char path[128];
    struct stat file;
    snprintf(path, sizeof path, "/dev/shm/mp.%s", which);
    CHECK_EQ(0, stat(path, &file));
    CHECK_EQ(0640, file.st_mode & 0777);
    options.must_exist = true;
    CHECK_OK(mp_arena_open(which, &options, &again));
    mp_lock *one = NULL, *two = NULL;
    CHECK_OK(mp_arena_lock(arena, "lock", &one));
    CHECK_OK(mp_arena_lock(again, "lock", &two));
    CHECK_OK(mp_lock_acquire(one, 0));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(two, 0));
    mp_lock_free(two);
    mp_lock_free(one);
    mp_arena_free(again);
    mp_arena_free(arena);
    options.uid = geteuid() + 1;
    CHECK_STATUS(MP_ERR_ACCESS, mp_arena_open(which, &options, &arena));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_open("a/b", NULL, &arena));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_open("", NULL, &arena));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_open(NULL, NULL, &arena));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_open(which, NULL, NULL));
    CHECK_OK(mp_arena_unlink(which));
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "not an arena", 12) == 12);
    close(fd);
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_open(which, NULL, &arena));
    CHECK_ERROR_HAS("not an arena");
    CHECK_EQ(0, unlink(path));
}

static void elsewhere(const char *which) {
    mp_arena *arena = NULL;
    setenv("MP_ARENA_DIR", "/nowhere", 1);
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_arena_open(which, NULL, &arena));
    CHECK_ERROR_HAS("/nowhere");
    char directory[] = "/dev/shm/mp-test-XXXXXX", path[128];
    CHECK(mkdtemp(directory) != NULL);
    setenv("MP_ARENA_DIR", directory, 1);
    CHECK_OK(mp_arena_open(which, NULL, &arena));
    snprintf(path, sizeof path, "%s/mp.%s", directory, which);
    CHECK_EQ(0, access(path, F_OK));
    CHECK_OK(mp_arena_unlink(which));
    CHECK_EQ(0, rmdir(directory));
}

/* The token of a named arena's object works wherever that arena is open. */
static void tokens(void) {
    const char *which = fresh();
    mp_lock *lock = NULL, *again = NULL;
    mp_token token;
    CHECK_OK(mp_arena_lock(opened(which), "lock", &lock));
    CHECK_OK(mp_lock_token(lock, &token));
    CHECK_OK(mp_lock_from_token(&token, &again));
    CHECK_OK(mp_token_keep(&token));
    CHECK_OK(mp_token_drop(&token));
    mp_lock_free(again);
    CHECK_OK(mp_arena_remove(opened(which), "lock"));
    mp_lock_free(lock);
    CHECK_STATUS(MP_ERR_STALE, mp_lock_from_token(&token, &again));
    CHECK_OK(mp_arena_unlink(which));
}

/* One stranger waits on the condition until the value is 3, the others raise it; then all meet at the barrier. */
static void take_part(const char *which) {
    mp_arena *arena = opened(which);
    mp_rlock *rlock = NULL;
    mp_condition *condition = NULL;
    mp_event *event = NULL;
    mp_barrier *barrier = NULL;
    mp_value *value = NULL;
    mp_array *array = NULL;
    int64_t ten = 10;
    uint32_t index = 99;
    CHECK_OK(mp_arena_rlock(arena, "rlock", &rlock));
    CHECK_OK(mp_arena_condition(arena, "condition", rlock, &condition));
    CHECK_OK(mp_arena_event(arena, "event", &event));
    CHECK_OK(mp_arena_barrier(arena, "barrier", 3, &barrier));
    CHECK_OK(mp_arena_value(arena, "value", sizeof ten, &ten, MP_LOCK_RECURSIVE, &value));
    CHECK_OK(mp_arena_array(arena, "array", sizeof(int32_t), 3, NULL, MP_LOCK_PLAIN, &array));
    CHECK_OK(mp_event_wait(event, MP_FOREVER));
    CHECK_OK(mp_condition_acquire(condition, MP_FOREVER));
    CHECK_OK(mp_rlock_acquire(rlock, 0));
    CHECK_OK(mp_value_fetch_add_i64(value, 1, NULL));
    CHECK_OK(mp_condition_notify_all(condition));
    CHECK_OK(mp_rlock_release(rlock));
    int64_t now = 0;
    while (MP_SUCCEEDED(mp_value_load_i64(value, &now)) && now < 13)
        CHECK_OK(mp_condition_wait(condition, MP_FOREVER));
    CHECK_OK(mp_condition_release(condition));
    CHECK_OK(mp_barrier_wait(barrier, MP_FOREVER, &index));
    CHECK(index < 3);
    CHECK_OK(mp_array_acquire(array, MP_FOREVER));
    ((int32_t *)mp_array_data(array))[index]++;
    CHECK_OK(mp_array_release(array));
}

static void everything_has_a_name(void) {
    const char *which = fresh();
    pid_t parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = stranger(take_part, which);
    mp_arena *arena = opened(which);
    mp_event *event = NULL;
    CHECK_OK(mp_arena_event(arena, "event", &event));
    CHECK_OK(mp_event_set(event));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(0, check_wait(parts[i]));
    mp_array *array = NULL;
    CHECK_OK(mp_arena_array(arena, "array", sizeof(int32_t), 3, NULL, MP_LOCK_PLAIN, &array));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(1, ((int32_t *)mp_array_data(array))[i]);
    mp_barrier *barrier = NULL;
    mp_value *value = NULL;
    mp_condition *condition = NULL;
    mp_lock *lock = NULL, *outside = NULL;
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_barrier(arena, "barrier", 4, &barrier));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_barrier(arena, "none", 0, &barrier));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_value(arena, "value", 4, NULL, MP_LOCK_RECURSIVE, &value));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_value(arena, "value", 8, NULL, MP_LOCK_NONE, &value));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_value(arena, "value", 8, NULL, 9, &value));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_array(arena, "array", 4, 4, NULL, MP_LOCK_PLAIN, &array));
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_condition(arena, "condition", NULL, &condition));
    CHECK_OK(mp_arena_condition(arena, "alone", NULL, &condition));
    mp_condition_free(condition);
    CHECK_OK(mp_arena_lock(arena, "lock", &lock));
    CHECK_OK(mp_arena_condition_with_lock(arena, "with lock", lock, &condition));
    CHECK_OK(mp_lock_acquire(lock, 0));
    CHECK_OK(mp_condition_notify(condition, 1));
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_condition_wait(condition, 1000));
    CHECK_OK(mp_lock_release(lock));
    mp_condition_free(condition);
    CHECK_OK(mp_lock_new(&outside));
    CHECK_STATUS(MP_ERR_INVALID, mp_arena_condition_with_lock(arena, "outside", outside, &condition));
    CHECK_ERROR_HAS("another arena");
    mp_semaphore *semaphore = NULL;
    mp_semaphore_options options;
    CHECK_OK(mp_semaphore_options_init(&options));
    options.robust = true;
    CHECK_OK(mp_arena_semaphore(arena, "robust", 2, &options, &semaphore));
    CHECK_STATUS(MP_ERR_NOT_OWNER, mp_semaphore_release(semaphore, 1));
    mp_semaphore_free(semaphore);
    CHECK_STATUS(MP_ERR_EXISTS, mp_arena_semaphore(arena, "robust", 2, NULL, &semaphore));
    mp_lock_free(outside);
    mp_lock_free(lock);
    mp_event_free(event);
    mp_arena_free(arena);
    CHECK_OK(mp_arena_unlink(which));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "again") == 0) {
        again(argv[2]);
        return 0;
    }
    program = argv[0];
    check_begin();
    strangers_meet();
    a_stranger_dies();
    a_stranger_is_replaced();
    CHECK_EQ(0, check_wait(stranger(elsewhere, fresh())));
    everything_has_a_name();
    names_and_options();
    opening();
    tokens();
    return 0;
}
