#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <google/protobuf/io/coded_stream.h>
#include <gtest/gtest.h>

#include "cogwheel/internal/v1/rank_control.pb.h"

namespace cogwheel {

// A message of a recorded conversation, tests/support/conversations/README.md.
struct Said {
  bool by_rank = false;  // else by the frontend, to that rank
  int rank = 0;          // in the order of arrival
  internal::v1::RankMessage rank_message;
  internal::v1::FrontendMessage frontend_message;
};

inline std::vector<Said> ReadConversation(const std::string& name) {
  std::ifstream file(COGWHEEL_SOURCE_DIR "/tests/support/conversations/" + name, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  const std::string bytes = content.str();
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  std::vector<Said> all;
  char head[2];
  while (in.ReadRaw(head, sizeof(head))) {
    uint32_t size = 0;
    std::string message;
    if (!in.ReadVarint32(&size) || !in.ReadString(&message, static_cast<int>(size))) {
      ADD_FAILURE() << name << " is cut off";
      break;
    }
    Said& said = all.emplace_back();
    said.by_rank = head[0] == 'R';
    said.rank = head[1];
    EXPECT_TRUE(said.by_rank ? said.rank_message.ParseFromString(message)
                             : said.frontend_message.ParseFromString(message));
  }
  return all;
}

}  // namespace cogwheel
