// Wordcount counts the words of text files with a pool of processes, and prints the most frequent ones:
//
//	wordcount [-n 10] [-processes N] [-check] [FILE or DIRECTORY...]
//
// It reads whole directories, by default the one it runs in, but not what is hidden or binary; - is the standard input.
// A word is a run of letters and digits, in lower case. With -check it counts once more in one process and compares.
// It exits with 1 if something failed, and with 2 on a wrong command line.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"libmp.dev/mp"
)

// count is the task: the words of one piece of text.
var count = mp.RegisterFunc("count", func(text []byte) (map[string]int, error) { return wordsOf(text), nil })

func wordsOf(text []byte) map[string]int {
	words := make(map[string]int)
	for _, word := range bytes.FieldsFunc(bytes.ToLower(text), between) {
		words[string(word)]++
	}
	return words
}

func between(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func main() {
	mp.Main()
	n := flag.Int("n", 10, "how many words to print")
	processes := flag.Int("processes", 0, "how many workers; 0: one for each processor")
	check := flag.Bool("check", false, "compare with a count in one process")
	flag.Parse()
	paths := flag.Args()
	if len(paths) == 0 {
		paths = []string{"."}
	}
	if err := run(*n, *processes, *check, paths); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}

func run(n, processes int, check bool, paths []string) error {
	// Ctrl-C ends the waits; closing the pool then ends the workers.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	text, err := read(paths)
	if err != nil {
		return err
	}
	words, err := countAll(ctx, processes, split(text, 256<<10))
	if err != nil {
		return err
	}
	if check {
		if err := compare(text, words); err != nil {
			return err
		}
	}
	print(words, n)
	return nil
}

func countAll(ctx context.Context, processes int, pieces [][]byte) (words map[string]int, err error) {
	pool, err := mp.NewPool(mp.PoolOptions{Processes: processes})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	counts, err := count.Map(ctx, pool, pieces)
	if err != nil {
		return nil, err
	}
	return merge(counts), nil
}

func merge(counts []map[string]int) map[string]int {
	words := make(map[string]int)
	for _, part := range counts {
		for word, times := range part {
			words[word] += times
		}
	}
	return words
}

// compare counts in this process, all in one piece: the pieces must not have cut a word.
func compare(text []byte, words map[string]int) error {
	alone := wordsOf(text)
	if !maps.Equal(alone, words) {
		return fmt.Errorf("the pool counted %d different words, one process %d", len(words), len(alone))
	}
	return nil
}

func read(paths []string) (all []byte, err error) {
	add := func(data []byte) {
		if !bytes.Contains(data, []byte{0}) {
			all = append(append(all, data...), '\n')
		}
	}
	for _, path := range paths {
		if path == "-" {
			data, err := io.ReadAll(os.Stdin)
			if err != nil {
				return nil, err
			}
			add(data)
			continue
		}
		if err := walk(path, add); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func walk(root string, add func([]byte)) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case path != root && !entry.Type().IsRegular():
			return nil
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		add(data)
		return err
	})
}

// split cuts the text into pieces of about size bytes, behind line breaks or blanks; a longer run stays whole.
func split(text []byte, size int) (pieces [][]byte) {
	for len(text) > size {
		end := bytes.LastIndexAny(text[:size], "\n ") + 1
		if end == 0 {
			next := bytes.IndexAny(text[size:], "\n ")
			if next < 0 {
				break
			}
			end = size + next + 1
		}
		pieces = append(pieces, text[:end])
		text = text[end:]
	}
	return append(pieces, text)
}

func print(words map[string]int, n int) {
	order := slices.SortedFunc(maps.Keys(words), func(a, b string) int {
		return cmp.Or(cmp.Compare(words[b], words[a]), cmp.Compare(a, b))
	})
	for _, word := range order[:min(max(n, 0), len(order))] {
		fmt.Printf("%7d %s\n", words[word], word)
	}
}
