/*
 * A pool in a storm of kills, seen from C: for some seconds workers and zygotes are SIGKILLed, busy and idle ones,
 * while threads map and apply. Every submission has exactly one outcome, what failed names a process that was killed,
 * and in the end neither processes nor descriptors nor files are left. Under both start methods.
 *
 * check: once, check: alone (it counts the files of /dev/shm)
 */
#include "pool.h"

#include <pthread.h>

enum { SECONDS = 5, WORKERS = 6, SUBMITTERS = 4, MOST_ITEMS = 40, PLACES = 64, MOST_PIDS = 1 << 16 };

/* -- what tasks tell: who has one in hand. A file, so that spawned workers see it too. -- */

static atomic_int *board;
static char board_path[64];

static atomic_int *open_board(const char *path) {
    FILE *file = fopen(path, "r+e");
    CHECK(file != NULL);
    void *memory = mmap(NULL, PLACES * sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    CHECK(memory != MAP_FAILED);
    fclose(file);
    return memory;
}

static void make_board(void) {
    snprintf(board_path, sizeof board_path, "/tmp/mp-pool-kill.XXXXXX");
    int fd = mkstemp(board_path);
    CHECK(fd >= 0);
    CHECK_EQ(0, ftruncate(fd, PLACES * (off_t)sizeof *board));
    close(fd);
    board = open_board(board_path);
}

static int64_t expected(int64_t number) { return number * 31 + 7; }

/* Arguments: the board's path, a number. */
static int32_t work(mp_call *call) {
    int64_t number = pool_arg(call, 1);
    int place = 0, nobody = 0;
    if (!board)
        board = open_board(mp_call_arg(call, 0).data);
    while (!atomic_compare_exchange_strong(&board[place], &nobody, getpid())) {
        place = (place + 1) % PLACES;
        nobody = 0;
    }
    check_sleep(number % 5 * 300000);
    pool_give(call, expected(number));
    board[place] = 0;
    return 0;
}

/* -- submitters -- */

static atomic_bool over;
static atomic_long submissions, done, failed, results, errors, released, accepted;
static atomic_int named[MOST_PIDS];
static atomic_int names;

static void name_killed(const mp_task_error *error) {
    CHECK_EQ(MP_ERR_WORKER_DIED, error->status);
    CHECK_EQ(SIGKILL, error->signal);
    CHECK_EQ(0, error->code);
    int at = names++;
    CHECK(at < MOST_PIDS);
    named[at] = error->pid;
}

static void on_result(void *user, const mp_result *result) {
    (void)user;
    (void)result;
    results++;
}

static void on_error(void *user, const mp_task_error *error) {
    (void)user;
    CHECK_EQ(MP_ERR_WORKER_DIED, error->status);
    errors++;
}

static void on_release(void *user) {
    (void)user;
    released++;
}

static void count_outcomes(const mp_result *result, const int64_t *numbers, size_t n) {
    CHECK_EQ(n, mp_result_count(result));
    for (size_t i = 0; i < n; i++) {
        mp_slice slice;
        mp_status status = mp_result_item(result, i, &slice);
        if (status == MP_OK) {
            CHECK_EQ(expected(numbers[i]), pool_number(slice));
            done++;
        } else {
            mp_task_error error = {.size = sizeof error};
            CHECK_STATUS(MP_ERR_WORKER_DIED, status);
            CHECK_ERROR_HAS("signal 9");
            CHECK_OK(mp_result_error_at(result, i, &error));
            name_killed(&error);
            failed++;
        }
    }
}

static void apply_one(mp_pool *pool, const mp_slice *args, int64_t number) {
    mp_buffer *buffer = NULL;
    mp_status status = mp_pool_apply(pool, work, args, 2, &buffer);
    CHECK((status == MP_OK) == (buffer != NULL));
    if (status == MP_OK) {
        CHECK_EQ(expected(number), pool_number((mp_slice){mp_buffer_data(buffer), mp_buffer_len(buffer)}));
        mp_buffer_free(buffer);
        done++;
    } else {
        CHECK_STATUS(MP_ERR_WORKER_DIED, status);
        CHECK_ERROR_HAS("signal 9");
        failed++;
    }
}

static void map_many(mp_pool *pool, const mp_args *items, const int64_t *numbers, size_t n, size_t chunk, bool async) {
    mp_result *result = NULL;
    if (async) {
        mp_task_options options;
        CHECK_OK(mp_task_options_init(&options));
        options.on_result = on_result;
        options.on_error = on_error;
        options.release = on_release;
        CHECK_OK(mp_pool_starmap_async(pool, work, items, n, chunk, &options, &result));
        CHECK_OK(mp_pool_starmap_async(pool, work, items, n, chunk, &options, NULL));
        accepted += 2;
        CHECK_OK(mp_result_wait(result, MP_FOREVER));
    } else {
        mp_status status = mp_pool_starmap(pool, work, items, n, chunk, &result);
        CHECK(status == MP_OK || status == MP_ERR_WORKER_DIED);
    }
    CHECK(result != NULL);
    count_outcomes(result, numbers, n);
    mp_result_free(result);
}

typedef struct {
    mp_pool *pool;
    unsigned kind;
} submitter;

static void *submit(void *arg) {
    const submitter *s = arg;
    unsigned seed = s->kind;
    while (!over) {
        int64_t numbers[MOST_ITEMS];
        mp_slice slices[MOST_ITEMS][2];
        mp_args items[MOST_ITEMS];
        size_t n = (size_t)rand_r(&seed) % MOST_ITEMS;
        for (size_t i = 0; i < MOST_ITEMS; i++) {
            numbers[i] = rand_r(&seed);
            slices[i][0] = (mp_slice){board_path, sizeof board_path};
            slices[i][1] = (mp_slice){&numbers[i], sizeof numbers[i]};
            items[i] = (mp_args){slices[i], 2};
        }
        if (s->kind == 0)
            apply_one(s->pool, slices[0], numbers[0]);
        else
            map_many(s->pool, items, numbers, n, (size_t)rand_r(&seed) % 10, s->kind == 1);
        submissions++;
        check_sleep(rand_r(&seed) % 3 * INT64_C(10000000));
    }
    return NULL;
}

/* -- the killer -- */

static pid_t killed[MOST_PIDS];
static size_t kills, busy_kills, zygote_kills;

static bool is_busy(pid_t pid) {
    for (int i = 0; i < PLACES; i++)
        if (board[i] == pid)
            return true;
    return false;
}

static void note(const pid_t *pids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        CHECK(kills < MOST_PIDS);
        killed[kills++] = pids[i];
    }
}

