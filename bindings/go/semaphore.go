package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Semaphore is a counter of permits between processes.
type Semaphore struct{ h *handle[cmp.Semaphore] }

// SemaphoreOptions say how to make a semaphore.
type SemaphoreOptions struct {
	Max    uint32 // The most permits there may be; 0: no limit.
	Robust bool   // Permits of a dead process come back; only who holds one may then release it.
}

// NewSemaphore makes a semaphore with value permits.
func NewSemaphore(value uint32, o SemaphoreOptions) (*Semaphore, error) {
	return semaphoreOf(cmp.SemaphoreNew(value, o.Max, o.Robust))
}

// SemaphoreFromToken makes a handle of the semaphore that the token names.
func SemaphoreFromToken(t Token) (*Semaphore, error) {
	return semaphoreOf(cmp.SemaphoreFromToken((*cmp.Token)(&t)))
}

func semaphoreOf(ptr *cmp.Semaphore, ret cmp.Ret) (*Semaphore, error) {
	return own(ptr, ret, (*cmp.Semaphore).Free, func(h *handle[cmp.Semaphore]) *Semaphore { return &Semaphore{h} })
}

// Token names the semaphore for other processes.
func (s *Semaphore) Token() (Token, error) {
	defer runtime.KeepAlive(s)
	return tokenOf(s.h, (*cmp.Semaphore).Token)
}

// Acquire waits for a permit and takes it.
func (s *Semaphore) Acquire(ctx context.Context) error {
	defer runtime.KeepAlive(s)
	_, err := s.h.forever(ctx, (*cmp.Semaphore).Acquire)
	return err
}

// TryAcquire is Acquire with a timeout; when it runs out, ErrTimeout.
func (s *Semaphore) TryAcquire(timeout time.Duration) error {
	defer runtime.KeepAlive(s)
	_, err := s.h.try(timeout, (*cmp.Semaphore).Acquire)
	return err
}

// Release gives n permits; ErrOverflow if that were more than the most, and nothing is changed.
func (s *Semaphore) Release(n uint32) error {
	defer runtime.KeepAlive(s)
	return s.h.call(func(p *cmp.Semaphore) cmp.Ret { return p.Release(n) })
}

// Value is the number of permits at this moment.
func (s *Semaphore) Value() (value uint32, err error) {
	defer runtime.KeepAlive(s)
	return ask(s.h, (*cmp.Semaphore).Value)
}

// Close drops this process's handle.
func (s *Semaphore) Close() error {
	s.h.close()
	return nil
}
