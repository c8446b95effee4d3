#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::hours;
using testing::HasSubstr;

const std::string kDigest(64, 'a');

class ImageInputTest : public DispatcherTest {
 protected:
  ImageInputTest() {
    v1::Model model = TestModel("i2v");
    model.mutable_limits()->set_image_required(true);
    EXPECT_TRUE(BlockingStore(store_).NewEpoch(model).ok());
  }
  void Kept(const std::string& tenant, const std::string& refusal = "") {
    input_rows_.rows[{tenant, kDigest}] = {tenant, kDigest, 1'000'000'000, refusal,
                                           clock_.Wall() + hours(1)};
  }
  static v1::GenerateRequest Request() {
    v1::GenerateRequest request;
    request.set_prompt("p");
    request.set_model("i2v");
    request.set_image_input("inputs/" + kDigest);
    return request;
  }
};

TEST_F(ImageInputTest, AJobStartsFromTheInputThatItNames) {
  Kept("default");
  const Job job = Submit(Request()).value().job;
  EXPECT_EQ(kDigest, job.image_sha256);
  EXPECT_EQ("inputs/" + kDigest, job.request.image_input());
  EXPECT_LT(ledger_.load().bytes, 1000) << "its bytes are counted where it is kept";
}

TEST_F(ImageInputTest, ANamedInputLivesADayLonger) {
  Kept("default");
  ASSERT_TRUE(Submit(Request()).ok());
  EXPECT_EQ(clock_.Wall() + hours(24), (input_rows_.rows.at({"default", kDigest}).expire_time));
}

TEST_F(ImageInputTest, AnothersInputIsUnknown) {
  Kept("other");
  const absl::Status refused = Submit(Request()).status();
  EXPECT_TRUE(absl::IsNotFound(refused));
  EXPECT_EQ("UNKNOWN_INPUT", ErrorReason(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("image_input inputs/aaaa"));
  EXPECT_EQ(0, ledger_.load().jobs);
}

TEST_F(ImageInputTest, AnInputThatIsNoPictureIsRefusedInThePicturesWords) {
  Kept("default", "is a GIF file; legal are PNG, JPEG and WebP");
  const absl::Status refused = Submit(Request()).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_EQ("IMAGE", ErrorReason(refused));
  EXPECT_EQ("image_input is a GIF file; legal are PNG, JPEG and WebP", refused.message());
}

TEST_F(ImageInputTest, AKeyBelongsToTheInputThatWasNamed) {
  Kept("default");
  v1::GenerateRequest request = Request();
  request.set_request_id("k");
  const std::string name = Submit(request)->job.name;
  EXPECT_EQ(name, Submit(request)->job.name);
  request.set_image_input("inputs/" + std::string(64, 'b'));
  EXPECT_EQ("KEY_REUSED", ErrorReason(Submit(request).status()));
}

}  // namespace
}  // namespace cogwheel
