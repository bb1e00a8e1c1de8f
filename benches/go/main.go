// Go's channels, measured as the C programs measure libmp: main message|trip [PERCENT]. They serve the goroutines of one
// process only. A large message would be passed on by reference there, so that only small ones are measured.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	peer   = "Go channel (in process)"
	room   = 1024
	trials = 6
)

func tell(name string, values []float64) {
	line, err := json.Marshal(map[string]any{"case": name, "peer": peer, "values": values})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// A message begins with its number, which has the producer's in its top byte.
type message interface {
	[1]uint64 | [8]uint64 | [128]uint64
}

func number(producer, i int) uint64 {
	return uint64(producer)<<56 + uint64(i)
}

func produce[M message](channel chan<- M, producer, count int) {
	var message M
	for i := 1; i <= count; i++ {
		message[0] = number(producer, i)
		channel <- message
	}
}

// Answers the sum of the numbers, which must rise for each producer.
func consume[M message](channel <-chan M, count int) uint64 {
	var last [2]uint64
	var sum uint64
	for i := 0; i < count; i++ {
		message := <-channel
		producer := message[0] >> 56
		if message[0] <= last[producer] {
			panic("a message is lost or out of order")
		}
		last[producer] = message[0]
		sum += message[0]
	}
	return sum
}

// One block, in messages a microsecond.
func pass[M message](channel chan M, sides, count int) float64 {
	var done sync.WaitGroup
	sums := make([]uint64, sides)
	start := time.Now()
	for side := range sums {
		done.Add(2)
		go func(side int) {
			defer done.Done()
			produce(channel, side, count)
		}(side)
		go func(side int) {
			defer done.Done()
			sums[side] = consume(channel, count)
		}(side)
	}
	done.Wait()
	took := time.Since(start)
	var wanted, found uint64
	for side, sum := range sums {
		wanted += uint64(count)*number(side, 0) + uint64(count)*uint64(count+1)/2
		found += sum
	}
	if found != wanted {
		panic("messages are lost")
	}
	return float64(count*sides) * 1e3 / float64(took.Nanoseconds())
}

func measure[M message](name string, sides, percent int) {
	const milliseconds = 2
	channel := make(chan M, room)
	var best float64
	var values []float64
	for turn := 0; turn < trials+4+percent/2; turn++ {
		rate := pass(channel, sides, 100+int(best*milliseconds*1e3)/sides)
		if turn < trials {
			best = max(best, rate)
		} else {
			values = append(values, rate*1e3)
		}
	}
	tell(name, values)
}

// Round trips between two goroutines, in nanoseconds each.
func roundTrips(name string, percent int) {
	const trips = 40
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for number := range there {
			back <- number
		}
	}()
	var values []float64
	for block := 0; block < 10+percent; block++ {
		start := time.Now()
		for i := uint64(0); i < trips; i++ {
			there <- i
			if <-back != i {
				panic("a message is lost")
			}
		}
		values = append(values, float64(time.Since(start).Nanoseconds())/trips)
	}
	close(there)
	// The first block brings both to the point.
	tell(name, values[1:])
}

func main() {
	percent := 100
	if len(os.Args) > 2 {
		percent, _ = strconv.Atoi(os.Args[2])
	}
	runtime.GOMAXPROCS(2)
	if os.Args[1] == "trip" {
		// Where its goroutines run, Go decides; on one core there is no choice.
		roundTrips("trip", percent)
		runtime.GOMAXPROCS(1)
		roundTrips("trip, one core", percent)
		return
	}
	for sides, end := range map[int]string{1: "", 2: ", 2P2C"} {
		measure[[1]uint64]("8 B"+end, sides, percent)
		measure[[8]uint64]("64 B"+end, sides, percent)
		measure[[128]uint64]("1 KiB"+end, sides, percent)
	}
}
