package cmp

// #include "shims.h"
import "C"

import "unsafe"

// Pipe is mp_pipe.
func Pipe(duplex bool) (*Connection, *Connection, Ret) {
	var other *C.mp_connection
	r := C.cmp_pipe(C.bool(duplex), &other)
	return (*Connection)(r.ptr), (*Connection)(unsafe.Pointer(other)), take(r)
}

// ConnectionFromToken is mp_connection_from_token.
func ConnectionFromToken(t *Token) (*Connection, Ret) {
	r := C.cmp_connection_from_token(t.c())
	return (*Connection)(r.ptr), take(r)
}

// Token is mp_connection_token.
func (n *Connection) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_connection_token(n.c(), out) })
}

// Send is mp_connection_send under a cancel, which may be nil.
func (n *Connection) Send(data []byte, timeout int64, c *Cancel) Ret {
	p, size := pointer(data)
	return take(C.cmp_connection_send(n.c(), p, size, C.int64_t(timeout), c.c()))
}

// Recv is mp_connection_recv under a cancel, which may be nil. The bytes are the buffer's, valid until its Free.
func (n *Connection) Recv(timeout int64, c *Cancel) (*Buffer, []byte, Ret) {
	r := C.cmp_connection_recv(n.c(), C.int64_t(timeout), c.c())
	if r.ptr == nil {
		return nil, nil, take(r)
	}
	return (*Buffer)(r.ptr), view(unsafe.Pointer(r.data), C.size_t(r.num)), take(r)
}

// RecvInto is mp_connection_recv_into under a cancel, which may be nil. It answers the message's length.
func (n *Connection) RecvInto(data []byte, timeout int64, c *Cancel) (int, Ret) {
	p, size := pointer(data)
	r := C.cmp_connection_recv_into(n.c(), p, size, C.int64_t(timeout), c.c())
	return int(r.num), take(r)
}

// Poll is mp_connection_poll under a cancel, which may be nil.
func (n *Connection) Poll(timeout int64, c *Cancel) (bool, Ret) {
	r := C.cmp_connection_poll(n.c(), C.int64_t(timeout), c.c())
	return r.num != 0, take(r)
}

// Free is mp_connection_free.
func (n *Connection) Free() { C.mp_connection_free(n.c()) }
