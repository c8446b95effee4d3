// The transformer's table against the tensor lists of the five published models; testdata/ holds
// their configs, and their lists without the blocks after block 0.
#include "worker/families/cogvideox/tensor_table.h"

#include <fstream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

struct Published {
  const char* model;
  size_t tensor_count;
  int64_t element_count;
};

void PrintTo(const Published& published, std::ostream* out) { *out << published.model; }

std::string DataPath(const std::string& name) {
  return std::string(COGWHEEL_SOURCE_DIR) + "/tests/worker/families/cogvideox/testdata/" + name;
}

TransformerConfig ReadConfig(const std::string& model) {
  const std::string path = DataPath(model + ".json");
  return ParseTransformerConfig(ReadSmallFile(path), path);
}

// name <tab> extents with commas
std::vector<TensorSpec> ReadList(const std::string& model) {
  std::ifstream file(DataPath(model + ".tsv"));
  std::vector<TensorSpec> list;
  for (std::string line; std::getline(file, line);) {
    const size_t tab = line.find('\t');
    TensorSpec spec{.name = line.substr(0, tab)};
    std::istringstream extents(line.substr(tab + 1));
    for (std::string extent; std::getline(extents, extent, ',');) {
      spec.shape.push_back(std::stoll(extent));
    }
    list.push_back(spec);
  }
  return list;
}

class PublishedTable : public testing::TestWithParam<Published> {};

TEST_P(PublishedTable, EqualsTheList) {
  TransformerConfig config = ReadConfig(GetParam().model);
  config.num_layers = 1;
  const std::vector<TensorSpec> list = ReadList(GetParam().model);
  ASSERT_GT(list.size(), 30u);
  EXPECT_THAT(TransformerTensors(config), testing::ContainerEq(list));
}

TEST_P(PublishedTable, HasThePublishedSize) {
  const std::vector<TensorSpec> table = TransformerTensors(ReadConfig(GetParam().model));
  EXPECT_EQ(table.size(), GetParam().tensor_count);
  const int64_t elements = std::accumulate(
      table.begin(), table.end(), int64_t{0},
      [](int64_t sum, const TensorSpec& spec) { return sum + spec.element_count(); });
  EXPECT_EQ(elements, GetParam().element_count);
}

INSTANTIATE_TEST_SUITE_P(Models, PublishedTable,
                         testing::Values(Published{"CogVideoX-2b", 736, 1'693'783'872},
                                         Published{"CogVideoX-5b", 1024, 5'570'283'072},
                                         Published{"CogVideoX-5b-I2V", 1025,
                                                   5'570'479'680 + 54'607'872},
                                         Published{"CogVideoX1.5-5B", 1024, 5'570'676'352},
                                         Published{"CogVideoX1.5-5B-I2V", 1028, 5'571'594'880}));

}  // namespace
}  // namespace cogwheel
