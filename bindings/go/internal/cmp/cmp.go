// Package cmp is the flat layer over mp.h: one Go function for each C call, no policy. Only this package imports "C".
//
// Handles are C pointers in Go dress: nothing here guards against their use after Free; package mp does.
package cmp

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #include <stdlib.h>
// #include "shims.h"
import "C"

import "unsafe"

// opaque keeps the C objects from being copied or looked into; their C types may be incomplete.
type opaque struct{ _ [0]func() }

// The C objects, which only C makes and frees.
type (
	Cancel     struct{ opaque }
	Buffer     struct{ opaque }
	Reserved   struct{ opaque }
	Lock       struct{ opaque }
	RLock      struct{ opaque }
	Semaphore  struct{ opaque }
	Event      struct{ opaque }
	Barrier    struct{ opaque }
	Condition  struct{ opaque }
	Value      struct{ opaque }
	Array      struct{ opaque }
	Memory     struct{ opaque }
	Queue      struct{ opaque }
	Connection struct{ opaque }
	Arena      struct{ opaque }
	Process    struct{ opaque }
	Pool       struct{ opaque }
	Result     struct{ opaque }
	Call       struct{ opaque }
)

func (p *Cancel) c() *C.mp_cancel         { return (*C.mp_cancel)(unsafe.Pointer(p)) }
func (p *Buffer) c() *C.mp_buffer         { return (*C.mp_buffer)(unsafe.Pointer(p)) }
func (p *Reserved) c() *C.mp_reservation  { return (*C.mp_reservation)(unsafe.Pointer(p)) }
func (p *Lock) c() *C.mp_lock             { return (*C.mp_lock)(unsafe.Pointer(p)) }
func (p *RLock) c() *C.mp_rlock           { return (*C.mp_rlock)(unsafe.Pointer(p)) }
func (p *Semaphore) c() *C.mp_semaphore   { return (*C.mp_semaphore)(unsafe.Pointer(p)) }
func (p *Event) c() *C.mp_event           { return (*C.mp_event)(unsafe.Pointer(p)) }
func (p *Barrier) c() *C.mp_barrier       { return (*C.mp_barrier)(unsafe.Pointer(p)) }
func (p *Condition) c() *C.mp_condition   { return (*C.mp_condition)(unsafe.Pointer(p)) }
func (p *Value) c() *C.mp_value           { return (*C.mp_value)(unsafe.Pointer(p)) }
func (p *Array) c() *C.mp_array           { return (*C.mp_array)(unsafe.Pointer(p)) }
func (p *Memory) c() *C.mp_shared_memory  { return (*C.mp_shared_memory)(unsafe.Pointer(p)) }
func (p *Queue) c() *C.mp_queue           { return (*C.mp_queue)(unsafe.Pointer(p)) }
func (p *Connection) c() *C.mp_connection { return (*C.mp_connection)(unsafe.Pointer(p)) }
func (p *Arena) c() *C.mp_arena           { return (*C.mp_arena)(unsafe.Pointer(p)) }
func (p *Process) c() *C.mp_process       { return (*C.mp_process)(unsafe.Pointer(p)) }
func (p *Pool) c() *C.mp_pool             { return (*C.mp_pool)(unsafe.Pointer(p)) }
func (p *Result) c() *C.mp_result         { return (*C.mp_result)(unsafe.Pointer(p)) }
func (p *Call) c() *C.mp_call             { return (*C.mp_call)(unsafe.Pointer(p)) }

