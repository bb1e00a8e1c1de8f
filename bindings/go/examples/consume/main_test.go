package main

import (
	"bytes"
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
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	var rest bytes.Buffer
	err = consume(short, arena, -1, &rest)
	if !errors.Is(err, context.DeadlineExceeded) || rest.String() != "three\n" {
		t.Fatalf("%q, %v", rest.String(), err)
	}
}
