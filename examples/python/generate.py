"""Submits a job, follows it, saves its latest preview and its video; goes on after lost connections.

    python generate.py "a red star moving up" star.mp4

COGWHEEL_SERVER is HOST:PORT (127.0.0.1:50051), COGWHEEL_TOKEN a token.
"""

import asyncio
import hashlib
import os
import sys
import uuid

import grpc
from cogwheel.v1 import video_service_pb2 as pb, video_service_pb2_grpc as rpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

TRIES = 8
SERVER = os.environ.get("COGWHEEL_SERVER", "127.0.0.1:50051")
TOKEN = [("authorization", "Bearer " + os.environ["COGWHEEL_TOKEN"])] if "COGWHEEL_TOKEN" in os.environ else []


def detail(error, kind):
    """The error's google.rpc detail of that kind; an empty one if it has none."""
    status = rpc_status.from_call(error)
    return next((kind.FromString(d.value) for d in (status.details if status else ()) if d.Is(kind.DESCRIPTOR)), kind())


async def patiently(call):
    """What the call returns, tried again while that may help."""
    for attempt in range(1, TRIES + 1):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            hint = detail(error, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds()
            if attempt == TRIES or not (hint or error.code() == grpc.StatusCode.UNAVAILABLE):
                raise
            await asyncio.sleep(hint or attempt / 2)


async def generate(stub, prompt, path):
    # The id makes a second try the same job.
    request = pb.CreateJobRequest(request=pb.GenerateRequest(prompt=prompt, request_id=str(uuid.uuid4())))
    job = await patiently(lambda: stub.CreateJob(request, metadata=TOKEN, timeout=30))
    event = pb.JobEvent()

    async def watch():
        nonlocal event
        rest = pb.WatchJobRequest(name=job.name, after_sequence=event.sequence)
        async for event in stub.WatchJob(rest, metadata=TOKEN):
            if event.HasField("progress"):
                print(f"{event.progress.fraction:.0%}")
            elif event.HasField("preview"):
                with open(path + ".jpg", "wb") as file:
                    file.write(event.preview.jpeg)

    await patiently(watch)
    end = event.WhichOneof("event")
    if end != "succeeded":
        error = getattr(event, end).error
        sys.exit(f"{job.name} {end}: {error.reason}: {error.message}")
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        async def download():
            rest = pb.DownloadVideoRequest(name=job.name, offset=file.tell())
            async for chunk in stub.DownloadVideo(rest, metadata=TOKEN):
                file.write(chunk.data)
                digest.update(chunk.data)

        await patiently(download)
    if digest.hexdigest() != event.succeeded.sha256:
        sys.exit(f"{path} did not arrive whole")
    print(path)


async def main():
    # Over TLS: grpc.aio.secure_channel(SERVER, grpc.ssl_channel_credentials(the CA's PEM bytes)).
    async with grpc.aio.insecure_channel(SERVER) as channel:
        try:
            await generate(rpc.VideoServiceStub(channel), *sys.argv[1:])
        except grpc.aio.AioRpcError as error:
            fields = detail(error, error_details_pb2.BadRequest).field_violations
            print(detail(error, error_details_pb2.ErrorInfo).reason, error.details(), file=sys.stderr)
            sys.exit("\n".join(f"{field.field}: {field.description}" for field in fields) or 1)


asyncio.run(main())
