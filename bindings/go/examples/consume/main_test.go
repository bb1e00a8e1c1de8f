package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"libmp.dev/mp"
)

func TestMain(m *testing.M) {
	mp.Main()
	os.Exit(m.Run())
}

// Lines arrive in order, those before the consumer's start too, and only as many as asked for are taken.
func TestConsume(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	arena := fmt.Sprintf("test-consume-%d", os.Getpid())
	defer mp.UnlinkArena(arena)
	lines, err := openLines(arena)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	for _, line := range []string{"one", "", "three"} {
		if err := lines.Put(ctx, []byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := consume(ctx, arena, 2, &out); err != nil || out.String() != "one\n\n" {
		t.Fatalf("%q, %v", out.String(), err)
	}
	// The rest comes too, until its context ends.
	until, stop := context.WithCancel(ctx)
	rest := stopper{stop: stop, at: "three\n"}
	if err := consume(until, arena, -1, &rest); !errors.Is(err, context.Canceled) || rest.String() != rest.at {
		t.Fatalf("%q, %v", rest.String(), err)
	}
}

// stopper is a writer that calls stop when it has got all that it waits for.
type stopper struct {
	strings.Builder
	stop func()
	at   string
}

func (s *stopper) Write(data []byte) (int, error) {
	n, err := s.Builder.Write(data)
	if s.String() == s.at {
		s.stop()
	}
	return n, err
}
