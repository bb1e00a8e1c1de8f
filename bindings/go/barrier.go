package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Barrier lets goroutines of any processes wait until all have come, and go on together, round after round. It breaks
// when a process dies that waits in it or took part in the round before, when nobody is left who could come, and when a
// wait is ended by its context, its timeout or Close; it stays broken until Reset. A process that dies before it ever
// came is not missed as long as others that could come live.
type Barrier struct{ h *handle[cmp.Barrier] }

// NewBarrier makes a barrier for so many goroutines.
func NewBarrier(parties uint32) (*Barrier, error) { return barrierOf(cmp.BarrierNew(parties)) }

// BarrierFromToken makes a handle of the barrier that the token names.
func BarrierFromToken(t Token) (*Barrier, error) {
	return barrierOf(cmp.BarrierFromToken((*cmp.Token)(&t)))
}

func barrierOf(ptr *cmp.Barrier, ret cmp.Ret) (*Barrier, error) {
	return own(ptr, ret, (*cmp.Barrier).Free, func(h *handle[cmp.Barrier]) *Barrier { return &Barrier{h} })
}

// Token names the barrier for other processes.
func (b *Barrier) Token() (Token, error) {
	defer runtime.KeepAlive(b)
	return tokenOf(b.h, (*cmp.Barrier).Token)
}

// Wait waits for the others. The index is this one's place in the round: 0 for the first that came. If the barrier is
// or gets broken, ErrBroken.
func (b *Barrier) Wait(ctx context.Context) (index int, err error) {
	return b.wait(ctx, cmp.Forever)
}

// TryWait is Wait with a timeout; when it runs out, it breaks the barrier and answers ErrTimeout.
func (b *Barrier) TryWait(timeout time.Duration) (index int, err error) {
	return b.wait(context.Background(), int64(timeout))
}

func (b *Barrier) wait(ctx context.Context, timeout int64) (index int, err error) {
	defer runtime.KeepAlive(b)
	_, err = b.h.waitAtOnce(ctx, timeout, func(p *cmp.Barrier, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		index, ret = p.Wait(timeout, c)
		return ret
	})
	return index, err
}

// Reset makes it as new: whoever waits in it gets ErrBroken.
func (b *Barrier) Reset() error {
	defer runtime.KeepAlive(b)
	return b.h.call((*cmp.Barrier).Reset)
}

// Abort breaks it.
func (b *Barrier) Abort() error {
	defer runtime.KeepAlive(b)
	return b.h.call((*cmp.Barrier).Abort)
}

// Parties is for how many it is.
func (b *Barrier) Parties() (n int, err error) {
	defer runtime.KeepAlive(b)
	return ask(b.h, (*cmp.Barrier).Parties)
}

// Waiting is how many wait in it at this moment.
func (b *Barrier) Waiting() (n int, err error) {
	defer runtime.KeepAlive(b)
	return ask(b.h, (*cmp.Barrier).Waiting)
}

// Broken says whether it is broken.
func (b *Barrier) Broken() (broken bool, err error) {
	defer runtime.KeepAlive(b)
	return ask(b.h, (*cmp.Barrier).Broken)
}

// Close drops this process's handle.
func (b *Barrier) Close() error {
	b.h.close()
	return nil
}
