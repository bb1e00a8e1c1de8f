package cmp

// #include "shims.h"
import "C"

import "unsafe"

// Waitable is an mp_waitable.
type Waitable struct{ raw C.mp_waitable }

func waitable(kind C.int32_t, handle unsafe.Pointer) Waitable {
	return Waitable{C.mp_waitable{kind: kind, fd: -1, handle: handle}}
}

// WaitableFD is an MP_WAIT_FD.
func WaitableFD(fd int32) Waitable {
	return Waitable{C.mp_waitable{kind: C.MP_WAIT_FD, fd: C.int32_t(fd)}}
}

// Waitable is an MP_WAIT_QUEUE.
func (q *Queue) Waitable() Waitable { return waitable(C.MP_WAIT_QUEUE, unsafe.Pointer(q.c())) }

// Waitable is an MP_WAIT_CONNECTION.
func (n *Connection) Waitable() Waitable {
	return waitable(C.MP_WAIT_CONNECTION, unsafe.Pointer(n.c()))
}

// Waitable is an MP_WAIT_EVENT.
func (e *Event) Waitable() Waitable { return waitable(C.MP_WAIT_EVENT, unsafe.Pointer(e.c())) }

// Waitable is an MP_WAIT_SEMAPHORE.
func (s *Semaphore) Waitable() Waitable { return waitable(C.MP_WAIT_SEMAPHORE, unsafe.Pointer(s.c())) }

// Waitable is an MP_WAIT_PROCESS.
func (p *Process) Waitable() Waitable { return waitable(C.MP_WAIT_PROCESS, unsafe.Pointer(p.c())) }

// Waitable is an MP_WAIT_RESULT.
func (r *Result) Waitable() Waitable { return waitable(C.MP_WAIT_RESULT, unsafe.Pointer(r.c())) }

// Wait is mp_wait under a cancel, which may be nil. It answers the places of what is ready.
func Wait(items []Waitable, timeout int64, c *Cancel) ([]int, Ret) {
	var first *C.mp_waitable
	if len(items) > 0 {
		first = &items[0].raw
	}
	ret := take(C.cmp_wait(first, C.size_t(len(items)), C.int64_t(timeout), c.c()))
	if ret.Status < 0 {
		return nil, ret
	}
	var ready []int
	for i := range items {
		if items[i].raw.ready {
			ready = append(ready, i)
		}
	}
	return ready, ret
}
