package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libmp.dev/mp"
)

func TestMain(m *testing.M) {
	mp.Main()
	os.Exit(m.Run())
}

// Whenever its workers are killed, every file has its sum, and the one that cannot be read its error.
func TestSums(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	want := make(map[string]string)
	var files []string
	for i := range 40 {
		name := filepath.Join(dir, fmt.Sprint(i))
		data := make([]byte, i*1000)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(data)
		files = append(files, name)
		want[name] = hex.EncodeToString(digest[:])
	}
	missing := filepath.Join(dir, "missing")
	for _, crash := range []int{0, 2, 7} {
		sums, deaths, err := sumAll(ctx, 2, crash, append(files, missing))
		if err != nil || len(sums) != len(want)+1 || !strings.HasPrefix(sums[missing], "error: ") {
			t.Fatalf("%d sums, %v: %s", len(sums), err, sums[missing])
		}
		for name, sum := range want {
			if sums[name] != sum {
				t.Fatalf("%s: %s", name, sums[name])
			}
		}
		if (deaths > 0) != (crash > 0) {
			t.Fatalf("%d deaths", deaths)
		}
	}
	if sums, _, err := sumAll(ctx, 2, 2, nil); err != nil || len(sums) != 0 {
		t.Fatalf("%d sums of nothing, %v", len(sums), err)
	}
}
