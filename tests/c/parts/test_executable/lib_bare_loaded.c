#include "lib_loaded.c"
