/*
 * Accounts in shared memory, and clerks that are killed in the middle of a transfer: no money is lost.
 *
 * Each clerk is a process that moves money between accounts under the array's lock. What a transfer is about to do, it
 * first notes in a shared value. When a clerk is killed, the next one to get the lock is told by MP_OWNER_DEAD, and
 * undoes what the dead one had begun. A counter of transfers needs no lock at all: it is an atomic value.
 *
 *     cc bank.c $(pkg-config --cflags --libs mp) && ./a.out
 */
#include <inttypes.h>
#include <mp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ACCOUNTS = 100, CLERKS = 4, KILLS = 40, RICHES = 1000 };

/* What is under way: the two accounts as they were. */
struct note {
    int32_t open, from, to;
    int64_t had_from, had_to;
};

static mp_array *accounts;
static mp_value *note, *transfers;

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, mp_last_error());
    exit(1);
}

static int64_t *account(int32_t i) { return (int64_t *)mp_array_data(accounts) + i; }

/* Gets the lock; what a dead clerk has left half done is undone. */
static void enter(void) {
    struct note *n = mp_value_data(note);
    mp_status status = mp_array_acquire(accounts, MP_FOREVER);
    if (MP_FAILED(status))
        die("mp_array_acquire");
    if (status == MP_OWNER_DEAD && n->open) {
        *account(n->from) = n->had_from;
        *account(n->to) = n->had_to;
        n->open = 0;
    }
}

/* The compiler must not move a store of the note beyond one of the accounts: the other process sees what was stored. */
static void in_this_order(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

static void transfer(unsigned *seed) {
    struct note *n = mp_value_data(note);
    enter();
    n->from = rand_r(seed) % ACCOUNTS;
    n->to = rand_r(seed) % ACCOUNTS;
    n->had_from = *account(n->from);
    n->had_to = *account(n->to);
    in_this_order();
    n->open = 1;
    in_this_order();
    int64_t amount = n->had_from / 2;
    *account(n->from) -= amount;
    in_this_order();
    *account(n->to) += amount;
    in_this_order();
    n->open = 0;
    if (MP_FAILED(mp_array_release(accounts)))
        die("mp_array_release");
    if (MP_FAILED(mp_value_fetch_add_i64(transfers, 1, NULL)))
        die("mp_value_fetch_add_i64");
}

static int32_t clerk(mp_call *call) {
    unsigned seed = *(const unsigned *)mp_call_arg(call, 0).data;
    for (;;)
        transfer(&seed);
    return 0;
}

static mp_process *hire(void) {
    static unsigned seed;
    mp_process *process = NULL;
    mp_process_options options;
    seed++;
    mp_slice arg = {&seed, sizeof seed};
    mp_process_options_init(&options);
    options.daemon = true; /* whatever becomes of the bank, its clerks go with it */
    if (MP_FAILED(mp_process_new(clerk, &arg, 1, &options, &process)) || MP_FAILED(mp_process_start(process)))
        die("starting a clerk");
    return process;
}

static void dismiss(mp_process *process) {
    if (MP_FAILED(mp_process_kill(process)) || MP_FAILED(mp_process_join(process, MP_FOREVER)))
        die("killing a clerk");
    mp_process_free(process);
}

int main(int argc, char **argv) {
    mp_process *clerks[CLERKS];
    int64_t riches[ACCOUNTS], sum = 0, done = 0;

    mp_main_init(argc, argv);
    for (int i = 0; i < ACCOUNTS; i++)
        riches[i] = RICHES;
    if (MP_FAILED(mp_array_new(sizeof riches[0], ACCOUNTS, riches, MP_LOCK_PLAIN, &accounts)) ||
        MP_FAILED(mp_value_new(sizeof(struct note), NULL, MP_LOCK_NONE, &note)) ||
        MP_FAILED(mp_value_new(sizeof done, NULL, MP_LOCK_NONE, &transfers)))
        die("shared memory");

    for (int i = 0; i < CLERKS; i++)
        clerks[i] = hire();
    for (int i = 0; i < KILLS; i++) {
        nanosleep(&(struct timespec){0, 1000000 + i * 50000}, NULL);
        dismiss(clerks[i % CLERKS]);
        clerks[i % CLERKS] = hire();
    }
    for (int i = 0; i < CLERKS; i++)
        dismiss(clerks[i]);

    enter();
    for (int32_t i = 0; i < ACCOUNTS; i++)
        sum += *account(i);
    mp_array_release(accounts);
    mp_value_load_i64(transfers, &done);
    printf("%" PRId64 " transfers, %d clerks killed, %" PRId64 " of %d in the bank\n", done, KILLS + CLERKS, sum,
           ACCOUNTS * RICHES);
    mp_value_free(transfers);
    mp_value_free(note);
    mp_array_free(accounts);
    return sum != ACCOUNTS * RICHES;
}
