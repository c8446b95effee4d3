#include "server/housekeeper.h"

#include <utility>

namespace cogwheel {

void Housekeeper::Every(std::chrono::nanoseconds period, std::string name,
                        std::function<void()> task, std::chrono::nanoseconds first) {
  chores_.push_back({std::move(name), period, std::move(task), clock_.Now() + first,
                     std::make_shared<std::atomic<bool>>(false)});
}

void Housekeeper::Tick() {
  for (Chore& chore : chores_) {
    if (clock_.Now() < chore.due || *chore.waits) continue;
    chore.due = clock_.Now() + chore.period;
    *chore.waits = true;
    pool_.Post(chore.name, [task = chore.task, waits = chore.waits] {
      task();
      *waits = false;
    });
  }
}

}  // namespace cogwheel
