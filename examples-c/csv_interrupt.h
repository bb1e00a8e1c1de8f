/* Ctrl-C: the handler wakes the main thread out of libmp, which clears up and then dies of the signal itself. */
#ifndef CSV_INTERRUPT_H
#define CSV_INTERRUPT_H

#include <mp.h>
#include <stdbool.h>

/* From here on SIGINT cancels this thread's waits in libmp, unless the program was started with SIGINT ignored. */
mp_status csv_interrupt_catch(void);

bool csv_interrupted(void);

/* The waits that follow can no longer be cancelled, and Ctrl-C ends the program at once, as it always does. */
void csv_interrupt_done(void);

/* Ends the program as an uncaught SIGINT would have, so that a shell sees what happened. */
_Noreturn void csv_interrupt_die(void);

#endif
