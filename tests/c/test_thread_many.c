/*
 * Many processes that are threads: nothing is left of them. And none when the system gives none.
 */
#include "thread.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>

enum { STARTS = 10000, WARM_UP = 500 };

#if defined(__SANITIZE_ADDRESS__)
/* Freed memory is kept for a while, and limits of memory can't be set. */
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int entries(const char *path) {
    int count = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* In bytes: what malloc has given, and what is mapped. */
typedef struct {
    long long heap, mapped;
} memory;

static memory memory_now(void) {
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%lld", &pages) == 1);
    fclose(file);
    return (memory){(long long)mallinfo2().uordblks, pages * sysconf(_SC_PAGESIZE)};
}

/* Every other one is never joined, and its handle may go before it ends. */
static void start_and_end(int32_t i, bool joined) {
    mp_process *process = start(answer, &i, sizeof i, TWIN, i % 3 == 0);
    if (joined) {
        CHECK_EQ(i & 0xff, finish(process));
        return;
    }
    mp_process_free(process);
}

/* A thread that was joined is seen there for some microseconds more; the watchdog is the limit. */
static void tasks_become(int n) {
    while (entries("/proc/self/task") != n)
        check_sleep(CHECK_SECOND / 10000);
}

/* How many there are without those that are about to go. */
static int settled_tasks(void) {
    int least = entries("/proc/self/task");
    for (int i = 0; i < 20; i++) {
        check_sleep(CHECK_SECOND / 100);
        int now = entries("/proc/self/task");
        least = now < least ? now : least;
    }
    return least;
}

static void settle(int tasks) {
    tasks_become(tasks);
    /* Those that nobody joins are joined when a handle is freed. */
    mp_process_free(make(answer, NULL, 0, TWIN, false, NULL));
}

static void nothing_is_left(bool joined) {
    int tasks = settled_tasks(), descriptors = entries("/proc/self/fd");
    memory before = {0};
    for (int32_t i = 0; i < WARM_UP + STARTS; i++) {
        if (i == WARM_UP) {
            settle(tasks);
            before = memory_now();
        }
        start_and_end(i, joined);
    }
    settle(tasks);
    memory after = memory_now();
    CHECK_EQ(descriptors, entries("/proc/self/fd"));
    if (!SANITIZED) {
        /* Less than anything that each could leave; the list of those that run at once keeps its size. And not two
         * stacks. */
        CHECK(after.heap - before.heap < STARTS * (joined ? 2 : 16));
        if (joined)
            CHECK(after.mapped - before.mapped < (16 << 20));
    }
}

/* -- when there is no memory for a stack: in a process of its own -- */

static void none_is_to_be_had(void) {
    if (SANITIZED)
        return;
    pid_t child = fork();
    if (child == 0) {
        enum { MOST = 200 };
        gate at = gate_new();
        mp_process *processes[MOST];
        int count = 0;
        struct rlimit limit;
        CHECK_EQ(0, getrlimit(RLIMIT_AS, &limit));
        rlim_t all = limit.rlim_cur;
        limit.rlim_cur = (rlim_t)memory_now().mapped + (40 << 20);
        CHECK_EQ(0, setrlimit(RLIMIT_AS, &limit));
        void *pointer = &at;
        mp_slice arg = {&pointer, sizeof pointer};
        mp_status status = MP_OK;
        while (status == MP_OK) {
            CHECK(count < MOST);
            processes[count] = make(wait_at_gate, &arg, 1, TWIN, false, NULL);
            status = mp_process_start(processes[count++]);
        }
        CHECK(status == MP_ERR_SYSTEM || status == MP_ERR_NO_MEMORY);
        CHECK_ERROR_HAS("starting the thread Process-");
        CHECK_STATUS(MP_ERR_STATE, mp_process_join(processes[count - 1], 0));
        limit.rlim_cur = all;
        CHECK_EQ(0, setrlimit(RLIMIT_AS, &limit));
        CHECK_OK(mp_process_start(processes[count - 1]));
        CHECK_OK(mp_event_set(at.go));
        while (count > 0)
            CHECK_EQ(0, finish(processes[--count]));
        exit(2);
    }
    CHECK_EQ(2, check_wait(child));
}

int main(void) {
    check_begin();
    none_is_to_be_had();
    /* The first start makes what the library keeps. */
    start_and_end(1, true);
    nothing_is_left(true);
    nothing_is_left(false);
    return 0;
}
