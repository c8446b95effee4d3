// Submits a job, follows it and saves its video; goes on after lost connections.
//
//   node generate.mjs "a blue triangle moving left" triangle.mp4
//
// COGWHEEL_SERVER is HOST:PORT (127.0.0.1:50051), COGWHEEL_TOKEN a token.
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const TRIES = 8;
const PROTO = new URL("../../proto/", import.meta.url).pathname;
// 64-bit numbers as strings: sequences are larger than a double holds exactly.
const loaded = protoLoader.loadSync("cogwheel/v1/video_service.proto", {
  includeDirs: [PROTO], keepCase: true, defaults: true, longs: String, enums: String, oneofs: true,
});
const { VideoService } = grpc.loadPackageDefinition(loaded).cogwheel.v1;
// What is needed of google.rpc.
const details = protobuf.parse(`syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; }`, { keepCase: true }).root;

function reasonOf(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const status = bytes ? details.lookupType("google.rpc.Status").decode(bytes) : { details: [] };
  const info = status.details.find((each) => each.type_url.endsWith("/google.rpc.ErrorInfo"));
  return info ? details.lookupType("google.rpc.ErrorInfo").decode(info.value).reason : "";
}

// What the call gives, tried again while that may help.
async function patiently(call) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const [hint] = error.metadata?.get("grpc-retry-pushback-ms") ?? [];
      if (attempt === TRIES || !(hint || error.code === grpc.status.UNAVAILABLE)) throw error;
      await sleep(Number(hint ?? 500 * attempt));
    }
  }
}

async function generate(client, metadata, prompt, path) {
  // The id makes a second try the same job.
  const request = { prompt, request_id: randomUUID() };
  const createJob = promisify(client.createJob.bind(client));
  const { name } = await patiently(() => createJob({ request }, metadata));
  let last = { sequence: "0" };
  await patiently(async () => {
    for await (last of client.watchJob({ name, after_sequence: last.sequence }, metadata)) {
      if (last.event === "progress") console.log(`${Math.round(100 * last.progress.fraction)}%`);
    }
  });
  if (last.event !== "succeeded") throw new Error(`${name} ${last.event}: ${last[last.event].error.message}`);
  const file = createWriteStream(path);
  const digest = createHash("sha256");
  let offset = 0;
  await patiently(async () => {
    for await (const { data } of client.downloadVideo({ name, offset }, metadata)) {
      file.write(data);
      digest.update(data);
      offset += data.length;
    }
  });
  await promisify(file.end.bind(file))();
  if (digest.digest("hex") !== last.succeeded.sha256) throw new Error(`${path} did not arrive whole`);
  console.log(path);
}

const client = new VideoService(process.env.COGWHEEL_SERVER ?? "127.0.0.1:50051", grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
if (process.env.COGWHEEL_TOKEN) metadata.set("authorization", `Bearer ${process.env.COGWHEEL_TOKEN}`);
try {
  await generate(client, metadata, ...process.argv.slice(2));
} catch (error) {
  console.error(reasonOf(error), error.details ?? error.message);
  process.exitCode = 1;
} finally {
  client.close();
}
