#include "lib_linked.h"

#include <unistd.h>

int32_t linked_program(mp_call *call) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n < 0 || mp_call_return(call, path, (size_t)n) != MP_OK)
        return 1;
    return mp_call_argc(call) == 2 && mp_call_arg(call, 1).len == 3 ? 0 : 2;
}

int32_t linked_parent(mp_call *call) {
    mp_slice args[] = {{"x", 1}, {"abc", 3}};
    mp_process_options options;
    mp_process *process;
    mp_buffer *buffer;
    mp_process_options_init(&options);
    options.start_method = MP_START_SPAWN;
    if (mp_process_new(linked_program, args, 2, &options, &process) != MP_OK)
        return 3;
    if (mp_process_start(process) != MP_OK || mp_process_join(process, MP_FOREVER) != MP_OK)
        return mp_call_fail(call, 4, mp_last_error()), 4;
    if (mp_process_result(process, &buffer) != MP_OK)
        return mp_call_fail(call, 5, mp_last_error()), 5;
    int32_t code = mp_call_return(call, mp_buffer_data(buffer), mp_buffer_len(buffer)) == MP_OK ? 0 : 6;
    mp_buffer_free(buffer);
    mp_process_free(process);
    return code;
}
