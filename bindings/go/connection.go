package mp

import (
	"context"
	"errors"
	"runtime"
	"time"

	"libmp.dev/mp/internal/cmp"
)

// Connection is one end of a pipe, through which processes send each other messages of any length. When no process has
// the other end any more, receives drain it and then answer ErrEnd, which is io.EOF too, and sends answer ErrClosed.
type Connection struct{ h *handle[cmp.Connection] }

// Pipe makes a pipe and gives its two ends. If it is not duplex, the first only receives and the second only sends.
func Pipe(duplex bool) (a, b *Connection, err error) {
	one, other, ret := cmp.Pipe(duplex)
	if a, err = connectionOf(one, ret); err != nil {
		return nil, nil, err
	}
	b, err = connectionOf(other, ret)
	return a, b, err
}

// ConnectionFromToken makes a handle of the end that the token names.
func ConnectionFromToken(t Token) (*Connection, error) {
	return connectionOf(cmp.ConnectionFromToken((*cmp.Token)(&t)))
}

func connectionOf(ptr *cmp.Connection, ret cmp.Ret) (*Connection, error) {
	return own(ptr, ret, (*cmp.Connection).Free, func(h *handle[cmp.Connection]) *Connection { return &Connection{h} })
}

// Token names this end for other processes.
func (c *Connection) Token() (Token, error) {
	defer runtime.KeepAlive(c)
	return tokenOf(c.h, (*cmp.Connection).Token)
}

// Send sends a copy of data, waiting while the pipe is full.
func (c *Connection) Send(ctx context.Context, data []byte) error {
	defer runtime.KeepAlive(c)
	_, err := c.h.forever(ctx, sender(data))
	return err
}

// TrySend is Send with a timeout; when it runs out, ErrTimeout.
func (c *Connection) TrySend(timeout time.Duration, data []byte) error {
	defer runtime.KeepAlive(c)
	_, err := c.h.try(timeout, sender(data))
	return err
}

func sender(data []byte) blocking[cmp.Connection] {
	return func(p *cmp.Connection, timeout int64, c *cmp.Cancel) cmp.Ret { return p.Send(data, timeout, c) }
}

// Recv receives the next message, waiting for one.
func (c *Connection) Recv(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(c)
	return c.recv(ctx, cmp.Forever)
}

// TryRecv is Recv with a timeout; when it runs out, ErrTimeout.
func (c *Connection) TryRecv(timeout time.Duration) ([]byte, error) {
	defer runtime.KeepAlive(c)
	return c.recv(context.Background(), int64(timeout))
}

func (c *Connection) recv(ctx context.Context, timeout int64) ([]byte, error) {
	m, err := c.take(ctx, timeout)
	if err != nil {
		return nil, err
	}
	defer m.buffer.Free()
	return append([]byte{}, m.bytes...), nil
}

// RecvBuffer is Recv without a copy: the message stays in shared memory until the buffer is closed.
func (c *Connection) RecvBuffer(ctx context.Context) (*Buffer, error) {
	defer runtime.KeepAlive(c)
	m, err := c.take(ctx, cmp.Forever)
	if err != nil {
		return nil, err
	}
	return own(m.buffer, cmp.Ret{}, (*cmp.Buffer).Free, func(h *handle[cmp.Buffer]) *Buffer { return &Buffer{h, m.bytes} })
}

func (c *Connection) take(ctx context.Context, timeout int64) (m message, err error) {
	_, err = c.h.wait(ctx, timeout, func(p *cmp.Connection, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		m.buffer, m.bytes, ret = p.Recv(timeout, c)
		return ret
	})
	return m, err
}

// RecvInto receives a message into the caller's memory and answers its length. One that does not fit stays the next
// one: ErrTooLarge, and n is what it needs.
func (c *Connection) RecvInto(ctx context.Context, data []byte) (n int, err error) {
	defer runtime.KeepAlive(c)
	_, err = c.h.forever(ctx, func(p *cmp.Connection, timeout int64, c *cmp.Cancel) (ret cmp.Ret) {
		n, ret = p.RecvInto(data, timeout, c)
		return ret
	})
	return n, err
}

// Poll waits until a Recv would not wait: a message is there, or the other end has gone.
func (c *Connection) Poll(ctx context.Context) error {
	defer runtime.KeepAlive(c)
	_, err := c.h.forever(ctx, poll)
	return err
}

// TryPoll is Poll with a timeout: whether a Recv would not wait.
func (c *Connection) TryPoll(timeout time.Duration) (bool, error) {
	defer runtime.KeepAlive(c)
	_, err := c.h.try(timeout, poll)
	if errors.Is(err, ErrTimeout) {
		return false, nil
	}
	return err == nil, err
}

// poll makes "not ready" a timeout, as other waits that have run out.
func poll(p *cmp.Connection, timeout int64, c *cmp.Cancel) cmp.Ret {
	ready, ret := p.Poll(timeout, c)
	if ret.Status == cmp.OK && !ready {
		return cmp.Ret{Status: cmp.ErrTimeout, Text: "the connection is not ready"}
	}
	return ret
}

// Close ends this process's handle, and the calls that are inside it with ErrClosed. The other end sees this one gone
// when every process that has it has closed it, or died.
func (c *Connection) Close() error {
	c.h.close()
	return nil
}
