#include "server/store/sqlite/model_table.h"

namespace cogwheel {

absl::Status InsertModel(Connection& connection, const v1::Model& model) {
  return connection.Run(
      "INSERT INTO models (name, position, description, digest)"
      " VALUES (?1, (SELECT COALESCE(MAX(position) + 1, 0) FROM models), ?2, ?3)"
      " ON CONFLICT (name) DO UPDATE SET description = excluded.description,"
      " digest = excluded.digest",
      model.name(), Bytes{model.SerializeAsString()}, model.digest());
}

absl::StatusOr<std::vector<v1::Model>> ReadModels(Connection& connection) {
  Statement rows = connection.Query("SELECT description, digest FROM models ORDER BY position");
  std::vector<v1::Model> models;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return models;
    v1::Model& model = models.emplace_back();
    model.ParseFromString(rows.Text(0));
    // The release before makes it of other bytes: no group will have that one.
    if (model.digest() != rows.Text(1)) model.clear_digest();
  }
}

}  // namespace cogwheel
