#pragma once

// How malloc keeps what it has. No torch.
namespace cogwheel {

// Large blocks are mapped one by one and go back when they are freed. By default malloc raises the
// size from which it does so to 32 MiB, and tensors that come and go leave holes: a job of the
// shipped model whose tensors take 118 MiB at most grew the process by 340 MiB, now by 180. Threads
// share two arenas, because each of its own sets 64 MiB of addresses aside, of which `ulimit -v`
// leaves few. For the whole process; before its threads start.
void KeepHeapTight();

}  // namespace cogwheel
