/* Boost.Interprocess, for the C programs: compiled as C++, where Boost is. `BOOST` says whether it is. */
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

#include <stddef.h>

/* Room for any of them but the queue, which makes its own. */
struct boost_room {
    _Alignas(16) char bytes[240];
};

void boost_mutex_open(struct boost_room *mutex);
void boost_mutex_lock(struct boost_room *mutex);
void boost_mutex_unlock(struct boost_room *mutex);

void boost_semaphore_open(struct boost_room *semaphore, unsigned value);
void boost_semaphore_wait(struct boost_room *semaphore);
void boost_semaphore_post(struct boost_room *semaphore);

/* A flag with its mutex and condition. */
void boost_signal_open(struct boost_room *signal);
void boost_signal_set(struct boost_room *signal);
void boost_signal_await(struct boost_room *signal);

/* A message_queue for `room` messages of up to `size` bytes. Its name goes at once, so that nothing stays behind. */
void *boost_queue_open(const char *name, size_t room, size_t size);
void boost_queue_send(void *queue, const void *message, size_t size);
void boost_queue_receive(void *queue, void *message, size_t size);
void boost_queue_close(void *queue);

#endif
