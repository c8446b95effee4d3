// The flags of what operators do.
#include <ctime>

#include "client/command_table.h"
#include "client/time_value.h"

namespace cogwheel {
namespace {

constexpr char kWhat[] = "What it is about";
constexpr unsigned kPauses = Bit(Command::kPause) | Bit(Command::kUnpause);
constexpr char kLegalTime[] =
    "a time such as 2026-11-29T14:00:00Z, a date such as 2026-11-29, or 30d or 12h for so long ago";

template <std::string OperateFlags::* kMember>
absl::Status UseName(const FlagRow& row, const std::string& text, Arguments& arguments) {
  arguments.operate.*kMember = text;
  return text.empty() ? RefuseEmpty(FieldOf(row)) : absl::OkStatus();
}

template <std::optional<google::protobuf::Timestamp> OperateFlags::* kMember>
absl::Status UseTime(const FlagRow& row, const std::string& text, Arguments& arguments) {
  const auto time = ParseTime(FieldOf(row), text, std::time(nullptr));
  if (time.ok()) arguments.operate.*kMember = *time;
  return time.status();
}

constexpr FlagRow kRows[] = {
    {.commands = kPauses,
     .group = kWhat,
     .name = "--model",
     .value = "NAME",
     .what = "All jobs of this model. One of --model and --tenant is required",
     .fallback = "No default",
     .use = UseName<&OperateFlags::model>},
    {.commands = kPauses,
     .group = kWhat,
     .name = "--tenant",
     .value = "NAME",
     .what = "All jobs of this tenant",
     .fallback = "No default",
     .use = UseName<&OperateFlags::tenant>},
    {.commands = Bit(Command::kUsage),
     .group = kWhat,
     .name = "--tenant",
     .value = "NAME",
     .what = "What this tenant used",
     .fallback = "Default all",
     .use = UseName<&OperateFlags::tenant>},
    {.commands = Bit(Command::kPurge),
     .group = kWhat,
     .name = "--tenant",
     .value = "NAME",
     .what = "Whose finished jobs go, with their results and keys",
     .range = {.legal = "a tenant's name"},
     .required = true,
     .use = UseName<&OperateFlags::tenant>},
    {.commands = Bit(Command::kPurge),
     .group = kWhat,
     .name = "--before",
     .value = "TIME",
     .what = "Only jobs that ended before it",
     .range = {.legal = kLegalTime},
     .required = true,
     .use = UseTime<&OperateFlags::before>},
    {.commands = Bit(Command::kUsage),
     .group = kWhat,
     .name = "--from",
     .value = "TIME",
     .what = "The first hour that counts",
     .range = {.legal = kLegalTime},
     .fallback = "Default 24 hours before --to",
     .use = UseTime<&OperateFlags::from>},
    {.commands = Bit(Command::kUsage),
     .group = kWhat,
     .name = "--to",
     .value = "TIME",
     .what = "Hours that begin before it count",
     .range = {.legal = kLegalTime},
     .fallback = "Default now",
     .use = UseTime<&OperateFlags::to>},
    {.commands = Bit(Command::kPause),
     .group = kWhat,
     .name = "--reason",
     .value = "TEXT",
     .what = "Why: told to those whose jobs wait",
     .range = {.legal = "at most 255 bytes"},
     .fallback = "No default",
     .use = UseName<&OperateFlags::reason>},
    {.commands = Bit(Command::kFail),
     .group = kWhat,
     .name = "--reason",
     .value = "TEXT",
     .what = "Why: the job's owner reads it",
     .range = {.legal = "1 to 255 bytes"},
     .required = true,
     .use = UseName<&OperateFlags::reason>},
};

}  // namespace

std::span<const FlagRow> OperateFlagRows() { return kRows; }

}  // namespace cogwheel
