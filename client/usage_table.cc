#include "client/usage_table.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/text_table.h"

namespace cogwheel {
namespace {

std::vector<std::string> RowOf(const v1::TenantUsage& used) {
  return {used.tenant(),
          used.model(),
          absl::StrFormat("%.1f", used.gpu_seconds()),
          absl::StrCat(used.succeeded()),
          absl::StrCat(used.failed()),
          absl::StrCat(used.cancelled()),
          absl::StrCat(used.result_bytes())};
}

void Add(const v1::TenantUsage& used, v1::TenantUsage& sum) {
  sum.set_gpu_seconds(sum.gpu_seconds() + used.gpu_seconds());
  sum.set_succeeded(sum.succeeded() + used.succeeded());
  sum.set_failed(sum.failed() + used.failed());
  sum.set_cancelled(sum.cancelled() + used.cancelled());
  sum.set_result_bytes(sum.result_bytes() + used.result_bytes());
}

}  // namespace

std::string UsageTable(const v1::GetUsageResponse& usage) {
  if (usage.usage().empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"TENANT", "MODEL", "GPU SECONDS", "SUCCEEDED", "FAILED", "CANCELLED", "RESULT BYTES"}};
  v1::TenantUsage sum;
  sum.set_tenant("(all)");
  for (const v1::TenantUsage& used : usage.usage()) {
    rows.push_back(RowOf(used));
    Add(used, sum);
  }
  if (usage.usage_size() > 1) rows.push_back(RowOf(sum));
  return TextTable(rows, /*columns=*/0);
}

}  // namespace cogwheel
