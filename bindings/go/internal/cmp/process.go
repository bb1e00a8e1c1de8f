package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// ProcessNew is mp_process_new, for the function that the arguments name. An empty name is the library's choice.
func ProcessNew(args [][]byte, name string, daemon bool, start int32) (*Process, Ret) {
	in := newSlices(nil, args)
	defer in.free()
	var text *C.char
	if name != "" {
		text = C.CString(name)
		defer C.free(unsafe.Pointer(text))
	}
	r := C.cmp_process_new(in.first, in.n, text, C.bool(daemon), C.int32_t(start))
	return (*Process)(r.ptr), take(r)
}

// Start is mp_process_start.
func (p *Process) Start() Ret { return take(C.cmp_process_start(p.c())) }

// Join is mp_process_join under a cancel, which may be nil.
func (p *Process) Join(timeout int64, c *Cancel) Ret {
	return take(C.cmp_process_join(p.c(), C.int64_t(timeout), c.c()))
}

// Terminate is mp_process_terminate.
func (p *Process) Terminate() Ret { return take(C.cmp_process_terminate(p.c())) }

// Kill is mp_process_kill.
func (p *Process) Kill() Ret { return take(C.cmp_process_kill(p.c())) }

// IsAlive is mp_process_is_alive.
func (p *Process) IsAlive() (bool, Ret) {
	r := C.cmp_process_is_alive(p.c())
	return r.num != 0, take(r)
}

// Pid is mp_process_pid.
func (p *Process) Pid() (int, Ret) {
	r := C.cmp_process_pid(p.c())
	return int(r.num), take(r)
}

// ExitCode is mp_process_exitcode.
func (p *Process) ExitCode() (int, Ret) {
	r := C.cmp_process_exitcode(p.c())
	return int(int64(r.num)), take(r)
}

// Name is mp_process_name.
func (p *Process) Name() string { return p.text(true) }

// Repr is mp_process_repr.
func (p *Process) Repr() string { return p.text(false) }

func (p *Process) text(nameOnly bool) string {
	r := C.cmp_process_text(p.c(), C.bool(nameOnly))
	if ret := take(r); ret.Status < 0 {
		return ret.Text
	}
	defer C.free(r.ptr)
	return C.GoString((*C.char)(r.ptr))
}

// Free is mp_process_free.
func (p *Process) Free() { C.mp_process_free(p.c()) }
