/* See boost.h. */
#define _Alignas alignas
extern "C" {
#include "boost.h"
}

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>

#include <new>

namespace bip = boost::interprocess;

namespace {

struct flag {
    bip::interprocess_mutex mutex;
    bip::interprocess_condition condition;
    bool set = false;
};

using guard = bip::scoped_lock<bip::interprocess_mutex>;

template <class T>
T *in(boost_room *room) {
    static_assert(sizeof(T) <= sizeof(boost_room), "the room is too small");
    return reinterpret_cast<T *>(room->bytes);
}

} // namespace

extern "C" {

void boost_mutex_open(boost_room *room) { new (room->bytes) bip::interprocess_mutex; }
void boost_mutex_lock(boost_room *room) { in<bip::interprocess_mutex>(room)->lock(); }
void boost_mutex_unlock(boost_room *room) { in<bip::interprocess_mutex>(room)->unlock(); }

void boost_semaphore_open(boost_room *room, unsigned value) { new (room->bytes) bip::interprocess_semaphore(value); }
void boost_semaphore_wait(boost_room *room) { in<bip::interprocess_semaphore>(room)->wait(); }
void boost_semaphore_post(boost_room *room) { in<bip::interprocess_semaphore>(room)->post(); }

void boost_signal_open(boost_room *room) { new (room->bytes) flag; }
void boost_signal_set(boost_room *room) {
    flag *to = in<flag>(room);
    guard held(to->mutex);
    to->set = true;
    to->condition.notify_one();
}
void boost_signal_await(boost_room *room) {
    flag *from = in<flag>(room);
    guard held(from->mutex);
    while (!from->set) {
        from->condition.wait(held);
    }
    from->set = false;
}

void *boost_queue_open(const char *name, size_t room, size_t size) {
    void *queue = new bip::message_queue(bip::create_only, name, room, size);
    bip::message_queue::remove(name);
    return queue;
}
void boost_queue_send(void *queue, const void *message, size_t size) {
    static_cast<bip::message_queue *>(queue)->send(message, size, 0);
}
void boost_queue_receive(void *queue, void *message, size_t size) {
    bip::message_queue::size_type received = 0;
    unsigned priority = 0;
    static_cast<bip::message_queue *>(queue)->receive(message, size, received, priority);
}
void boost_queue_close(void *queue) { delete static_cast<bip::message_queue *>(queue); }
}
