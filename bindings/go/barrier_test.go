package mp_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"libmp.dev/mp"
)

// come comes to so many rounds of a barrier, and then ends, or dies.
func come(c *mp.Call) error {
	b, err := barrierOf(c.Arg(0))
	if err != nil {
		return err
	}
	defer b.Close()
	rounds, err := strconv.Atoi(string(c.Arg(1)))
	if err != nil {
		return err
	}
	for range rounds {
		if _, err := b.Wait(context.Background()); err != nil {
			return err
		}
	}
	if string(c.Arg(2)) == "die" {
		return die()
	}
	return nil
}

func barrierOf(raw []byte) (*mp.Barrier, error) {
	token, err := mp.TokenFromBytes(raw)
	if err != nil {
		return nil, err
	}
	return mp.BarrierFromToken(token)
}

func newBarrier(t *testing.T, parties uint32) *mp.Barrier {
	t.Helper()
	b := must[*mp.Barrier](t)(mp.NewBarrier(parties))
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBarrier(t *testing.T) {
	ctx := watchdog(t)
	b := newBarrier(t, 3)
	indexes := make(chan int, 300)
	ended := make(chan error)
	for range 3 {
		go func() {
			for range 100 {
				index, err := b.Wait(ctx)
				if err != nil {
					ended <- err
					return
				}
				indexes <- index
			}
			ended <- nil
		}()
	}
	for range 3 {
		ok(t, <-ended)
	}
	var seen [3]int
	for range 300 {
		seen[<-indexes]++
	}
	if seen != [3]int{100, 100, 100} {
		t.Fatal(seen)
	}
	if n := must[int](t)(b.Parties()); n != 3 {
		t.Fatalf("%d parties", n)
	}
	_, err := mp.NewBarrier(0)
	want(t, err, mp.ErrInvalid)
}

// Whatever ends one wait breaks the barrier for the others, until it is reset.
func TestBarrierBreaks(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	short, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	for name, breaker := range map[string]struct {
		by  func(*mp.Barrier) error
		err error
	}{
		"abort":   {(*mp.Barrier).Abort, nil},
		"reset":   {(*mp.Barrier).Reset, nil},
		"timeout": {func(b *mp.Barrier) error { _, err := b.TryWait(time.Millisecond); return err }, mp.ErrTimeout},
		"context": {func(b *mp.Barrier) error { _, err := b.Wait(short); return err }, context.DeadlineExceeded},
		"done":    {func(b *mp.Barrier) error { _, err := b.Wait(cancelled); return err }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := watchdog(t)
			b := newBarrier(t, 3)
			ended := make(chan error)
			go func() {
				_, err := b.Wait(ctx)
				ended <- err
			}()
			for must[int](t)(b.Waiting()) == 0 {
				time.Sleep(time.Millisecond)
			}
			want(t, breaker.by(b), breaker.err)
			want(t, <-ended, mp.ErrBroken)
			if broken := must[bool](t)(b.Broken()); broken != (name != "reset") {
				t.Fatalf("broken: %v", broken)
			}
			ok(t, b.Reset())
			_, err := b.TryWait(0)
			want(t, err, mp.ErrTimeout)
		})
	}
}

func TestBarrierBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	b := newBarrier(t, 3)
	token := must[mp.Token](t)(b.Token())
	first := start(t, "come", token[:], []byte("50"), nil)
	second := start(t, "come", token[:], []byte("50"), nil)
	for range 50 {
		must[int](t)(b.Wait(ctx))
	}
	exits(t, first, 0)
	exits(t, second, 0)
}

func TestBarrierDeath(t *testing.T) {
	ctx := watchdog(t)
	b := newBarrier(t, 2)
	token := must[mp.Token](t)(b.Token())
	p := start(t, "come", token[:], []byte("1"), []byte("die"))
	must[int](t)(b.Wait(ctx))
	_, err := b.Wait(ctx)
	want(t, err, mp.ErrBroken)
	exits(t, p, -int(syscall.SIGKILL))
}