/* Kills a process and waits until it has gone; then it has left the board. */
static void end_process(pid_t pid, const pid_t *others, size_t n) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    CHECK_EQ(0, kill(pid, SIGKILL));
    while (access(path, F_OK) == 0)
        check_sleep(100000);
    for (int i = 0; i < PLACES; i++) {
        int owner = board[i];
        bool gone = owner == pid;
        for (size_t k = 0; k < n; k++)
            gone |= owner == others[k];
        if (gone)
            atomic_compare_exchange_strong(&board[i], &owner, 0);
    }
}

/* Takes the fork server out of the children, and now and then kills it: the pool has its zygote, and does not need it
 * until that dies. */
static size_t without_server(pid_t *children, size_t n, unsigned *seed) {
    size_t kept = 0;
    for (size_t i = 0; i < n && i < PLACES; i++) {
        char name[32];
        char state = pool_look_at(children[i], name);
        if (strcmp(name, "mp-forkserver") != 0)
            children[kept++] = children[i];
        else if (state != 'Z' && rand_r(seed) % 20 == 0)
            CHECK_EQ(0, kill(children[i], SIGKILL));
    }
    return kept;
}

static size_t count_kills(int32_t method) {
    size_t count = 0;
    unsigned seed = 4;
    for (int64_t end = check_now() + SECONDS * CHECK_SECOND; check_now() < end;) {
        pid_t children[PLACES] = {0}, workers[PLACES] = {0};
        check_sleep((4 + rand_r(&seed) % 8) * INT64_C(1000000));
        size_t n = without_server(children, pool_children(getpid(), children, PLACES), &seed);
        if (n == 0)
            continue;
        if (method == MP_START_SPAWN) {
            memcpy(workers, children, sizeof workers);
        } else {
            n = pool_children(children[0], workers, PLACES);
            if (rand_r(&seed) % 40 == 0) {
                note(workers, n);
                end_process(children[0], workers, n);
                zygote_kills++;
                count++;
                continue;
            }
        }
        bool wanted = rand_r(&seed) % 3 != 0;
        for (size_t i = 0; i < n && i < PLACES; i++) {
            if (is_busy(workers[i]) == wanted) {
                note(&workers[i], 1);
                end_process(workers[i], NULL, 0);
                busy_kills += wanted;
                count++;
                break;
            }
        }
    }
    return count;
}

