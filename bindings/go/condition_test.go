package mp_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// takeTurns takes its turns at a number that is the one message of a queue.
func takeTurns(c *mp.Call) error {
	ctx := context.Background()
	d, err := conditionOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer d.Close()
	cell, err := queueOf(c.Arg(1))
	if err != nil {
		return err
	}
	defer cell.Close()
	me, err := strconv.Atoi(string(c.Arg(2)))
	if err != nil {
		return err
	}
	for range 50 {
		if err := takeTurn(ctx, d, cell, me); err != nil {
			return err
		}
	}
	return nil
}

func takeTurn(ctx context.Context, d *mp.Condition, cell *mp.Queue, me int) error {
	if _, err := d.Acquire(ctx); err != nil {
		return err
	}
	defer d.Release()
	for {
		n, err := mp.GetValue[int](ctx, cell)
		if err != nil {
			return err
		}
		if n%3 == me {
			if err := mp.PutValue(ctx, cell, n+1); err != nil {
				return err
			}
			return d.NotifyAll()
		}
		if err := mp.PutValue(ctx, cell, n); err != nil {
			return err
		}
		if _, err := d.Wait(ctx); err != nil {
			return err
		}
	}
}

// notifyAndDie dies holding the condition's lock.
func notifyAndDie(c *mp.Call) error {
	d, err := conditionOf(c.Arg(0))
	if err != nil {
		return err
	}
	if _, err := d.Acquire(context.Background()); err != nil {
		return err
	}
	if err := d.Notify(1); err != nil {
		return err
	}
	return die()
}

func conditionOf(raw []byte) (*mp.Condition, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.ConditionFromToken(token)
}

func newCondition(t *testing.T, l *mp.Lock) *mp.Condition {
	t.Helper()
	d := must[*mp.Condition](t)(mp.NewCondition(l))
	t.Cleanup(func() { d.Close() })
	return d
}

func TestCondition(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.Lock](t)(mp.NewLock())
	defer lock.Close()
	d := newCondition(t, lock)
	_, err := d.Wait(ctx)
	want(t, err, mp.ErrNotOwner)
	want(t, d.Notify(1), mp.ErrNotOwner)
	want(t, d.NotifyAll(), mp.ErrNotOwner)
	want(t, d.Release(), mp.ErrNotOwner)

	// Whatever ends a wait, the lock is held then.
	must[bool](t)(d.Acquire(ctx))
	held := func() {
		t.Helper()
		_, err := lock.TryAcquire(0)
		want(t, err, mp.ErrTimeout)
	}
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond} {
		_, err := d.TryWait(timeout)
		want(t, err, mp.ErrTimeout)
		held()
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	for range 2 {
		_, err = d.Wait(short)
		want(t, err, context.DeadlineExceeded)
		held()
	}

	turn := 0
	ended := make(chan error)
	go func() { ended <- playTurns(ctx, d, &turn, 1) }()
	ok(t, d.Release())
	ok(t, playTurns(ctx, d, &turn, 0))
	ok(t, <-ended)
	if turn != 200 {
		t.Fatalf("%d turns", turn)
	}
}

// playTurns adds to the number whenever it is even or odd, as this one is.
func playTurns(ctx context.Context, d *mp.Condition, number *int, me int) error {
	if _, err := d.Acquire(ctx); err != nil {
		return err
	}
	defer d.Release()
	for range 100 {
		for *number%2 != me {
			if _, err := d.Wait(ctx); err != nil {
				return err
			}
		}
		*number++
		if err := d.Notify(1); err != nil {
			return err
		}
	}
	return nil
}

// Close ends a wait; the lock, which is another handle's too, is held then.
func TestConditionClose(t *testing.T) {
	ctx := watchdog(t)
	lock := must[*mp.Lock](t)(mp.NewLock())
	defer lock.Close()
	d := newCondition(t, lock)
	must[bool](t)(d.Acquire(ctx))
	ended := make(chan error)
	go func() {
		_, err := d.Wait(ctx)
		ended <- err
	}()
	// It waits when the lock is free.
	must[bool](t)(lock.Acquire(ctx))
	ok(t, lock.Release())
	ok(t, d.Close())
	want(t, <-ended, mp.ErrClosed)
	_, err := lock.TryAcquire(0)
	want(t, err, mp.ErrTimeout)
	ok(t, lock.Release())
	_, err = mp.NewCondition(&mp.Lock{})
	want(t, err, mp.ErrInvalid)
}

func TestConditionBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	d := newCondition(t, nil)
	cell := must[*mp.Queue](t)(mp.NewQueue(mp.QueueOptions{}))
	defer cell.Close()
	ok(t, mp.PutValue(ctx, cell, 0))
	token, cellToken := must[mp.Token](t)(d.Token()), must[mp.Token](t)(cell.Token())
	var running []*mp.Process
	for me := range 3 {
		running = append(running, start(t, "takeTurns", token[:], cellToken[:], strconv.AppendInt(nil, int64(me), 10)))
	}
	for _, p := range running {
		exits(t, p, 0)
	}
	if n := must[int](t)(mp.GetValue[int](ctx, cell)); n != 150 {
		t.Fatalf("%d turns", n)
	}
}

// Who is notified is told that the lock's owner died before the wait could return.
func TestConditionOwnerDeath(t *testing.T) {
	ctx := watchdog(t)
	d := newCondition(t, nil)
	token := must[mp.Token](t)(d.Token())
	must[bool](t)(d.Acquire(ctx))
	p := start(t, "notifyAndDie", token[:])
	if died := must[bool](t)(d.Wait(ctx)); !died {
		t.Fatal("not told of the dead owner")
	}
	ok(t, d.Release())
	if died := must[bool](t)(d.Acquire(ctx)); died {
		t.Fatal("told twice")
	}
	exits(t, p, -int(syscall.SIGKILL))
}
