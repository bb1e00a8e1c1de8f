package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// Run is what every call of a Go function goes through, set by package mp. What it answers is the mp_fn's answer.
var Run func(c *Call) int32

//export cmpRunCall
func cmpRunCall(c *C.mp_call) C.int32_t { return C.int32_t(Run((*Call)(unsafe.Pointer(c)))) }

// Args are the arguments, valid until the function returns.
func (c *Call) Args() [][]byte {
	n := int(C.mp_call_argc(c.c()))
	if n == 0 {
		return nil
	}
	raw := make([]C.mp_slice, n)
	C.cmp_call_args(c.c(), &raw[0], C.size_t(n))
	args := make([][]byte, n)
	for i, s := range raw {
		args[i] = view(s.data, s.len)
	}
	return args
}

// Return is mp_call_return.
func (c *Call) Return(data []byte) Ret {
	p, n := pointer(data)
	return take(C.cmp_call_return(c.c(), p, n))
}

// ReturnBuffer is mp_call_return_buffer: memory for the result, valid until the function returns.
func (c *Call) ReturnBuffer(n int) ([]byte, Ret) {
	r := C.cmp_call_return_buffer(c.c(), C.size_t(n))
	ret := take(r)
	if ret.Status < 0 {
		return nil, ret
	}
	return view(r.ptr, C.size_t(n)), ret
}

// Fail is mp_call_fail.
func (c *Call) Fail(code int32, message string) {
	text := C.CString(message)
	defer C.free(unsafe.Pointer(text))
	C.mp_call_fail(c.c(), C.int32_t(code), text)
}
