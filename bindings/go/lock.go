package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Lock is a lock between processes. It belongs to the process that acquired it, any process and any goroutine may
// release it, and it is not recursive. When its owner dies, the next one gets it, and is told so: what the lock guards
// may be half-written.
type Lock struct{ h *handle[cmp.Lock] }

// NewLock makes a lock.
func NewLock() (*Lock, error) { return lockOf(cmp.LockNew()) }

// LockFromToken makes a handle of the lock that the token names.
func LockFromToken(t Token) (*Lock, error) { return lockOf(cmp.LockFromToken((*cmp.Token)(&t))) }

func lockOf(ptr *cmp.Lock, ret cmp.Ret) (*Lock, error) {
	return own(ptr, ret, (*cmp.Lock).Free, func(h *handle[cmp.Lock]) *Lock { return &Lock{h} })
}

// Token names the lock for other processes.
func (l *Lock) Token() (Token, error) {
	defer runtime.KeepAlive(l)
	return tokenOf(l.h, (*cmp.Lock).Token)
}

// Acquire waits until the lock is this process's. ownerDied says that its last owner died holding it.
func (l *Lock) Acquire(ctx context.Context) (ownerDied bool, err error) {
	defer runtime.KeepAlive(l)
	ret, err := l.h.forever(ctx, (*cmp.Lock).Acquire)
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (l *Lock) TryAcquire(timeout time.Duration) (ownerDied bool, err error) {
	defer runtime.KeepAlive(l)
	ret, err := l.h.try(timeout, (*cmp.Lock).Acquire)
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// Release gives the lock up; ErrOverflow if it is free.
func (l *Lock) Release() error {
	defer runtime.KeepAlive(l)
	return l.h.call((*cmp.Lock).Release)
}

// Owner is the pid of the process that holds it, 0 if it is free.
func (l *Lock) Owner() (pid int, err error) {
	defer runtime.KeepAlive(l)
	return ask(l.h, (*cmp.Lock).Owner)
}

// Close drops this process's handle. It does not release the lock.
func (l *Lock) Close() error {
	l.h.close()
	return nil
}
