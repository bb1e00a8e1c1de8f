#define VARIANT 2
#include "lib_loaded.c"

#include <stdlib.h>
#include <unistd.h>

/* What runs when it is loaded. */
__attribute__((constructor)) static void loaded(void) {
    if (getenv("MP_TEST_OTHER_EXITS") != NULL)
        _exit(55);
}
