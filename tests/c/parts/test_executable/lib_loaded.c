/* A library that is opened with dlopen. Its other builds have the function elsewhere. */
#include <mp.h>

#ifndef VARIANT
#define VARIANT 1
#endif

#if VARIANT == 2
__attribute__((visibility("default"))) int32_t in_the_way(mp_call *call) {
    mp_call_return(call, "the wrong one", 13);
    return 0;
}
#endif

__attribute__((visibility("default"))) int32_t loaded_variant(mp_call *call) {
    char variant = VARIANT;
    return mp_call_return(call, &variant, 1) == MP_OK ? 0 : 1;
}
