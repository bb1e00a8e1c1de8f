package mp_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// countTwice adds to a number that only the recursive lock guards, which it holds twice.
func countTwice(c *mp.Call) error {
	ctx := context.Background()
	lock, err := rlockOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer lock.Close()
	cell, err := queueOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer cell.Close()
	me := mp.NewOwner()
	add := func() error {
		n, err := mp.GetValue[int](ctx, cell)
		if err != nil {
			return err
		}
		return mp.PutValue(ctx, cell, n+1)
	}
	for range 200 {
		if err := twice(ctx, lock, me, add); err != nil {
			return err
		}
	}
	return nil
}

func twice(ctx context.Context, lock *mp.RLock, me mp.Owner, f func() error) error {
	for range 2 {
		if _, err := lock.Acquire(ctx, me); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	for range 2 {
		if err := lock.Release(me); err != nil {
			return err
		}
	}
	return nil
}

// holdTwice dies holding the recursive lock.
func holdTwice(c *mp.Call) error {
	lock, err := rlockOf(c.Arg(0))
	if err != nil {
		return err
	}
	return twice(context.Background(), lock, mp.NewOwner(), die)
}

func rlockOf(raw []byte) (*mp.RLock, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.RLockFromToken(token)
}

func TestRLock(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.RLock](t)(mp.NewRLock())
	defer lock.Close()
	me, other := mp.NewOwner(), mp.NewOwner()
	for range 3 {
		if died := must[bool](t)(lock.Acquire(ctx, me)); died {
			t.Fatal("a new lock whose owner died")
		}
	}
	_, err := lock.TryAcquire(0, other)
	want(t, err, mp.ErrTimeout)
	want(t, lock.Release(other), mp.ErrNotOwner)
	// Whichever goroutine and thread it is.
	done := make(chan error)
	go func() {
		_, err := lock.TryAcquire(0, me)
		done <- err
	}()
	ok(t, <-done)
	for range 4 {
		ok(t, lock.Release(me))
	}
	want(t, lock.Release(me), mp.ErrNotOwner)

	go func() {
		_, err := lock.Acquire(ctx, other)
		done <- err
	}()
	ok(t, <-done)
	go func() {
		_, err := lock.Acquire(ctx, me)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	ok(t, lock.Release(other))
	ok(t, <-done)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = lock.Acquire(short, other)
	want(t, err, context.DeadlineExceeded)
	_, err = lock.Acquire(ctx, mp.Owner{})
	want(t, err, mp.ErrInvalid)
	want(t, lock.Release(mp.Owner{}), mp.ErrInvalid)
}

func TestRLockBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.RLock](t)(mp.NewRLock())
	defer lock.Close()
	cell := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer cell.Close()
	ok(t, mp.PutValue(ctx, cell, 0))
	lockToken, cellToken := must[mp.Token](t)(lock.Token()), must[mp.Token](t)(cell.Token())
	var running []*mp.Process
	for range 3 {
		running = append(running, start(t, "countTwice", lockToken[:], cellToken[:]))
	}
	for _, p := range running {
		exits(t, p, 0)
	}
	if n := must[int](t)(mp.GetValue[int](ctx, cell)); n != 600 {
		t.Fatalf("counted %d", n)
	}
}

func TestRLockOwnerDeath(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.RLock](t)(mp.NewRLock())
	defer lock.Close()
	token := must[mp.Token](t)(lock.Token())
	exits(t, start(t, "holdTwice", token[:]), -int(syscall.SIGKILL))
	me := mp.NewOwner()
	if died := must[bool](t)(lock.Acquire(ctx, me)); !died {
		t.Fatal("not told of the dead owner")
	}
	// The heir holds it once.
	ok(t, lock.Release(me))
	if died := must[bool](t)(lock.Acquire(ctx, mp.NewOwner())); died {
		t.Fatal("told twice")
	}
}
