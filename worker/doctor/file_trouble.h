#pragma once

#include <optional>
#include <string>

namespace cogwheel {

// What is wrong with a file before its content matters, and what to do.
struct FileTrouble {
  std::string what;
  std::string way_out;
};

// Nothing for a file that can be read and holds more than nothing or a Git LFS pointer.
// fetch: how this checkpoint is fetched, for the way out.
std::optional<FileTrouble> TroubleOf(const std::string& path, const std::string& fetch);

// The file or link in this checkpoint that a message names, whole or from the checkpoint's folder
// on; else a link to nowhere in a folder of it that the message names; else "".
std::string NamedFile(const std::string& model_dir, const std::string& message);

// How to fetch this checkpoint (again): by its repository's name where the folder is a snapshot in
// the hub's cache.
std::string FetchCommand(const std::string& model_dir);

// A download beside the checkpoint that has not come to its end; "" when there is none.
std::string UnfinishedDownload(const std::string& model_dir);

}  // namespace cogwheel
