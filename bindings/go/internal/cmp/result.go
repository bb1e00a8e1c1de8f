package cmp

// #include <stdlib.h>
// #include <stdint.h>
// #include "shims.h"
import "C"

import "unsafe"

// Failure is an mp_task_error.
type Failure struct {
	Index                     int
	Elapsed                   int64
	Status, Code, Pid, Signal int32
	Text                      string
}

func failureOf(f *C.cmp_failure) Failure {
	return Failure{Index: int(f.index), Elapsed: int64(f.elapsed), Status: int32(f.status), Code: int32(f.code),
		Pid: int32(f.pid), Signal: int32(f.signal), Text: C.GoString(f.text)}
}

// takeFailure is nil where there is no failure.
func takeFailure(f *C.cmp_failure) *Failure {
	if f.text == nil {
		return nil
	}
	out := failureOf(f)
	C.free(unsafe.Pointer(f.text))
	return &out
}

// Get is mp_result_get under a cancel, which may be nil. The failure is the task's, nil where the wait failed.
func (r *Result) Get(timeout int64, c *Cancel) (*Failure, Ret) {
	var f C.cmp_failure
	ret := take(C.cmp_result_get(r.c(), C.int64_t(timeout), c.c(), &f))
	return takeFailure(&f), ret
}

// Ready is mp_result_ready.
func (r *Result) Ready() (bool, Ret) {
	ret := C.cmp_result_ready(r.c())
	return ret.num != 0, take(ret)
}

// ErrorAt is mp_result_error_at.
func (r *Result) ErrorAt(i int) (*Failure, Ret) {
	var f C.cmp_failure
	ret := take(C.cmp_result_error_at(r.c(), C.size_t(i), &f))
	return takeFailure(&f), ret
}

// Progress is mp_result_progress.
func (r *Result) Progress() (done, total int, ret Ret) {
	var all C.size_t
	got := C.cmp_result_progress(r.c(), &all)
	return int(got.num), int(all), take(got)
}

// Items are copies of what the items gave; nil for those that failed.
func (r *Result) Items() [][]byte {
	n := int(C.mp_result_count(r.c()))
	out := make([][]byte, n)
	if n == 0 {
		return out
	}
	raw := make([]C.mp_slice, n)
	C.cmp_result_items(r.c(), &raw[0], C.size_t(n))
	for i, s := range raw {
		if s.len != C.SIZE_MAX {
			out[i] = append([]byte{}, view(s.data, s.len)...)
		}
	}
	return out
}

// Free is mp_result_free.
func (r *Result) Free() { C.mp_result_free(r.c()) }

// Hooks are the callbacks of one submission. Package mp sets them; they run on the pool's service thread.
var Hooks struct {
	Result   func(user uintptr, r *Result)
	Error    func(user uintptr, f Failure)
	Progress func(user uintptr, done, total int)
	Release  func(user uintptr)
}

//export cmpOnResult
func cmpOnResult(user C.uintptr_t, r *C.mp_result) {
	Hooks.Result(uintptr(user), (*Result)(unsafe.Pointer(r)))
}

//export cmpOnError
func cmpOnError(user C.uintptr_t, f *C.cmp_failure) { Hooks.Error(uintptr(user), failureOf(f)) }

//export cmpOnProgress
func cmpOnProgress(user C.uintptr_t, done, total C.size_t) {
	Hooks.Progress(uintptr(user), int(done), int(total))
}

//export cmpOnRelease
func cmpOnRelease(user C.uintptr_t) { Hooks.Release(uintptr(user)) }