// Numbers of mp.h.
const (
	Forever     = int64(C.MP_FOREVER)
	ExitUnknown = int32(C.MP_EXIT_UNKNOWN)

	OK             = int32(C.MP_OK)
	OwnerDead      = int32(C.MP_OWNER_DEAD)
	ErrInvalid     = int32(C.MP_ERR_INVALID)
	ErrState       = int32(C.MP_ERR_STATE)
	ErrTimeout     = int32(C.MP_ERR_TIMEOUT)
	ErrFull        = int32(C.MP_ERR_FULL)
	ErrEmpty       = int32(C.MP_ERR_EMPTY)
	ErrClosed      = int32(C.MP_ERR_CLOSED)
	ErrEnd         = int32(C.MP_ERR_END)
	ErrNotOwner    = int32(C.MP_ERR_NOT_OWNER)
	ErrOverflow    = int32(C.MP_ERR_OVERFLOW)
	ErrBroken      = int32(C.MP_ERR_BROKEN)
	ErrNoMemory    = int32(C.MP_ERR_NO_MEMORY)
	ErrTooLarge    = int32(C.MP_ERR_TOO_LARGE)
	ErrStale       = int32(C.MP_ERR_STALE)
	ErrTaskFailed  = int32(C.MP_ERR_TASK_FAILED)
	ErrTaskTimeout = int32(C.MP_ERR_TASK_TIMEOUT)
	ErrWorkerDied  = int32(C.MP_ERR_WORKER_DIED)
	ErrCancelled   = int32(C.MP_ERR_CANCELLED)
	ErrBootstrap   = int32(C.MP_ERR_BOOTSTRAP)
	ErrUnsupported = int32(C.MP_ERR_UNSUPPORTED)
	ErrNotFound    = int32(C.MP_ERR_NOT_FOUND)
	ErrExists      = int32(C.MP_ERR_EXISTS)
	ErrAccess      = int32(C.MP_ERR_ACCESS)
	ErrAuth        = int32(C.MP_ERR_AUTH)
	ErrSystem      = int32(C.MP_ERR_SYSTEM)
	ErrInternal    = int32(C.MP_ERR_INTERNAL)

	QueueFIFO     = int32(C.MP_QUEUE_FIFO)
	QueueLIFO     = int32(C.MP_QUEUE_LIFO)
	QueuePriority = int32(C.MP_QUEUE_PRIORITY)

	OverflowWait       = int32(C.MP_OVERFLOW_WAIT)
	OverflowFail       = int32(C.MP_OVERFLOW_FAIL)
	OverflowDropOldest = int32(C.MP_OVERFLOW_DROP_OLDEST)

	LockRecursive = int32(C.MP_LOCK_RECURSIVE)
	LockPlain     = int32(C.MP_LOCK_PLAIN)
	LockNone      = int32(C.MP_LOCK_NONE)

	StartFork       = int32(C.MP_START_FORK)
	StartForkserver = int32(C.MP_START_FORKSERVER)
	StartSpawn      = int32(C.MP_START_SPAWN)
	StartThread     = int32(C.MP_START_THREAD)
)

// Ret is what a call answered: its status and, if it failed, the sentence.
type Ret struct {
	Status int32
	Text   string
}

func take(r C.cmp_ret) Ret {
	if r.text == nil {
		return Ret{Status: int32(r.status)}
	}
	text := C.GoString(r.text)
	C.free(unsafe.Pointer(r.text))
	return Ret{Status: int32(r.status), Text: text}
}

// MainInit is mp_main_init. The copies of the arguments live as long as the process, as those of a C main do.
func MainInit(args []string) Ret {
	argv := (*[1 << 20]*C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	for i, arg := range args {
		argv[i] = C.CString(arg)
	}
	return take(C.cmp_main_init(C.int(len(args)), &argv[0]))
}

// Register gives the one C function behind all Go functions its name.
func Register(name string) Ret {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return take(C.cmp_register(text))
}

// SetExecutable is mp_set_executable; an empty path sets it back.
func SetExecutable(path string) Ret {
	if path == "" {
		return take(C.cmp_set_executable(nil))
	}
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	return take(C.cmp_set_executable(text))
}

// CPUCount is mp_cpu_count.
func CPUCount() int { return int(C.mp_cpu_count()) }

// Version is mp_version.
func Version() string { return C.GoString(C.mp_version()) }

// StatusName is mp_status_name.
func StatusName(status int32) string { return C.GoString(C.mp_status_name(C.mp_status(status))) }

// CancelNew is mp_cancel_new.
func CancelNew() (*Cancel, Ret) {
	r := C.cmp_cancel_new()
	return (*Cancel)(r.ptr), take(r)
}

// Fire is mp_cancel_fire.
func (c *Cancel) Fire() { C.mp_cancel_fire(c.c()) }

// Reset is mp_cancel_reset.
func (c *Cancel) Reset() Ret { return take(C.cmp_cancel_reset(c.c())) }

// Free is mp_cancel_free.
func (c *Cancel) Free() { C.mp_cancel_free(c.c()) }

// Token is the 32 plain bytes of an mp_token.
type Token [32]byte

// The two sizes are the same: this is negative, and does not compile, where they are not.
const _ = uint(unsafe.Sizeof(Token{})-unsafe.Sizeof(C.mp_token{})) + uint(unsafe.Sizeof(C.mp_token{})-unsafe.Sizeof(Token{}))

// c copies the token to where the C type is aligned; the copy is what the call sees.
func (t *Token) c() *C.mp_token {
	out := new(C.mp_token)
	*(*Token)(unsafe.Pointer(out)) = *t
	return out
}

func tokenOf(call func(out *C.mp_token) C.cmp_ret) (Token, Ret) {
	var raw C.mp_token
	r := take(call(&raw))
	return *(*Token)(unsafe.Pointer(&raw)), r
}

// Keep is mp_token_keep.
func (t *Token) Keep() Ret { return take(C.cmp_token_keep(t.c())) }

// Drop is mp_token_drop.
func (t *Token) Drop() Ret { return take(C.cmp_token_drop(t.c())) }

// Free is mp_buffer_free.
func (b *Buffer) Free() { C.mp_buffer_free(b.c()) }

// view is C memory as a slice that append does not grow into.
func view(data unsafe.Pointer, n C.size_t) []byte {
	if n == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(data), int(n))[:n:n]
}

func pointer(data []byte) (unsafe.Pointer, C.size_t) {
	return unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))
}
