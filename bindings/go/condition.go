package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Condition lets processes wait until something has changed. It has a lock, which Acquire and Release mean: who waits
// and who notifies holds it.
//
//	if _, err := changed.Acquire(ctx); err != nil { ... }
//	for !ready() {
//		if _, err := changed.Wait(ctx); err != nil { ... }
//	}
//	...
//	changed.Release()
//
// A notification whose taker dies passes to the next who waited. A condition that another program made with a recursive
// lock belongs to a thread: see runtime.LockOSThread.
type Condition struct{ h *handle[cmp.Condition] }

// NewCondition makes a condition with this lock, which may be closed before it; nil is a new one.
func NewCondition(l *Lock) (*Condition, error) {
	if l == nil {
		made, err := NewLock()
		if err != nil {
			return nil, err
		}
		defer made.Close()
		l = made
	}
	defer runtime.KeepAlive(l)
	lock, err := l.h.enter()
	if err != nil {
		return nil, err
	}
	defer l.h.leave()
	return conditionOf(cmp.ConditionNew(lock))
}

// ConditionFromToken makes a handle of the condition that the token names, and of its lock.
func ConditionFromToken(t Token) (*Condition, error) {
	return conditionOf(cmp.ConditionFromToken((*cmp.Token)(&t)))
}

func conditionOf(ptr *cmp.Condition, ret cmp.Ret) (*Condition, error) {
	return own(ptr, ret, (*cmp.Condition).Free, func(h *handle[cmp.Condition]) *Condition { return &Condition{h} })
}

// Token names the condition for other processes.
func (d *Condition) Token() (Token, error) {
	defer runtime.KeepAlive(d)
	return tokenOf(d.h, (*cmp.Condition).Token)
}

// Acquire is Lock.Acquire of the condition's lock.
func (d *Condition) Acquire(ctx context.Context) (ownerDied bool, err error) {
	defer runtime.KeepAlive(d)
	ret, err := d.h.forever(ctx, (*cmp.Condition).Acquire)
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (d *Condition) TryAcquire(timeout time.Duration) (ownerDied bool, err error) {
	defer runtime.KeepAlive(d)
	ret, err := d.h.try(timeout, (*cmp.Condition).Acquire)
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// Release gives the lock up; ErrNotOwner if this process does not hold it.
func (d *Condition) Release() error {
	defer runtime.KeepAlive(d)
	return d.h.call((*cmp.Condition).Release)
}

// Wait releases the lock, waits for a notification, and acquires the lock again, whatever the error is, ctx's too: that
// may take longer than ctx. Only ErrNotOwner says that there was no lock to release. ownerDied says that who held the
// lock meanwhile died with it. A wait may end without a notification: look whether it was worth it.
func (d *Condition) Wait(ctx context.Context) (ownerDied bool, err error) {
	return d.wait(ctx, cmp.Forever)
}

// TryWait is Wait with a timeout; when it runs out, ErrTimeout.
func (d *Condition) TryWait(timeout time.Duration) (ownerDied bool, err error) {
	return d.wait(context.Background(), int64(timeout))
}

func (d *Condition) wait(ctx context.Context, timeout int64) (ownerDied bool, err error) {
	defer runtime.KeepAlive(d)
	ret, err := d.h.waitAtOnce(ctx, timeout, (*cmp.Condition).Wait)
	return err == nil && ret.Status == cmp.OwnerDead, err
}

// Notify wakes the n who have waited longest, or as many as wait.
func (d *Condition) Notify(n uint32) error {
	defer runtime.KeepAlive(d)
	return d.h.call(func(p *cmp.Condition) cmp.Ret { return p.Notify(n) })
}

// NotifyAll wakes all who wait.
func (d *Condition) NotifyAll() error {
	defer runtime.KeepAlive(d)
	return d.h.call((*cmp.Condition).NotifyAll)
}

// Close drops this process's handle. It does not release the lock; a wait that it ends has acquired it.
func (d *Condition) Close() error {
	d.h.close()
	return nil
}
