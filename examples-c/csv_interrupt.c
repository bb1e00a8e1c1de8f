#define _POSIX_C_SOURCE 200809L
#include "csv_interrupt.h"

#include <signal.h>
#include <stdlib.h>

static mp_cancel *cancel;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
    mp_cancel_fire(cancel);
}

mp_status csv_interrupt_catch(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, before;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, NULL, &before) != 0 || before.sa_handler == SIG_IGN)
        return MP_OK;
    mp_status status = mp_cancel_new(&cancel);
    if (MP_SUCCEEDED(status))
        status = mp_cancel_use(cancel);
    if (MP_SUCCEEDED(status))
        sigaction(SIGINT, &action, NULL);
    return status;
}

bool csv_interrupted(void) { return interrupted != 0; }

void csv_interrupt_done(void) {
    mp_cancel_use(NULL);
    if (cancel != NULL)
        signal(SIGINT, SIG_DFL);
}

void csv_interrupt_die(void) {
    sigset_t unblocked;
    sigemptyset(&unblocked);
    sigaddset(&unblocked, SIGINT);
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
    sigprocmask(SIG_UNBLOCK, &unblocked, NULL);
    abort();
}
