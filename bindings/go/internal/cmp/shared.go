package cmp

// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// ValueNew is mp_value_new, of size bytes from init on.
func ValueNew(size uintptr, init unsafe.Pointer, lock int32) (*Value, Ret) {
	r := C.cmp_value_new(C.size_t(size), init, C.int32_t(lock))
	return (*Value)(r.ptr), take(r)
}

// ValueFromToken is mp_value_from_token.
func ValueFromToken(t *Token) (*Value, Ret) {
	r := C.cmp_value_from_token(t.c())
	return (*Value)(r.ptr), take(r)
}

// Token is mp_value_token.
func (v *Value) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_value_token(v.c(), out) })
}

// Data is mp_value_data, valid until Free.
func (v *Value) Data() unsafe.Pointer { return C.mp_value_data(v.c()) }

// Size is mp_value_size.
func (v *Value) Size() uintptr { return uintptr(C.mp_value_size(v.c())) }

// AcquireAs is mp_value_acquire_as under a cancel, which may be nil.
func (v *Value) AcquireAs(owner uint64, timeout int64, c *Cancel) Ret {
	return take(C.cmp_value_acquire_as(v.c(), C.uint64_t(owner), C.int64_t(timeout), c.c()))
}

// ReleaseAs is mp_value_release_as.
func (v *Value) ReleaseAs(owner uint64) Ret {
	return take(C.cmp_value_release_as(v.c(), C.uint64_t(owner)))
}

// Free is mp_value_free.
func (v *Value) Free() { C.mp_value_free(v.c()) }

// ArrayNew is mp_array_new_with, of zeroes.
func ArrayNew(elemSize uintptr, count int, lock int32, hugePages bool) (*Array, Ret) {
	r := C.cmp_array_new(C.size_t(elemSize), C.size_t(count), C.int32_t(lock), C.bool(hugePages))
	return (*Array)(r.ptr), take(r)
}

// ArrayFromToken is mp_array_from_token.
func ArrayFromToken(t *Token) (*Array, Ret) {
	r := C.cmp_array_from_token(t.c())
	return (*Array)(r.ptr), take(r)
}

// Token is mp_array_token.
func (a *Array) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_array_token(a.c(), out) })
}

// Data is mp_array_data, valid until Free.
func (a *Array) Data() unsafe.Pointer { return C.mp_array_data(a.c()) }

// Len is mp_array_len.
func (a *Array) Len() int { return int(C.mp_array_len(a.c())) }

// ElemSize is mp_array_elem_size.
func (a *Array) ElemSize() uintptr { return uintptr(C.mp_array_elem_size(a.c())) }

// AcquireAs is mp_array_acquire_as under a cancel, which may be nil.
func (a *Array) AcquireAs(owner uint64, timeout int64, c *Cancel) Ret {
	return take(C.cmp_array_acquire_as(a.c(), C.uint64_t(owner), C.int64_t(timeout), c.c()))
}

// ReleaseAs is mp_array_release_as.
func (a *Array) ReleaseAs(owner uint64) Ret {
	return take(C.cmp_array_release_as(a.c(), C.uint64_t(owner)))
}

// Free is mp_array_free.
func (a *Array) Free() { C.mp_array_free(a.c()) }

// MemoryCreate is mp_shared_memory_create; an empty name is none.
func MemoryCreate(name string, size int) (*Memory, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret {
		if name == "" {
			text = nil
		}
		return C.cmp_shared_memory_create(text, C.size_t(size))
	})
	return (*Memory)(r.ptr), take(r)
}

// MemoryOpen is mp_shared_memory_open.
func MemoryOpen(name string) (*Memory, Ret) {
	r := withName(name, func(text *C.char) C.cmp_ret { return C.cmp_shared_memory_open(text) })
	return (*Memory)(r.ptr), take(r)
}

// MemoryUnlink is mp_shared_memory_unlink.
func MemoryUnlink(name string) Ret {
	return take(withName(name, func(text *C.char) C.cmp_ret { return C.cmp_shared_memory_unlink(text) }))
}

// MemoryFromToken is mp_shared_memory_from_token.
func MemoryFromToken(t *Token) (*Memory, Ret) {
	r := C.cmp_shared_memory_from_token(t.c())
	return (*Memory)(r.ptr), take(r)
}

// Token is mp_shared_memory_token.
func (m *Memory) Token() (Token, Ret) {
	return tokenOf(func(out *C.mp_token) C.cmp_ret { return C.cmp_shared_memory_token(m.c(), out) })
}

// Bytes are mp_shared_memory_data, valid until Free.
func (m *Memory) Bytes() []byte {
	return view(C.mp_shared_memory_data(m.c()), C.mp_shared_memory_size(m.c()))
}

// Name is mp_shared_memory_name, or empty.
func (m *Memory) Name() string { return C.GoString(C.mp_shared_memory_name(m.c())) }

// Free is mp_shared_memory_free.
func (m *Memory) Free() { C.mp_shared_memory_free(m.c()) }
