/*
 * Ten thousand starts in a row under each method leave nothing behind: no zombie, no descriptor, no memory, neither of
 * the process nor of the arena, and no slot: there are far fewer than that.
 *
 * check: once
 * check: unsanitized
 */
#include "host.h"

#include <sys/stat.h>

/* Slots are reused oldest first: before the first count each has been used. */
enum { STARTS = 10000, WARM = 4200 };

/* Private memory and what the arena's file takes up, in KiB. Pages of programs that were not written to do not count:
 * whether they are private depends on who else runs the same files. */
typedef struct {
    long private, arena;
    int descriptors;
} census;

static long private_memory(void) {
    char line[256];
    long sum = 0, kib;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
            sum += kib;
    fclose(file);
    return sum;
}

/* The arena is the one memfd that the process has. */
static long arena_memory(void) {
    for (int fd = 3; fd < 200; fd++) {
        char path[64], target[64] = "";
        struct stat stat;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "/memfd:", 7) == 0) {
            CHECK_EQ(0, fstat(fd, &stat));
            return stat.st_blocks / 2;
        }
    }
    check_fail(__FILE__, __LINE__, "the arena has a descriptor", NULL);
    return 0;
}

static census count(void) { return (census){private_memory(), arena_memory(), host_descriptors()}; }

/* All ends: by itself, by signals, as a daemon; joined, and freed without a join; one at a time and several. */
static void start_many(int32_t method, int starts) {
    for (int32_t i = 0; i < starts;) {
        int32_t code = i % 200;
        switch (i % 16) {
        case 15: {
            mp_process *process = start(sleep_for_ever, "", 0, method, i % 32 == 15);
            CHECK_OK(mp_process_kill(process));
            CHECK_EQ(-SIGKILL, finish(process));
            i++;
            break;
        }
        case 10: {
            mp_process *several[5];
            for (int32_t n = 0; n < 5; n++)
                several[n] = start(answer, &n, sizeof n, method, n % 2 == 0);
            for (int32_t n = 0; n < 5; n++)
                CHECK_EQ(n, finish(several[n]));
            i += 5;
            break;
        }
        case 3:
            mp_process_free(start(answer, &code, sizeof code, method, false));
            i++;
            break;
        default:
            CHECK_EQ(code, finish(start(answer, &code, sizeof code, method, i % 2 == 0)));
            i++;
        }
    }
    /* Those that nobody joined are the reaper's. */
    while (host_children() > 0)
        check_sleep(1000000);
}

static void soak(int32_t method) {
    int64_t begun = check_now();
    start_many(method, WARM);
    census before = count();
    start_many(method, STARTS);
    /* What lies idle may go back to the kernel, and a buried child's descriptor closes a moment later. */
    census after = count();
    for (int i = 0; i < 100 && after.descriptors > before.descriptors; i++) {
        check_sleep(CHECK_SECOND / 50);
        after = count();
    }
    fprintf(stderr, "method %d: %d starts in %.1f s; private %ld -> %ld KiB, arena %ld -> %ld KiB\n", (int)method,
            STARTS, (double)(check_now() - begun) / 1e9, before.private, after.private, before.arena, after.arena);
    CHECK_EQ(before.descriptors, after.descriptors);
    CHECK_EQ(0, host_children());
    CHECK(after.private <= before.private + 256);
    CHECK(after.arena <= before.arena + 128);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    check_watchdog(110);
    CHECK_OK(mp_main_init(argc, argv));
    for (size_t i = 0; i < HOST_METHODS; i++)
        HOST_RUN(soak, METHODS[i]);
    return 0;
}
