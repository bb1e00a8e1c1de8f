package mp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"time"

	"libmp.dev/mp"
)

// answerLengths answers each message with its length, until the other end goes.
func answerLengths(c *mp.Call) error {
	ctx := context.Background()
	connection, err := mp.ConnectionFromToken(mp.Token(c.Arg(0)))
	if err != nil {
		return err
	}
	defer connection.Close()
	for {
		message, err := connection.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := connection.Send(ctx, strconv.AppendInt(nil, int64(len(message)), 10)); err != nil {
			return err
		}
	}
}

func pipeOf(t *testing.T, duplex bool) (*mp.Connection, *mp.Connection) {
	t.Helper()
	a, b, err := mp.Pipe(duplex)
	ok(t, err)
	t.Cleanup(func() {
		ok(t, a.Close())
		ok(t, b.Close())
	})
	return a, b
}

func TestPipe(t *testing.T) {
	ctx := watchdog(t)
	a, b := pipeOf(t, true)
	_, err := a.TryRecv(time.Millisecond)
	want(t, err, mp.ErrTimeout)
	if must[bool](t)(a.TryPoll(time.Millisecond)) {
		t.Fatal("ready without a message")
	}
	large := bytes.Repeat([]byte("x"), 65<<20)
	ok(t, b.Send(ctx, large))
	want(t, b.TrySend(0, []byte("more")), mp.ErrTimeout)
	ok(t, a.Send(ctx, nil))
	ok(t, a.Poll(ctx))
	if !must[bool](t)(a.TryPoll(0)) {
		t.Fatal("a message, but not ready")
	}
	if got := must[[]byte](t)(a.Recv(ctx)); !bytes.Equal(got, large) {
		t.Fatalf("another message of %d bytes", len(got))
	}
	if got := must[[]byte](t)(b.TryRecv(0)); got == nil || len(got) != 0 {
		t.Fatalf("not an empty message: %v", got)
	}
	ok(t, b.Send(ctx, []byte("shared")))
	buffer := must[*mp.Buffer](t)(a.RecvBuffer(ctx))
	if string(buffer.Bytes()) != "shared" {
		t.Fatalf("got %q", buffer.Bytes())
	}
	ok(t, buffer.Close())
	ok(t, b.Send(ctx, []byte("hello")))
	room := make([]byte, 5)
	n, err := a.RecvInto(ctx, room[:3])
	want(t, err, mp.ErrTooLarge)
	if n != 5 {
		t.Fatalf("needs %d", n)
	}
	if n := must[int](t)(a.RecvInto(ctx, room)); string(room[:n]) != "hello" {
		t.Fatalf("got %q", room[:n])
	}
}

func TestPipeOneWay(t *testing.T) {
	ctx := watchdog(t)
	in, out := pipeOf(t, false)
	ok(t, out.Send(ctx, []byte("there")))
	want(t, in.Send(ctx, nil), mp.ErrUnsupported)
	_, err := out.Recv(ctx)
	want(t, err, mp.ErrUnsupported)
	want(t, out.Poll(ctx), mp.ErrUnsupported)
	if got := must[[]byte](t)(in.Recv(ctx)); string(got) != "there" {
		t.Fatalf("got %q", got)
	}
}

func TestPipeEnds(t *testing.T) {
	ctx := watchdog(t)
	a, b := pipeOf(t, true)
	ok(t, a.Send(ctx, []byte("last")))
	ok(t, a.Close())
	ok(t, a.Close())
	want(t, a.Send(ctx, nil), mp.ErrClosed)
	want(t, b.Send(ctx, nil), mp.ErrClosed)
	if got := must[[]byte](t)(b.Recv(ctx)); string(got) != "last" {
		t.Fatalf("got %q", got)
	}
	_, err := b.Recv(ctx)
	want(t, err, mp.ErrEnd)
	ok(t, b.Poll(ctx))
}

func TestPipeCloseAndCancelEndWaits(t *testing.T) {
	ctx := watchdog(t)
	a, _ := pipeOf(t, true)
	ended := make(chan error)
	go func() {
		_, err := a.Recv(ctx)
		ended <- err
	}()
	go func() { ended <- a.Poll(ctx) }()
	time.Sleep(20 * time.Millisecond)
	ok(t, a.Close())
	want(t, <-ended, mp.ErrClosed)
	want(t, <-ended, mp.ErrClosed)

	c, _ := pipeOf(t, true)
	cancelled, cancel := context.WithCancel(ctx)
	go func() {
		_, err := c.Recv(cancelled)
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	cancel()
	want(t, <-ended, context.Canceled)
}

func TestPipeAmongOthers(t *testing.T) {
	ctx := watchdog(t)
	a, b := pipeOf(t, true)
	in, out := pipeOf(t, false)
	both := []mp.Waitable{a, in}
	ok(t, out.Send(ctx, nil))
	ready(t, both, in)
	ok(t, b.Close())
	ready(t, both, a, in)
	_, err := mp.Wait(ctx, out)
	want(t, err, mp.ErrUnsupported)
	ok(t, a.Close())
	_, err = mp.Wait(ctx, both...)
	want(t, err, mp.ErrClosed)
}

func TestPipeBetweenProcesses(t *testing.T) {
	ctx := watchdog(t)
	a, b := pipeOf(t, true)
	token := must[mp.Token](t)(b.Token())
	p := must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{}, "answerLengths", token[:]))
	defer p.Close()
	ok(t, p.Start())
	for i := range 300 {
		ok(t, a.Send(ctx, make([]byte, i*37)))
	}
	for i := range 300 {
		if got := string(must[[]byte](t)(a.Recv(ctx))); got != strconv.Itoa(i*37) {
			t.Fatalf("message %d: %s", i, got)
		}
	}
	ok(t, b.Close())
	ok(t, a.Close())
	ok(t, p.Join(ctx))

	c, d := pipeOf(t, true)
	token = must[mp.Token](t)(d.Token())
	p = must[*mp.Process](t)(mp.NewProcess(mp.ProcessOptions{}, "answerLengths", token[:]))
	defer p.Close()
	ok(t, p.Start())
	ok(t, c.Send(ctx, []byte("four")))
	if got := string(must[[]byte](t)(c.Recv(ctx))); got != "4" {
		t.Fatalf("got %s", got)
	}
	ok(t, d.Close())
	ok(t, p.Kill())
	_, err := c.Recv(ctx)
	want(t, err, mp.ErrEnd)
	ok(t, p.Join(ctx))
}
