package mp

import (
	"context"
	"reflect"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"libmp.dev/mp/internal/cmp"
)

// LockKind is what guards a value or an array. Acquire is the same for all that have a lock: it waits for everybody
// else, other goroutines of this process included, and does not recurse.
type LockKind int32

// The kinds of lock.
const (
	LockPlain     LockKind = iota // As of a Lock: the default.
	LockRecursive                 // As of an RLock, for what programs in C and C++ also use: that is their default.
	LockNone                      // None: Acquire is ErrUnsupported.
)

func (k LockKind) resolve() (int32, error) {
	switch k {
	case LockPlain:
		return cmp.LockPlain, nil
	case LockRecursive:
		return cmp.LockRecursive, nil
	case LockNone:
		return cmp.LockNone, nil
	default:
		return 0, errorf(ErrInvalid, "%d is no LockKind", k)
	}
}

// checkPlain refuses types whose values mean nothing in another process: those with pointers in them.
func checkPlain[T any]() error {
	kind := reflect.TypeFor[T]()
	if at := pointerIn(kind); at != nil {
		return errorf(ErrInvalid, "%v can't be shared: %v means nothing in another process", kind, at)
	}
	if kind.Size() == 0 {
		return errorf(ErrInvalid, "%v has no bytes to share", kind)
	}
	return nil
}

// plainWith checks T and the lock kind.
func plainWith[T any](lock LockKind) (kind int32, err error) {
	if err := checkPlain[T](); err != nil {
		return 0, err
	}
	return lock.resolve()
}

func checkLength(n int) error {
	if n < 0 {
		return errorf(ErrInvalid, "an array can't have %d elements", n)
	}
	return nil
}

// pointerIn is the type's part that points somewhere, nil if none does.
func pointerIn(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64,
		reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		return pointerIn(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if at := pointerIn(t.Field(i).Type); at != nil {
				return at
			}
		}
		return nil
	default:
		return t
	}
}

// guarded is what has a lock of any kind.
type guarded[T any] interface {
	*T
	AcquireAs(owner uint64, timeout int64, c *cmp.Cancel) cmp.Ret
	ReleaseAs(owner uint64) cmp.Ret
}

// guard is the lock of a value or an array. Whoever acquires it is an owner of its own, so that it excludes goroutines
// of one process too, if it is recursive; holder remembers which, for the release.
type guard struct{ holder atomic.Uint64 }

func acquire[T any, P guarded[T]](ctx context.Context, timeout int64, h *handle[T], g *guard) (ownerDied bool, err error) {
	owner := NewOwner()
	ret, err := h.wait(ctx, timeout, func(p *T, timeout int64, c *cmp.Cancel) cmp.Ret {
		return P(p).AcquireAs(owner.number, timeout, c)
	})
	if err != nil {
		return false, err
	}
	g.holder.Store(owner.number)
	return ret.Status == cmp.OwnerDead, nil
}

func release[T any, P guarded[T]](h *handle[T], g *guard) error {
	return h.call(func(p *T) cmp.Ret { return P(p).ReleaseAs(g.holder.Load()) })
}

// Value is one T in shared memory, with a lock or without. T has no pointers in it: numbers, arrays and structs of them,
// laid out as in C.
type Value[T any] struct {
	h     *handle[cmp.Value]
	guard guard
}

// NewValue makes a value that begins as init.
func NewValue[T any](init T, lock LockKind) (*Value[T], error) {
	kind, err := plainWith[T](lock)
	if err != nil {
		return nil, err
	}
	return valueOf[T](cmp.ValueNew(unsafe.Sizeof(init), unsafe.Pointer(&init), kind))
}

// ValueFromToken makes a handle of the value that the token names, whose size must be T's.
func ValueFromToken[T any](t Token) (*Value[T], error) {
	if err := checkPlain[T](); err != nil {
		return nil, err
	}
	return valueOf[T](cmp.ValueFromToken((*cmp.Token)(&t)))
}

func valueOf[T any](ptr *cmp.Value, ret cmp.Ret) (*Value[T], error) {
	var t T
	if ret.Status >= 0 && ptr.Size() != unsafe.Sizeof(t) {
		defer ptr.Free()
		return nil, errorf(ErrInvalid, "the value has %d bytes, a %T %d", ptr.Size(), t, unsafe.Sizeof(t))
	}
	return own(ptr, ret, (*cmp.Value).Free, func(h *handle[cmp.Value]) *Value[T] { return &Value[T]{h: h} })
}

