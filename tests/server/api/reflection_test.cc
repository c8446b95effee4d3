// What clients without the .proto files learn: by v1, which newer ones ask for first, and by
// v1alpha.
#include <set>

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>

#include "grpc/reflection/v1/reflection.pb.h"
#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;
using testing::IsSupersetOf;

class ReflectionTest : public FrontendTest, public testing::WithParamInterface<std::string> {
 protected:
  // The answers to questions of one stream. The messages of both versions are alike on the wire.
  std::vector<ServerReflectionResponse> Ask(const std::vector<ServerReflectionRequest>& questions) {
    grpc::TemplatedGenericStub<ServerReflectionRequest, ServerReflectionResponse> stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto done = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const auto call = stub.PrepareCall(
        &context, "/grpc.reflection." + GetParam() + ".ServerReflection/ServerReflectionInfo",
        &queue);
    call->StartCall(nullptr);
    EXPECT_TRUE(done());
    std::vector<ServerReflectionResponse> answers;
    for (const ServerReflectionRequest& question : questions) {
      call->Write(question, nullptr);
      EXPECT_TRUE(done());
      call->Read(&answers.emplace_back(), nullptr);
      EXPECT_TRUE(done());
    }
    call->WritesDone(nullptr);
    EXPECT_TRUE(done());
    grpc::Status status;
    call->Finish(&status, nullptr);
    EXPECT_TRUE(done());
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answers;
  }
  static ServerReflectionRequest Symbol(const std::string& name) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(name);
    return request;
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, ReflectionTest, testing::Values("v1", "v1alpha"),
                         [](const auto& info) { return info.param; });

// A client can build what it is told: each service listed, with all that its file imports.
TEST_P(ReflectionTest, EveryServiceThatIsListedIsDescribed) {
  Serve();
  ServerReflectionRequest list;
  list.set_list_services("*");
  std::vector<std::string> services;
  const auto listed = Ask({list});
  for (const auto& service : listed.at(0).list_services_response().service()) {
    services.push_back(service.name());
  }
  EXPECT_THAT(services,
              IsSupersetOf({"cogwheel.v1.VideoService", "cogwheel.v1.OperateService",
                            "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                            "grpc.reflection.v1alpha.ServerReflection"}));
  EXPECT_EQ(std::set<std::string>(services.begin(), services.end()).size(), services.size());
  for (const std::string& service : services) {
    SCOPED_TRACE(service);
    const auto answers = Ask({Symbol(service)});
    ASSERT_TRUE(answers.at(0).has_file_descriptor_response()) << answers.at(0).ShortDebugString();
    const auto& files = answers.at(0).file_descriptor_response().file_descriptor_proto();
    google::protobuf::SimpleDescriptorDatabase database;
    google::protobuf::DescriptorPool pool(&database);
    for (const std::string& bytes : files) {
      google::protobuf::FileDescriptorProto file;
      ASSERT_TRUE(file.ParseFromString(bytes));
      EXPECT_TRUE(database.Add(file));
    }
    const auto* found = pool.FindServiceByName(service);
    ASSERT_NE(nullptr, found);
    EXPECT_GE(found->method_count(), 1);
  }
}

TEST_P(ReflectionTest, AnswersEachQuestionOfAStreamInItsOrder) {
  Serve();
  ServerReflectionRequest file, extensions, extension;
  file.set_file_by_filename("cogwheel/v1/video_service.proto");
  extensions.set_all_extension_numbers_of_type("cogwheel.v1.Job");
  extension.mutable_file_containing_extension()->set_containing_type("cogwheel.v1.Job");
  extension.mutable_file_containing_extension()->set_extension_number(7);
  const auto answers = Ask({Symbol("cogwheel.v1.Nothing"), Symbol("cogwheel.v1.Job"), file,
                            extensions, extension, Symbol("cogwheel.v1.VideoService.GetJob")});
  EXPECT_EQ(answers[0].error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(answers[0].original_request().file_containing_symbol(), "cogwheel.v1.Nothing");
  EXPECT_TRUE(answers[1].has_file_descriptor_response());
  EXPECT_EQ(answers[2].error_response().error_code(), 0);
  EXPECT_EQ(answers[3].all_extension_numbers_response().base_type_name(), "cogwheel.v1.Job");
  EXPECT_EQ(answers[4].error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(answers[5].message_response_case(), ServerReflectionResponse::kErrorResponse);
}

}  // namespace
}  // namespace cogwheel
