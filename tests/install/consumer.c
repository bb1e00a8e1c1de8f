/* Uses an installed libmp: the library is there, and of the header's version. */
#include <mp.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    char version[40];
    snprintf(version, sizeof version, "%d.%d.%d", MP_VERSION_MAJOR, MP_VERSION_MINOR, MP_VERSION_PATCH);
    if (strcmp(version, mp_version()) != 0) {
        fprintf(stderr, "the header is of %s, the library of %s\n", version, mp_version());
        return 1;
    }
    return strcmp(mp_status_name(MP_ERR_FULL), "MP_ERR_FULL") != 0;
}
