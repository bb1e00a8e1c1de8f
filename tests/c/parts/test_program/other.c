/* Another build of the program. */
#include "process.h"

int main(int argc, char **argv) {
    CHECK_OK(mp_main_init(argc, argv));
    return 98;
}
