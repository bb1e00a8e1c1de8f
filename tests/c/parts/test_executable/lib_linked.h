/* What the libraries of this test have. */
#include <mp.h>

/* Returns the path of the program that runs it, and 1 per argument. */
MP_API int32_t linked_program(mp_call *call);
/* In a library that is linked: has a child by spawn run linked_program, and returns what that returns. */
MP_API int32_t linked_parent(mp_call *call);
