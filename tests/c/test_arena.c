/* Named arenas through mp.h: strangers meet by name, and what is refused. check: valgrind */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static char name[64];

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

int main(void) {
    check_begin();
    strangers_meet();
    a_stranger_dies();
    CHECK_EQ(0, check_wait(stranger(elsewhere, fresh())));
    names_and_options();
    opening();
    tokens();
    return 0;
}