/* Those that went with their zygote are init's to collect. */
static void check_gone(pid_t pid) {
    char path[64], state = 'Z';
    do {
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "re");
        if (!file)
            return;
        CHECK(fscanf(file, "%*d (%*[^)]) %c", &state) != 0);
        fclose(file);
    } while (state != 'Z');
}

static bool was_killed(pid_t pid) {
    for (size_t i = 0; i < kills; i++)
        if (killed[i] == pid)
            return true;
    return false;
}

static void storm(int32_t method, size_t least) {
    pthread_t threads[SUBMITTERS];
    submitter submitters[SUBMITTERS];
    size_t descriptors = pool_entries("/proc/self/fd"), shm = pool_entries("/dev/shm");
    mp_pool *pool = pool_new(method, WORKERS);
    over = false;
    submissions = done = failed = results = errors = released = accepted = 0;
    names = 0;
    kills = busy_kills = zygote_kills = 0;
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (submitter){pool, i};
        CHECK_EQ(0, pthread_create(&threads[i], NULL, submit, &submitters[i]));
    }
    size_t count = count_kills(method);
    over = true;
    for (size_t i = 0; i < SUBMITTERS; i++)
        CHECK_EQ(0, pthread_join(threads[i], NULL));
    pool_end(pool);
    printf("%zu kills: %zu busy, %zu zygotes; %ld submissions; items: %ld done, %ld failed\n", count, busy_kills,
           zygote_kills, submissions, done, failed);
    CHECK_EQ(accepted, results + errors);
    CHECK_EQ(accepted, released);
    for (int i = 0; i < names; i++)
        CHECK(was_killed(named[i]));
    CHECK(count >= least);
    CHECK(busy_kills * 2 >= count);
    CHECK(failed >= (long)(least / 2));
    CHECK(method == MP_START_SPAWN || zygote_kills >= 3);
    pool_no_children();
    for (size_t i = 0; i < kills; i++)
        check_gone(killed[i]);
    CHECK_EQ(shm, pool_entries("/dev/shm"));
    CHECK_EQ(descriptors, pool_entries("/proc/self/fd"));
}

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    check_begin();
    check_watchdog(100);
    make_board();
    /* What the library keeps for good, its reaper's pipe for instance, is there from the first pool on. */
    pool_end(pool_new(MP_START_FORK, 1));
    storm(MP_START_FORK, 150);
    memset(board, 0, PLACES * sizeof *board);
    storm(MP_START_FORKSERVER, 100);
    memset(board, 0, PLACES * sizeof *board);
    storm(MP_START_SPAWN, 100);
    CHECK_EQ(0, unlink(board_path));
    return 0;
}
