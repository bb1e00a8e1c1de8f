package cmp

// #include <stdlib.h>
// #include <string.h>
// #include "shims.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// slices are byte slices as C sees them, in C memory, which may not hold Go pointers that are not pinned. Short ones are
// copied, as that is cheaper than pinning them.
type slices struct {
	first *C.mp_slice
	n     C.size_t
	data  unsafe.Pointer
	pins  runtime.Pinner
}

const pinFrom = 16 << 10

// newSlices takes the items, each behind a slice of the common bytes unless those are nil.
func newSlices(common []byte, items [][]byte) *slices {
	size, stride := len(common), 1
	if common != nil {
		stride = 2
	}
	for _, item := range items {
		if len(item) < pinFrom {
			size += len(item)
		}
	}
	n := len(items) * stride
	// One byte and one slice more than needed: malloc(0) may be NULL.
	s := &slices{n: C.size_t(n), data: C.malloc(C.size_t(size + 1))}
	// Zeroes: where a pointer is stored, the collector looks at what was there, and may not find what was a Go pointer.
	s.first = (*C.mp_slice)(C.calloc(C.size_t(n+1), C.size_t(unsafe.Sizeof(C.mp_slice{}))))
	out, room := unsafe.Slice(s.first, n), unsafe.Slice((*byte)(s.data), size+1)
	take := func(bytes []byte) C.mp_slice {
		if len(bytes) >= pinFrom {
			s.pins.Pin(&bytes[0])
			return C.mp_slice{data: unsafe.Pointer(&bytes[0]), len: C.size_t(len(bytes))}
		}
		taken := C.mp_slice{data: unsafe.Pointer(&room[0]), len: C.size_t(copy(room, bytes))}
		room = room[len(bytes):]
		return taken
	}
	if stride == 1 {
		for i, item := range items {
			out[i] = take(item)
		}
		return s
	}
	shared := take(common)
	for i, item := range items {
		out[2*i], out[2*i+1] = shared, take(item)
	}
	return s
}

func (s *slices) free() {
	s.pins.Unpin()
	C.free(s.data)
	C.free(unsafe.Pointer(s.first))
}

// PoolOptions are the fields of mp_pool_options; Initializer is the arguments of the initializer's call.
type PoolOptions struct {
	Processes        uint32
	Initializer      [][]byte
	MaxTasksPerChild uint32
	Start            int32
	TaskTimeout      int64
	TaskRetries      uint32
}

// PoolNew is mp_pool_new.
func PoolNew(o PoolOptions) (*Pool, Ret) {
	in := newSlices(nil, o.Initializer)
	defer in.free()
	r := C.cmp_pool_new(C.uint32_t(o.Processes), in.first, in.n, C.uint32_t(o.MaxTasksPerChild), C.int32_t(o.Start),
		C.int64_t(o.TaskTimeout), C.uint32_t(o.TaskRetries))
	return (*Pool)(r.ptr), take(r)
}

// Submit are the fields of mp_task_options. User 0 means no callbacks.
type Submit struct {
	User     uintptr
	Progress bool
	Timeout  int64
	Retries  int32
}

func (s Submit) c() C.cmp_submit {
	return C.cmp_submit{user: C.uintptr_t(s.User), progress: C.bool(s.Progress), timeout: C.int64_t(s.Timeout),
		retries: C.int32_t(s.Retries)}
}

// Apply is mp_pool_apply_async.
func (p *Pool) Apply(args [][]byte, o Submit) (*Result, Ret) {
	in := newSlices(nil, args)
	defer in.free()
	submit := o.c()
	r := C.cmp_pool_apply(p.c(), in.first, in.n, &submit)
	return (*Result)(r.ptr), take(r)
}

// Map is mp_pool_starmap_async: each item is the second argument of its call, behind the name.
func (p *Pool) Map(name []byte, items [][]byte, chunk int, o Submit) (*Result, Ret) {
	in := newSlices(name, items)
	defer in.free()
	submit := o.c()
	r := C.cmp_pool_map(p.c(), in.first, C.size_t(len(items)), C.size_t(chunk), &submit)
	return (*Result)(r.ptr), take(r)
}

// Close is mp_pool_close.
func (p *Pool) Close() Ret { return take(C.cmp_pool_close(p.c())) }

// Terminate is mp_pool_terminate.
func (p *Pool) Terminate() Ret { return take(C.cmp_pool_terminate(p.c())) }

// Join is mp_pool_join under a cancel, which may be nil.
func (p *Pool) Join(timeout int64, c *Cancel) Ret {
	return take(C.cmp_pool_join(p.c(), C.int64_t(timeout), c.c()))
}

// Free is mp_pool_free.
func (p *Pool) Free() { C.mp_pool_free(p.c()) }
