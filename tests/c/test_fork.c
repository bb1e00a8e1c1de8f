/* The host's own fork, daemon and exec: an inherited handle counts as the child's own. */
#include "check.h"
#include <sys/mman.h>
#include <sys/syscall.h>

static volatile int *flag;

static void await_flag(int value) {
    while (*flag != value)
        check_sleep(CHECK_SECOND / 5000);
}

/* The parent frees its handles at once, while the child may not even have run yet. */
static void parent_frees_at_once(void) {
    for (int i = 1; i <= 200; i++) {
        mp_lock *lock = NULL;
        mp_semaphore *semaphore = NULL, *again = NULL;
        mp_token token;
        uint32_t value = 0;
        CHECK_OK(mp_lock_new(&lock));
        CHECK_OK(mp_semaphore_new(4, NULL, &semaphore));
        CHECK_OK(mp_semaphore_token(semaphore, &token));
        pid_t child = fork();
        if (child == 0) {
            await_flag(i);
            CHECK_OK(mp_lock_acquire(lock, 0));
            CHECK_OK(mp_semaphore_acquire(semaphore, 0));
            CHECK_OK(mp_semaphore_value(semaphore, &value));
            CHECK_EQ(3, value);
            mp_lock_free(lock);
            mp_semaphore_free(semaphore);
            CHECK_STATUS(MP_ERR_STALE, mp_semaphore_from_token(&token, &again));
            _exit(0);
        }
        mp_lock_free(lock);
        mp_semaphore_free(semaphore);
        *flag = i;
        CHECK_EQ(0, check_wait(child));
        CHECK_STATUS(MP_ERR_STALE, mp_semaphore_from_token(&token, &again));
    }
    *flag = 0;
}

static void daemonised(void) {
    mp_lock *lock = NULL, *kept = NULL, *again = NULL;
    mp_token token;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_new(&kept));
    CHECK_OK(mp_lock_token(kept, &token));
    pid_t child = fork();
    if (child == 0) {
        /* daemon leaves this process and goes on in a child of it. */
        CHECK_OK(mp_lock_acquire(lock, 0));
        CHECK_EQ(0, daemon(0, 1));
        alarm(60);
        CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
        CHECK_OK(mp_lock_acquire(kept, 0));
        *flag = 1;
        await_flag(2);
        CHECK_OK(mp_lock_release(kept));
        CHECK_OK(mp_lock_release(lock));
        *flag = 3;
        await_flag(4);
        mp_lock_free(kept);
        *flag = 5;
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    await_flag(1);
    CHECK_STATUS(MP_ERR_TIMEOUT, mp_lock_acquire(kept, CHECK_SECOND / 5));
    *flag = 2;
    await_flag(3);
    CHECK_OK(mp_lock_acquire(kept, MP_FOREVER));
    CHECK_OK(mp_lock_release(kept));
    mp_lock_free(kept);
    CHECK_OK(mp_lock_from_token(&token, &again));
    mp_lock_free(again);
    *flag = 4;
    await_flag(5);
    CHECK_STATUS(MP_ERR_STALE, mp_lock_from_token(&token, &again));
    mp_lock_free(lock);
    *flag = 0;
}

static int has_become(pid_t pid, const char *name) {
    char path[64], comm[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    int read = fscanf(file, "%63s", comm);
    fclose(file);
    return read == 1 && strcmp(comm, name) == 0;
}

/* A process that has become another program holds nothing, though it lives on. */
static void executed(void) {
    mp_lock *lock = NULL;
    CHECK_OK(mp_lock_new(&lock));
    pid_t child = fork();
    if (child == 0) {
        CHECK_OK(mp_lock_acquire(lock, 0));
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(127);
    }
    while (!has_become(child, "sleep"))
        check_sleep(CHECK_SECOND / 1000);
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    CHECK_EQ(0, kill(child, SIGKILL));
    CHECK_EQ(-SIGKILL, check_wait(child));
    mp_lock_free(lock);
}

/* A process that was made past fork has no part in the arena, and is told so. */
static void cloned(void) {
    mp_lock *lock = NULL, *another = NULL;
    CHECK_OK(mp_lock_new(&lock));
    CHECK_OK(mp_lock_acquire(lock, 0));
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        CHECK_STATUS(MP_ERR_STATE, mp_lock_release(lock));
        CHECK_STATUS(MP_ERR_STATE, mp_lock_acquire(lock, 0));
        CHECK_STATUS(MP_ERR_STATE, mp_lock_new(&another));
        mp_lock_free(lock);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

int main(void) {
    check_begin();
    flag = mmap(NULL, sizeof *flag, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(flag != MAP_FAILED);
    parent_frees_at_once();
    daemonised();
    executed();
    cloned();
    return 0;
}
