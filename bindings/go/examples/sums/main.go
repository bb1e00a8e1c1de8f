// Sums prints the SHA-256 sums of files, as sha256sum does, and loses none though its workers are killed all the time:
//
//	sums [-workers N] [-crash N] [FILE...]
//
// By default it takes the files of the directory it runs in. They are jobs in a queue that redelivers: a worker takes
// one, puts its sum into another queue, and only then acknowledges the job. If it dies before, in whatever way, the job
// goes back to where it was, and another worker takes it. One that died between the two has put a sum that comes a
// second time: who collects the results of such workers must expect that, as this does.
//
// To show it, every worker is killed over its Nth job, by default the 10th: one before it has put the sum, the next one
// behind it. Another takes its place. With -crash 0 none is killed; 1 is refused, for nothing would ever be done.
//
// A file that can't be read has its error for a sum. It exits with 1 if something else failed, and with 2 on a wrong
// command line.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"libmp.dev/mp"
)

func main() {
	mp.Main()
	workers := flag.Int("workers", runtime.NumCPU(), "how many work at a time")
	crash := flag.Int("crash", 10, "over which job a worker is killed; 0: none")
	flag.Parse()
	if *workers < 1 || *crash < 0 || *crash == 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*workers, *crash, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sums:", err)
		os.Exit(1)
	}
}

func run(workers, crash int, files []string) error {
	// Ctrl-C ends the waits; the workers end with this process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(files) == 0 {
		entries, err := os.ReadDir(".")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() {
				files = append(files, entry.Name())
			}
		}
	}
	slices.Sort(files)
	sums, deaths, err := sumAll(ctx, workers, crash, slices.Compact(files))
	if err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(sums)) {
		fmt.Printf("%s  %s\n", sums[file], file)
	}
	fmt.Fprintf(os.Stderr, "sums: %d files, %d workers were killed\n", len(sums), deaths)
	return nil
}

// sumAll has every file summed, and says how many workers have died over it.
func sumAll(ctx context.Context, workers, crash int, files []string) (sums map[string]string, deaths int, err error) {
	jobs, err := mp.NewQueue(mp.QueueOptions{Redeliver: true})
	if err != nil {
		return nil, 0, err
	}
	defer jobs.Close()
	results, err := mp.NewQueue(mp.QueueOptions{})
	if err != nil {
		return nil, 0, err
	}
	defer results.Close()
	paths := make([][]byte, len(files))
	for i, file := range files {
		paths[i] = []byte(file)
	}
	if _, err := jobs.PutMany(ctx, paths); err != nil {
		return nil, 0, err
	}
	// There will be no more: workers end when all are acknowledged.
	if err := jobs.Shutdown(); err != nil {
		return nil, 0, err
	}
	// As many places as workers, each filled anew whenever its worker dies.
	var group sync.WaitGroup
	places := make([]place, workers)
	for i := range places {
		places[i].early = i%2 == 0
		group.Add(1)
		go func() {
			defer group.Done()
			places[i].keepFilled(ctx, jobs, results, crash)
		}()
	}
	group.Wait()
	for _, p := range places {
		deaths += p.deaths
		err = errors.Join(err, p.err)
	}
	if err != nil {
		return nil, deaths, err
	}
	sums, err = collect(results)
	if err == nil && len(sums) != len(files) {
		err = fmt.Errorf("%d files, but %d sums", len(files), len(sums))
	}
	return sums, deaths, err
}

// collect reads all results, each as often as it comes.
func collect(results *mp.Queue) (map[string]string, error) {
	sums := make(map[string]string)
	for {
		batch, err := results.TryGetMany(0, 1000)
		if errors.Is(err, mp.ErrEmpty) {
			return sums, nil
		}
		if err != nil {
			return nil, err
		}
		for _, message := range batch {
			file, sum, _ := bytes.Cut(message, []byte{0})
			sums[string(file)] = string(sum)
		}
	}
}

// place is where one worker after the other works.
type place struct {
	early  bool // Whether the next one is killed before it has put its sum.
	deaths int
	err    error
}

func (p *place) keepFilled(ctx context.Context, jobs, results *mp.Queue, crash int) {
	for p.err == nil {
		var code int
		code, p.err = runWorker(ctx, jobs, results, fmt.Sprint(crash, " ", p.early))
		switch {
		case p.err != nil:
		case code == 0:
			return
		case code == -int(syscall.SIGKILL):
			p.deaths++
			p.early = !p.early
		default:
			p.err = fmt.Errorf("a worker has ended with %d", code)
		}
	}
}

// runWorker runs one worker to its end, and says what that was.
func runWorker(ctx context.Context, jobs, results *mp.Queue, how string) (code int, err error) {
	jobsToken, err := jobs.Token()
	if err != nil {
		return 0, err
	}
	resultsToken, err := results.Token()
	if err != nil {
		return 0, err
	}
	o := mp.ProcessOptions{Daemon: true}
	p, err := mp.NewProcess(o, "work", jobsToken[:], resultsToken[:], []byte(how))
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if err := p.Start(); err != nil {
		return 0, err
	}
	if err := p.Join(ctx); err != nil {
		return 0, err
	}
	return p.ExitCode()
}

func init() { mp.Register("work", work) }

// work is what a worker does.
func work(c *mp.Call) error {
	ctx := context.Background()
	jobs, err := mp.QueueFromToken(mp.Token(c.Arg(0)))
	if err != nil {
		return err
	}
	defer jobs.Close()
	results, err := mp.QueueFromToken(mp.Token(c.Arg(1)))
	if err != nil {
		return err
	}
	defer results.Close()
	var crash int
	var early bool
	if _, err := fmt.Sscan(string(c.Arg(2)), &crash, &early); err != nil {
		return err
	}
	for n := 1; ; n++ {
		job, err := jobs.GetDelivery(ctx)
		if errors.Is(err, mp.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == crash && early {
			die()
		}
		file := string(job.Data())
		sum, err := sumFile(file)
		if err != nil {
			sum = "error: " + err.Error() // and the job is done: another worker could not read it either
		}
		if err := results.Put(ctx, []byte(file+"\x00"+sum)); err != nil {
			return err
		}
		if n == crash {
			die()
		}
		if err := job.Ack(); err != nil {
			return err
		}
	}
}

func sumFile(name string) (sum string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// die ends the process as the kernel does that has no memory left: nothing is said, nothing put in order.
func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	time.Sleep(time.Minute)
}
