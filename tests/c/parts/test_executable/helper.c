/* The program that the test names for its children. */
#include "process.h"

static int32_t by_name(mp_call *call) { return mp_call_return(call, "the helper's", 12) == MP_OK ? 0 : 1; }

int main(int argc, char **argv) {
    CHECK_EQ(1, argc);
    CHECK_OK(mp_register("by name", by_name));
    CHECK_OK(mp_main_init(argc, argv));
    return 99;
}
