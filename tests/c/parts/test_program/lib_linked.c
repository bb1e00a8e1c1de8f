/* A library that is linked with the test. */
#include <mp.h>

MP_API int32_t in_linked(mp_call *call);

int32_t in_linked(mp_call *call) { return mp_call_return(call, "linked", 6) == MP_OK ? 0 : 1; }
