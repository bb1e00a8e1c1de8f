// Uses the installed C++ header.
#include <cstring>
#include <mp.hpp>

int main() { return std::strcmp(mp_status_name(MP_OK), "MP_OK") != 0; }
