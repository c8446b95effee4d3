#include "server/store/sqlite/model_table.h"

namespace cogwheel {

absl::Status InsertModel(Connection& connection, const v1::Model& model) {
  return connection.Run(
      "INSERT INTO models (name, position, description)"
      " VALUES (?1, (SELECT COUNT(*) FROM models), ?2)"
      " ON CONFLICT (name) DO UPDATE SET description = excluded.description",
      model.name(), Bytes{model.SerializeAsString()});
}

absl::StatusOr<std::vector<v1::Model>> ReadModels(Connection& connection) {
  Statement rows = connection.Query("SELECT description FROM models ORDER BY position");
  std::vector<v1::Model> models;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return models;
    models.emplace_back().ParseFromString(rows.Text(0));
  }
}

}  // namespace cogwheel
