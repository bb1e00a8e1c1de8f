package mp

import (
	"context"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Event is set or not; processes wait until it is set. It belongs to nobody.
type Event struct{ h *handle[cmp.Event] }

// NewEvent makes an event that is not set.
func NewEvent() (*Event, error) { return eventOf(cmp.EventNew()) }

// EventFromToken makes a handle of the event that the token names.
func EventFromToken(t Token) (*Event, error) { return eventOf(cmp.EventFromToken((*cmp.Token)(&t))) }

func eventOf(ptr *cmp.Event, ret cmp.Ret) (*Event, error) {
	return own(ptr, ret, (*cmp.Event).Free, func(h *handle[cmp.Event]) *Event { return &Event{h} })
}

// Token names the event for other processes.
func (e *Event) Token() (Token, error) {
	defer runtime.KeepAlive(e)
	return tokenOf(e.h, (*cmp.Event).Token)
}

// Set sets it and wakes all who wait for it.
func (e *Event) Set() error {
	defer runtime.KeepAlive(e)
	return e.h.call((*cmp.Event).Set)
}

// Clear makes it not set.
func (e *Event) Clear() error {
	defer runtime.KeepAlive(e)
	return e.h.call((*cmp.Event).Clear)
}

// IsSet says whether it is set at this moment.
func (e *Event) IsSet() (set bool, err error) {
	defer runtime.KeepAlive(e)
	return ask(e.h, (*cmp.Event).IsSet)
}

// Wait waits until it is set.
func (e *Event) Wait(ctx context.Context) error {
	defer runtime.KeepAlive(e)
	_, err := e.h.forever(ctx, (*cmp.Event).Wait)
	return err
}

// TryWait is Wait with a timeout; when it runs out, ErrTimeout.
func (e *Event) TryWait(timeout time.Duration) error {
	defer runtime.KeepAlive(e)
	_, err := e.h.try(timeout, (*cmp.Event).Wait)
	return err
}

// Close drops this process's handle.
func (e *Event) Close() error {
	e.h.close()
	return nil
}
