package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// ArenaHow says how to open an arena; zeros are the defaults.
type ArenaHow struct {
	Capacity  uint64
	Mode      uint32
	UID       *uint32
	MustExist bool
}

// withName lends the name to a C call.
func withName(name string, call func(*C.char) C.cmp_ret) C.cmp_ret {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return call(text)
}

// ArenaOpen is mp_arena_open.
func ArenaOpen(name string, how ArenaHow) (*Arena, Ret) {
	raw := C.cmp_arena_how{
		capacity:   C.uint64_t(how.Capacity),
		mode:       C.uint32_t(how.Mode),
		must_exist: C.bool(how.MustExist),
	}
	if how.UID != nil {
		raw.uid, raw.uid_given = C.uint32_t(*how.UID), true
	}
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_open(text, &raw) })
	return (*Arena)(r.ptr), take(r)
}

// Queue is mp_arena_queue; with nil it must be there.
func (a *Arena) Queue(name string, how *QueueHow) (*Queue, Ret) {
	var raw *C.cmp_queue_how
	if how != nil {
		raw = how.c()
	}
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_queue(a.c(), text, raw) })
	return (*Queue)(r.ptr), take(r)
}

// Lock is mp_arena_lock.
func (a *Arena) Lock(name string) (*Lock, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_lock(a.c(), text) })
	return (*Lock)(r.ptr), take(r)
}

// RLock is mp_arena_rlock.
func (a *Arena) RLock(name string) (*RLock, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_rlock(a.c(), text) })
	return (*RLock)(r.ptr), take(r)
}

// Semaphore is mp_arena_semaphore.
func (a *Arena) Semaphore(name string, value, limit uint32, robust bool) (*Semaphore, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		return C.cmp_arena_semaphore(a.c(), text, C.uint32_t(value), C.uint32_t(limit), C.bool(robust))
	})
	return (*Semaphore)(r.ptr), take(r)
}

// Condition is mp_arena_condition_with_lock.
func (a *Arena) Condition(name string, l *Lock) (*Condition, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_condition(a.c(), text, l.c()) })
	return (*Condition)(r.ptr), take(r)
}

// Barrier is mp_arena_barrier.
func (a *Arena) Barrier(name string, parties uint32) (*Barrier, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_barrier(a.c(), text, C.uint32_t(parties)) })
	return (*Barrier)(r.ptr), take(r)
}

// Value is mp_arena_value, of size bytes from init on.
func (a *Arena) Value(name string, size uintptr, init unsafe.Pointer, lock int32) (*Value, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		return C.cmp_arena_value(a.c(), text, C.size_t(size), init, C.int32_t(lock))
	})
	return (*Value)(r.ptr), take(r)
}

// Array is mp_arena_array, of zeroes.
func (a *Arena) Array(name string, elemSize uintptr, count int, lock int32) (*Array, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		return C.cmp_arena_array(a.c(), text, C.size_t(elemSize), C.size_t(count), C.int32_t(lock))
	})
	return (*Array)(r.ptr), take(r)
}

// Event is mp_arena_event.
func (a *Arena) Event(name string) (*Event, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_event(a.c(), text) })
	return (*Event)(r.ptr), take(r)
}

// Remove is mp_arena_remove.
func (a *Arena) Remove(name string) Ret {
	return take(withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_remove(a.c(), text) }))
}

// Free is mp_arena_free.
func (a *Arena) Free() { C.mp_arena_free(a.c()) }

// ArenaUnlink is mp_arena_unlink.
func ArenaUnlink(name string) Ret {
	return take(withName(name, func(text *C.char) C.cmp_ret { return C.cmp_arena_unlink(text) }))
}
