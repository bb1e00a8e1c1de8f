// Consume prints the lines that other programs put into a queue, which it finds by name. Its other half is a C++
// program, bindings/cpp/examples/produce.cpp, whose first lines say how to build and start the two: each in a terminal of
// its own, in either order.
//
//	$ ./produce demo                   $ ./consume demo
//	hello                              hello
//	world                              world
//
// Both open the arena "demo" and in it the queue "lines"; whoever comes first makes them. They know nothing else of
// each other: any number of either may run, and end or be killed and start again, at any time. Each line goes to one
// consumer, in the order in which the lines were put; one that is killed takes at most the line in its hands along.
//
//	consume [-n N] ARENA     until Ctrl-C, or until N lines have come
//	consume -remove ARENA    takes the arena away, and the lines that wait in it
//	consume                  shows the same alone: with its own arena, and a child process as the producer
//
// It exits with 1 if something failed, and with 2 on a wrong command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"libmp.dev/mp"
)

// mostWaiting is how many lines wait before a producer does: all who open the queue must say the same.
const mostWaiting = 1000

func main() {
	mp.Main()
	n := flag.Int("n", -1, "how many lines to print; below 0: no end")
	remove := flag.Bool("remove", false, "take the arena away")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: consume [[-n N | -remove] ARENA]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 1 || (flag.NFlag() > 0 && flag.NArg() == 0) {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *n, *remove); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

func run(arena string, n int, remove bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case arena == "":
		return alone(ctx)
	case remove:
		return mp.UnlinkArena(arena)
	}
	if err := consume(ctx, arena, n, os.Stdout); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func openLines(name string) (*mp.Queue, error) {
	arena, err := mp.OpenArena(name, mp.ArenaOptions{})
	if err != nil {
		return nil, err
	}
	defer arena.Close()
	return arena.Queue("lines", &mp.QueueOptions{MaxSize: mostWaiting})
}

// consume prints n lines, or all that ever come.
func consume(ctx context.Context, arena string, n int, out io.Writer) error {
	lines, err := openLines(arena)
	if err != nil {
		return err
	}
	defer lines.Close()
	for ; n != 0; n-- {
		line, err := lines.Get(ctx)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// sample is how many lines the child puts.
const sample = 3

// The child is given the name and nothing else.
func init() {
	mp.Register("produce", func(c *mp.Call) error {
		lines, err := openLines(string(c.Arg(0)))
		if err != nil {
			return err
		}
		defer lines.Close()
		for i := range sample {
			line := fmt.Appendf(nil, "line %d from process %d", i+1, os.Getpid())
			if err := lines.Put(context.Background(), line); err != nil {
				return err
			}
		}
		return nil
	})
}

func alone(ctx context.Context) error {
	arena := fmt.Sprintf("consume-%d", os.Getpid())
	producer, err := mp.NewProcess(mp.ProcessOptions{}, "produce", []byte(arena))
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.Start(); err != nil {
		return err
	}
	// The name goes when the producer has opened it.
	return errors.Join(consume(ctx, arena, sample, os.Stdout), mp.UnlinkArena(arena))
}