// Token names the value for other processes.
func (v *Value[T]) Token() (Token, error) {
	defer runtime.KeepAlive(v)
	return tokenOf(v.h, (*cmp.Value).Token)
}

// Ptr is the memory itself, nil once the value is closed: atomic.AddInt64(counter.Ptr(), 1) counts for all processes. It
// must not be used after Close, and the Value must be kept until then: without a reference to it, its memory goes. Who
// may touch it when is the program's affair: acquire the lock, or use atomics only.
func (v *Value[T]) Ptr() *T {
	defer runtime.KeepAlive(v)
	p, err := v.h.enter()
	if err != nil {
		return nil
	}
	defer v.h.leave()
	return (*T)(p.Data())
}

// Acquire waits until the value's lock is the caller's. ownerDied says that its last owner died holding it.
func (v *Value[T]) Acquire(ctx context.Context) (ownerDied bool, err error) {
	defer runtime.KeepAlive(v)
	return acquire(ctx, cmp.Forever, v.h, &v.guard)
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (v *Value[T]) TryAcquire(timeout time.Duration) (ownerDied bool, err error) {
	defer runtime.KeepAlive(v)
	return acquire(context.Background(), int64(timeout), v.h, &v.guard)
}

// Release gives the lock up.
func (v *Value[T]) Release() error {
	defer runtime.KeepAlive(v)
	return release(v.h, &v.guard)
}

// Close drops this process's handle. It does not release the lock.
func (v *Value[T]) Close() error {
	v.h.close()
	return nil
}

// Array is a slice of T in shared memory, with a lock or without. T is as for a Value.
type Array[T any] struct {
	h     *handle[cmp.Array]
	guard guard
}

// ArrayOptions say how to make an array.
type ArrayOptions struct {
	Lock      LockKind
	HugePages bool // A wish, for arrays of 2 MiB and more.
}

// NewArray makes an array of n elements, which are zero. It begins at a cache line.
func NewArray[T any](n int, o ArrayOptions) (*Array[T], error) {
	kind, err := plainWith[T](o.Lock)
	if err != nil {
		return nil, err
	}
	if err := checkLength(n); err != nil {
		return nil, err
	}
	var t T
	return arrayOf[T](cmp.ArrayNew(unsafe.Sizeof(t), n, kind, o.HugePages))
}

// ArrayFromToken makes a handle of the array that the token names, whose elements must be of T's size.
func ArrayFromToken[T any](t Token) (*Array[T], error) {
	if err := checkPlain[T](); err != nil {
		return nil, err
	}
	return arrayOf[T](cmp.ArrayFromToken((*cmp.Token)(&t)))
}

func arrayOf[T any](ptr *cmp.Array, ret cmp.Ret) (*Array[T], error) {
	var t T
	if ret.Status >= 0 && ptr.ElemSize() != unsafe.Sizeof(t) {
		defer ptr.Free()
		return nil, errorf(ErrInvalid, "the elements have %d bytes, a %T %d", ptr.ElemSize(), t, unsafe.Sizeof(t))
	}
	return own(ptr, ret, (*cmp.Array).Free, func(h *handle[cmp.Array]) *Array[T] { return &Array[T]{h: h} })
}

// Token names the array for other processes.
func (a *Array[T]) Token() (Token, error) {
	defer runtime.KeepAlive(a)
	return tokenOf(a.h, (*cmp.Array).Token)
}

// Slice is the memory itself, nil once the array is closed. For its use see Value.Ptr.
func (a *Array[T]) Slice() []T {
	defer runtime.KeepAlive(a)
	p, err := a.h.enter()
	if err != nil {
		return nil
	}
	defer a.h.leave()
	n := p.Len()
	return unsafe.Slice((*T)(p.Data()), n)[:n:n]
}

// Acquire waits until the array's lock is the caller's. ownerDied says that its last owner died holding it.
func (a *Array[T]) Acquire(ctx context.Context) (ownerDied bool, err error) {
	defer runtime.KeepAlive(a)
	return acquire(ctx, cmp.Forever, a.h, &a.guard)
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (a *Array[T]) TryAcquire(timeout time.Duration) (ownerDied bool, err error) {
	defer runtime.KeepAlive(a)
	return acquire(context.Background(), int64(timeout), a.h, &a.guard)
}

// Release gives the lock up.
func (a *Array[T]) Release() error {
	defer runtime.KeepAlive(a)
	return release(a.h, &a.guard)
}

// Close drops this process's handle. It does not release the lock.
func (a *Array[T]) Close() error {
	a.h.close()
	return nil
}
