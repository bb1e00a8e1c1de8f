package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"libmp.dev/mp"
)

func TestMain(m *testing.M) {
	mp.Main()
	os.Exit(m.Run())
}

func TestCount(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var text []byte
	for i := range 2000 {
		text = fmt.Appendf(text, "The number %d, or straße-%d;\n", i%7, i)
	}
	pieces := split(text, 1000)
	if len(pieces) < 10 || !bytes.Equal(bytes.Join(pieces, nil), text) {
		t.Fatalf("%d pieces", len(pieces))
	}
	words, err := countAll(ctx, 2, pieces)
	if err != nil {
		t.Fatal(err)
	}
	if err := compare(text, words); err != nil {
		t.Fatal(err)
	}
	if words["the"] != 2000 || words["straße"] != 2000 || words["1999"] != 1 {
		t.Fatal(words["the"], words["straße"], words["1999"])
	}
}

func TestSplitKeepsLongRuns(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 50)
	text := bytes.Join([][]byte{[]byte("a"), long, []byte("b")}, []byte(" "))
	pieces := split(text, 10)
	if !bytes.Equal(bytes.Join(pieces, nil), text) {
		t.Fatalf("%q", pieces)
	}
	var counts []map[string]int
	for _, piece := range pieces {
		counts = append(counts, wordsOf(piece))
	}
	if err := compare(text, merge(counts)); err != nil {
		t.Fatal(err)
	}
}
