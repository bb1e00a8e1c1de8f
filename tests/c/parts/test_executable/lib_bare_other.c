#define VARIANT 2
#include "lib_loaded.c"
