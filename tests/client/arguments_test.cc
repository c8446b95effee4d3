#include "client/arguments.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/flag_values.h"

namespace cogwheel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDefaultServer[] = "127.0.0.1:50051";

absl::StatusOr<ParsedArguments> Parse(std::vector<std::string> words,
                                      const std::string& default_server = kDefaultServer) {
  std::vector<const char*> argv = {"cogwheel"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return ParseArguments(static_cast<int>(argv.size()), argv.data(), {default_server, {}});
}

Arguments Accepted(const std::vector<std::string>& words) {
  const auto parsed = Parse(words);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->arguments ? *parsed->arguments : Arguments();
}

struct Refused {
  std::vector<std::string> words;
  std::vector<std::string> said;  // all of it is in the message
};

class RefusedArguments : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedArguments, NamesFieldValueAndLegal) {
  const auto parsed = Parse(GetParam().words);
  ASSERT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(parsed.status().message());
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  for (const std::string& said : GetParam().said) EXPECT_THAT(message, HasSubstr(said));
}

std::vector<std::string> Generate(std::vector<std::string> more) {
  std::vector<std::string> words = {"generate", "--prompt", "a red circle"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

INSTANTIATE_TEST_SUITE_P(
    Table, RefusedArguments,
    ::testing::Values(
        Refused{{}, {"command", "missing", "generate", "groups"}},
        Refused{{"generat"}, {"generat", "nearest is generate"}},
        Refused{{"--server", "host:1", "list"}, {"'--server'", "before the command"}},
        Refused{{"--server", "host:1"}, {"'--server'", "before the command"}},
        Refused{{"now", "list"}, {"'now'", "not known"}},
        Refused{{"generate"}, {"--prompt", "missing", "16 KiB"}},
        Refused{{"submit", "--seed", "1"}, {"--prompt", "missing"}},
        Refused{{"generate", "--prompt"}, {"--prompt"}},
        Refused{Generate({"--step", "4"}), {"--step", "nearest is --steps"}},
        Refused{Generate({"now"}),
                {"'now'", "not expected", "quotation marks: --prompt \"a red circle now\""}},
        Refused{{"generate", "--prompt", "a", "red", "circle", "--seed", "1"},
                {"'red' is not expected", "--prompt \"a red circle\""}},
        Refused{{"submit", "a", "red", "circle"}, {"--prompt \"a red circle\""}},
        Refused{{"submit", "a", "\"$5\"", "bill"}, {"--prompt \"...\""}},
        Refused{{"submit", "a", "cat", "of", std::string(60, 'x')}, {"--prompt \"...\""}},
        Refused{Generate({"-o", "a", "-o", "b"}), {"--output is given twice; legal is once"}},
        Refused{Generate({"--seed"}), {"--seed needs a value: --seed NUMBER"}},
        Refused{Generate({"--seed", "--json"}), {"--seed needs a value before --json"}},
        Refused{{"submit", "--prompt", "x", "--label", "a"}, {"label 'a'", "KEY=VALUE"}},
        Refused{{"submit", "--prompt", "x", "--label", "a=1", "--label", "a=2"},
                {"a is given twice"}},
        Refused{{"help", "generat"}, {"nearest is generate"}},
        Refused{{"completion", "fish"}, {"'fish'", "bash or zsh"}},
        Refused{{"completion"}, {"bash or zsh"}},
        Refused{Generate({"--steps", "abc"}), {"steps", "'abc'", "1 to 200"}},
        Refused{Generate({"--steps", ""}), {"steps", "''", "1 to 200"}},
        Refused{Generate({"--steps", "4.5"}), {"steps", "'4.5'", "whole"}},
        Refused{Generate({"--steps", "99999999999"}),
                {"steps", "99999999999", "legal is 1 to 200, within the model's"}},
        Refused{Generate({"--fps", "-99999999999"}), {"fps", "value is 1"}},
        Refused{Generate({"--frames", "1e3"}), {"frames", "'1e3'", "8k+1"}},
        Refused{Generate({"--frames", "99999999999"}), {"frames", "8k+1", "model's limits"}},
        Refused{Generate({"--width", "-99999999999"}),
                {"width", "legal is a multiple of 16, within the model's limits"}},
        Refused{Generate({"--height", "96px"}), {"height", "'96px'", "multiple of 16"}},
        Refused{Generate({"--width", "0x60"}), {"width", "'0x60'", "multiple of 16"}},
        Refused{Generate({"--fps", "fast"}), {"fps", "'fast'", "1 to 120"}},
        Refused{Generate({"--guidance-scale", "x"}), {"guidance_scale", "'x'", "0 to 50"}},
        Refused{Generate({"--guidance-scale", "3,5"}), {"guidance_scale", "'3,5'"}},
        Refused{Generate({"--seed", "18446744073709551616"}),
                {"seed", "value is 18446744073709551615"}},
        Refused{Generate({"--seed", "lucky"}), {"seed", "'lucky'"}},
        Refused{Generate({"--priority", "high"}), {"priority", "'high'", "0 to 9"}},
        Refused{Generate({"--deadline", "soon"}), {"deadline", "'soon'", "604800"}},
        Refused{Generate({"--max-sequence-length", "all"}), {"max_sequence_length", "'all'"}},
        Refused{Generate({"--scheduler", "euler"}), {"scheduler", "'euler'", "ddim or dpm"}},
        Refused{Generate({"--output-type", "gif"}), {"output_type", "'gif'", "frames or latent"}},
        Refused{Generate({"--device", "tpu"}), {"device", "'tpu'", "cpu or cuda"}},
        Refused{Generate({"--dtype", "int8"}), {"dtype", "'int8'", "fp32, bf16 or fp16"}},
        Refused{Generate({"--ring", "two"}), {"ring", "'two'", "1 to 16"}},
        Refused{Generate({"--ring", "0"}), {"ring 0 is", "the nearest legal value is 1"}},
        Refused{Generate({"--ring", "17"}), {"ring 17", "the nearest legal value is 16"}},
        Refused{Generate({"--ulysses", "-2"}), {"ulysses -2", "the nearest legal value is 1"}},
        Refused{Generate({"--cfg-parallel", "3"}), {"cfg_parallel 3", "legal value is 2"}},
        Refused{{"list", "--limit", "-5"}, {"limit -5", "the nearest legal value is 0"}},
        Refused{{"list", "--limit", "9999999"}, {"limit 9999999", "legal value is 1000000"}},
        Refused{{"list", "-v"}, {"'-v' is not known by list; see cogwheel help list"}},
        Refused{{"help", "--json"}, {"'--json' is not known by help", "cogwheel help [COMMAND]"}},
        Refused{{"dl"}, {"'dl' is not known; see cogwheel help"}},
        Refused{{"generate", "--prompt", "-o", "x.mp4"}, {"--prompt needs a value before -o"}},
        Refused{Generate({"--output", ""}), {"output", "empty"}},
        Refused{Generate({"--json", "-o", "-"}), {"output -", "--json"}},
        Refused{Generate({"--previews"}), {"--previews", "--json"}},
        Refused{Generate({"--seed", "-2"}), {"seed", "-2", "value is 0"}},
        Refused{Generate({"--seed", "-01"}), {"seed", "-01", "value is 0"}},
        Refused{Generate({"--seed", "-1.0"}), {"seed", "'-1.0'", "or -1 for a random one"}},
        Refused{Generate({"--image", ""}), {"image", "empty"}},
        Refused{Generate({"--model", ""}), {"model", "empty"}},
        Refused{Generate({"--server", ""}), {"server", "''", "HOST:PORT"}},
        Refused{Generate({"--server", "localhost"}), {"server", "'localhost'", "HOST:PORT"}},
        Refused{Generate({"--server", ":50051"}), {"server", "HOST:PORT"}},
        Refused{Generate({"--server", "host:70000"}), {"server", "65535"}},
        Refused{Generate({"--server", "::1:50051"}), {"server", "'::1:50051'", "[::1]:50051"}},
        Refused{Generate({"--server", "http://host:1"}), {"server", "'http://host:1'"}},
        Refused{Generate({"--server", "host:1", "--ring", "2"}), {"--ring", "--server"}},
        Refused{Generate({"--server", "host:1", "--device", "cpu"}), {"--device", "--server"}},
        Refused{Generate({"--server", "host:1", "--variant", "fp16"}), {"--variant", "--server"}},
        Refused{Generate({"--request-id", "x"}),
                {"--request-id", "not known by generate; it is one of submit"}},
        Refused{Generate({"--json=maybe"}), {"json"}},
        Refused{Generate({"--steps", "4", "--steps", "5"}), {"--steps"}},
        Refused{{"submit", "--prompt", "x", "--ring", "2"},
                {"--ring", "not known by submit; it is one of generate, doctor"}},
        Refused{{"get"}, {"get", "job", "jobs/ID"}},
        Refused{{"download", "-o", "x.mp4"}, {"download", "job"}},
        Refused{{"get", "a", "b"}, {"'b'", "not expected"}},
        Refused{{"list", "--state", "done"}, {"state", "'done'", "succeeded"}},
        Refused{{"health", "--verbose"}, {"--verbose", "not known"}}));

TEST(Arguments, LongValuesAndControlCharactersStayOutOfMessages) {
  const auto parsed = Parse(Generate({"--steps", "a\nb\x1b[2J" + std::string(5000, 'x')}));
  const std::string message(parsed.status().message());
  EXPECT_LT(message.size(), 200u);
  EXPECT_THAT(message, AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
}

TEST(Arguments, ABadServerOfTheEnvironmentIsNamedAsThat) {
  EXPECT_THAT(std::string(Parse({"list"}, "foo").status().message()),
              HasSubstr("COGWHEEL_SERVER 'foo' is not an address"));
  EXPECT_THAT(std::string(Parse({"list", "--server", "foo"}).status().message()),
              HasSubstr("server 'foo' is not an address"));
}

TEST(Arguments, ASeedOfMinusOneIsDrawnAsOneThatIsNotGiven) {
  EXPECT_FALSE(Accepted(Generate({"--seed", "-1"})).request.seed.has_value());
  EXPECT_FALSE(Accepted(Generate({"--seed=-1"})).request.seed.has_value());
  EXPECT_EQ(Accepted(Generate({"--seed", "1"})).request.seed, 1);
}

TEST(Arguments, ADashIsStandardOutput) {
  EXPECT_EQ(Accepted(Generate({"-o", "-"})).output, "-");
  EXPECT_EQ(Accepted(Generate({"--output=-"})).output, "-");
}

TEST(Arguments, DefaultsAreNotSet) {
  const Arguments arguments = Accepted({"generate", "--prompt", "x"});
  EXPECT_EQ(arguments.command, Command::kGenerate);
  EXPECT_EQ(arguments.output, "");  // named by what the result is
  EXPECT_EQ(arguments.server, "") << "self-contained, whatever the default server is";
  EXPECT_FALSE(arguments.request.steps.has_value());
  EXPECT_FALSE(arguments.request.seed.has_value());
  EXPECT_FALSE(arguments.ranks.ring.has_value());
  EXPECT_FALSE(arguments.json);
}

TEST(Arguments, EveryRequestFlagArrives) {
  const Arguments arguments = Accepted({"generate",
                                        "--prompt",
                                        "-x",
                                        "--negative-prompt",
                                        "n",
                                        "--image",
                                        "i.png",
                                        "--output-type",
                                        "latent",
                                        "--model",
                                        "dir",
                                        "--frames",
                                        "17",
                                        "--height=96",
                                        "--width",
                                        "128",
                                        "--fps",
                                        "8",
                                        "--steps",
                                        "10",
                                        "--guidance-scale",
                                        "2.5",
                                        "--dynamic-cfg",
                                        "--scheduler",
                                        "dpm",
                                        "--seed",
                                        "18446744073709551615",
                                        "--max-sequence-length",
                                        "32",
                                        "--vae-tiling",
                                        "--cfg-parallel",
                                        "2",
                                        "--ring",
                                        "3",
                                        "--ulysses",
                                        "2",
                                        "--device",
                                        "cpu",
                                        "--dtype",
                                        "fp32",
                                        "--deadline",
                                        "1.5",
                                        "--priority",
                                        "0",
                                        "--json",
                                        "-o",
                                        "o.mp4"});
  const RequestFlags& request = arguments.request;
  EXPECT_EQ(request.prompt, "-x");
  EXPECT_EQ(request.negative_prompt, "n");
  EXPECT_EQ(request.image_file, "i.png");
  EXPECT_EQ(request.output_type, v1::OUTPUT_TYPE_LATENT);
  EXPECT_EQ(request.model, "dir");
  EXPECT_EQ(request.frames, 17);
  EXPECT_EQ(request.height, 96);
  EXPECT_EQ(request.width, 128);
  EXPECT_EQ(request.fps, 8);
  EXPECT_EQ(request.steps, 10);
  EXPECT_EQ(request.guidance_scale, 2.5);
  EXPECT_TRUE(request.dynamic_cfg);
  EXPECT_EQ(request.scheduler, v1::SCHEDULER_DPM);
  EXPECT_EQ(request.seed, 18446744073709551615u);
  EXPECT_EQ(request.max_sequence_length, 32);
  EXPECT_TRUE(request.vae_tiling);
  EXPECT_EQ(request.deadline_seconds, 1.5);
  EXPECT_EQ(request.priority, 0);
  EXPECT_EQ(arguments.ranks.cfg_parallel, 2);
  EXPECT_EQ(arguments.ranks.ring, 3);
  EXPECT_EQ(arguments.ranks.ulysses, 2);
  EXPECT_EQ(arguments.ranks.device, "cpu");
  EXPECT_EQ(arguments.ranks.dtype, "fp32");
  EXPECT_TRUE(arguments.json);
  EXPECT_EQ(arguments.output, "o.mp4");
}

TEST(Arguments, OtherCommandsTakeTheDefaultServer) {
  EXPECT_EQ(Accepted({"health"}).server, kDefaultServer);
  EXPECT_EQ(Accepted({"health", "--server", "[::1]:7"}).server, "[::1]:7");
  EXPECT_EQ(Accepted({"get", "abc", "--json"}).job, "abc");
  EXPECT_EQ(Parse({"health"}, "nowhere").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Arguments, StatesMayBeRepeatedOrListed) {
  const Arguments arguments = Accepted({"list", "--state", "queued,running", "--state", "failed"});
  EXPECT_THAT(arguments.states, ::testing::ElementsAre(v1::QUEUED, v1::RUNNING, v1::FAILED));
}

TEST(Arguments, LabelsOfAJob) {
  const Arguments arguments =
      Accepted({"submit", "--prompt", "x", "--label", "user=42", "--label", "note=a=b"});
  EXPECT_THAT(arguments.request.labels, ::testing::ElementsAre(::testing::Pair("note", "a=b"),
                                                               ::testing::Pair("user", "42")));
}

TEST(Arguments, HelpAndVersionAreAnswers) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--help"}, {"generate", "--help"}}) {
    const auto parsed = Parse(words);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_FALSE(parsed->arguments.has_value());
  }
  EXPECT_THAT(Parse({"generate", "-h"})->answer, HasSubstr("--guidance-scale"));
  EXPECT_EQ(Parse({"help", "generate"})->answer, Parse({"generate", "--help"})->answer);
  EXPECT_EQ(Parse({"generate", "help"})->answer, Parse({"generate", "--help"})->answer);
  EXPECT_EQ(Parse({"help"})->answer, Parse({"-h"})->answer);
  EXPECT_EQ(Parse({"version"})->answer, Parse({"-v"})->answer);
  EXPECT_THAT(Parse({"--version"})->answer,
              AllOf(HasSubstr("cogwheel 0."), HasSubstr("gRPC 1."), HasSubstr("protobuf 3."),
                    HasSubstr("compiler ")));
}

}  // namespace
}  // namespace cogwheel
