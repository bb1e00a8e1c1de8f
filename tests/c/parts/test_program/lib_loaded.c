/* A library that the test opens with dlopen. */
#include <mp.h>

MP_API int32_t in_loaded(mp_call *call);

int32_t in_loaded(mp_call *call) { return mp_call_return(call, "loaded", 6) == MP_OK ? 0 : 1; }
