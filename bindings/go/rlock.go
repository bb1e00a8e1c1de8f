package mp

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Owner is who may hold a recursive lock: one line of work, such as a request that is served, whichever goroutines carry
// it on, one after the other. Goroutines that run side by side need an Owner each. It means nothing in other processes.
type Owner struct{ number uint64 }

var owners atomic.Uint64

// NewOwner makes an owner that is none of the others.
func NewOwner() Owner { return Owner{owners.Add(1)} }

func (o Owner) check() error {
	if o.number == 0 {
		return errorf(ErrInvalid, "the owner was not made by NewOwner")
	}
	return nil
}

// RLock is a recursive lock between processes. It belongs to the Owner that acquired it, which may acquire it again and
// must release it as often. When the owner's process dies, the next one gets it once, and is told so: what the lock
// guards may be half-written.
type RLock struct{ h *handle[cmp.RLock] }

// NewRLock makes a recursive lock.
func NewRLock() (*RLock, error) { return rlockOf(cmp.RLockNew()) }

// RLockFromToken makes a handle of the recursive lock that the token names.
func RLockFromToken(t Token) (*RLock, error) { return rlockOf(cmp.RLockFromToken((*cmp.Token)(&t))) }

func rlockOf(ptr *cmp.RLock, ret cmp.Ret) (*RLock, error) {
	return own(ptr, ret, (*cmp.RLock).Free, func(h *handle[cmp.RLock]) *RLock { return &RLock{h} })
}

// Token names the lock for other processes.
func (l *RLock) Token() (Token, error) {
	defer runtime.KeepAlive(l)
	return tokenOf(l.h, (*cmp.RLock).Token)
}

// Acquire waits until the lock is the owner's; it does not wait if it is already. ownerDied says that its last owner's
// process died holding it.
func (l *RLock) Acquire(ctx context.Context, owner Owner) (ownerDied bool, err error) {
	return l.acquire(ctx, owner, cmp.Forever)
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (l *RLock) TryAcquire(timeout time.Duration, owner Owner) (ownerDied bool, err error) {
	return l.acquire(context.Background(), owner, int64(timeout))
}

func (l *RLock) acquire(ctx context.Context, owner Owner, timeout int64) (ownerDied bool, err error) {
	defer runtime.KeepAlive(l)
	if err := owner.check(); err != nil {
		return false, err
	}
	ret, err := l.h.wait(ctx, timeout, func(p *cmp.RLock, timeout int64, c *cmp.Cancel) cmp.Ret {
		return p.AcquireAs(owner.number, timeout, c)
	})
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// Release gives the lock up once; ErrNotOwner if it is not the owner's.
func (l *RLock) Release(owner Owner) error {
	defer runtime.KeepAlive(l)
	if err := owner.check(); err != nil {
		return err
	}
	return l.h.call(func(p *cmp.RLock) cmp.Ret { return p.ReleaseAs(owner.number) })
}

// Close drops this process's handle. It does not release the lock.
func (l *RLock) Close() error {
	l.h.close()
	return nil
}
