// Submits a job, follows it and saves its video.
//
//	go run . "a green square moving down" square.mp4
//
// COGWHEEL_SERVER is HOST:PORT (127.0.0.1:50051), COGWHEEL_TOKEN a token.
package main

//go:generate protoc -I../../proto --go_out=. --go_opt=module=cogwheel.dev/example,Mcogwheel/v1/video_service.proto=cogwheel.dev/example/cogwheelv1 --go-grpc_out=. --go-grpc_opt=module=cogwheel.dev/example,Mcogwheel/v1/video_service.proto=cogwheel.dev/example/cogwheelv1 cogwheel/v1/video_service.proto

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "cogwheel.dev/example/cogwheelv1"
)

// check ends the program with the error's reason and message.
func check(err error) {
	if err == nil {
		return
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			log.Fatalf("%s: %v", info.Reason, err)
		}
	}
	log.Fatal(err)
}

// watch returns the job's last event; a lost connection goes on after the last one seen.
func watch(ctx context.Context, client pb.VideoServiceClient, job string) *pb.JobEvent {
	last := &pb.JobEvent{}
	for attempt := 1; ; attempt++ {
		stream, err := client.WatchJob(ctx, &pb.WatchJobRequest{Name: job, AfterSequence: last.Sequence})
		for err == nil {
			var event *pb.JobEvent
			if event, err = stream.Recv(); err == nil {
				last = event
			}
			if progress := event.GetProgress(); progress != nil {
				fmt.Printf("%.0f%%\n", 100*progress.Fraction)
			}
		}
		if err == io.EOF {
			return last
		}
		if status.Code(err) != codes.Unavailable || attempt == 8 {
			check(err)
		}
		time.Sleep(time.Duration(attempt) * time.Second / 2)
	}
}

func main() {
	server := cmp.Or(os.Getenv("COGWHEEL_SERVER"), "127.0.0.1:50051")
	channel, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer channel.Close()
	client, ctx := pb.NewVideoServiceClient(channel), context.Background()
	if token := os.Getenv("COGWHEEL_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	// With an id of ours the same request may be sent again: it stays one job.
	request := &pb.GenerateRequest{Prompt: os.Args[1], RequestId: uuid.NewString()}
	job, err := client.CreateJob(ctx, &pb.CreateJobRequest{Request: request})
	check(err)
	end := watch(ctx, client, job.Name)
	if end.GetSucceeded() == nil {
		log.Fatalf("%s did not succeed: %v", job.Name, end.Event)
	}
	file, err := os.Create(os.Args[2])
	check(err)
	digest := sha256.New()
	stream, err := client.DownloadVideo(ctx, &pb.DownloadVideoRequest{Name: job.Name})
	for err == nil {
		var chunk *pb.Chunk
		if chunk, err = stream.Recv(); err == nil {
			_, err = io.MultiWriter(file, digest).Write(chunk.Data)
		}
	}
	if err != io.EOF {
		check(err)
	}
	check(file.Close())
	if hex.EncodeToString(digest.Sum(nil)) != end.GetSucceeded().Sha256 {
		log.Fatalf("%s did not arrive whole", os.Args[2])
	}
	fmt.Println(os.Args[2])
}
