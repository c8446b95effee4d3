#include "client/doctor/program_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/doctor/program_run.h"
#include "client/doctor/report.h"

namespace cogwheel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(ParseLoaderTrace, ReadsWhatTheLoaderLists) {
  EXPECT_THAT(ParseLoaderTrace("\tlinux-vdso.so.1 (0x00007f)\n"
                               "\tlibc10.so => /opt/my libs/libc10.so (0x00007f504eb33000)\n"
                               "\tlibgone.so.1 => not found\n"
                               "\t/lib64/ld-linux-x86-64.so.2 (0x00007f504ec68000)\n"),
              ElementsAre(Pair("libc10.so", "/opt/my libs/libc10.so"), Pair("libgone.so.1", "")));
  EXPECT_TRUE(ParseLoaderTrace("").empty());
}

TEST(CompareLibraries, TellsOfWhatTheEnvironmentReplaces) {
  const LoadedLibraries built = {{"liba.so", "/usr/lib/liba.so"}, {"libb.so", "/usr/lib/libb.so"}};
  EXPECT_EQ(CompareLibraries(built, built).level, FindingLevel::kOk);
  const Finding one =
      CompareLibraries({{"liba.so", "/conda/lib/liba.so"}, {"libb.so", "/usr/lib/libb.so"}}, built);
  EXPECT_EQ(one.level, FindingLevel::kWarning);
  EXPECT_THAT(one.what, HasSubstr("/conda/lib/liba.so in place of /usr/lib/liba.so"));
  EXPECT_EQ(one.way_out, "take /conda/lib out of it");
  const Finding two = CompareLibraries(
      {{"liba.so", "/conda/lib/liba.so"}, {"libb.so", "/conda/lib/libb.so"}}, built);
  EXPECT_EQ(two.way_out, "take /conda/lib out of it");
}

TEST(CompareLibraries, OneFileByTwoPathsIsTheSame) {
  EXPECT_EQ(
      CompareLibraries({{"liba.so", "/proc/self/exe"}}, {{"liba.so", "/proc/self/../self/exe"}})
          .level,
      FindingLevel::kOk);
}

TEST(CompareLibraries, NamesThreeOfMany) {
  LoadedLibraries built, other;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    built[name] = std::string("/usr/") + name;
    other[name] = std::string("/x/") + name;
  }
  EXPECT_THAT(CompareLibraries(other, built).what, HasSubstr("/x/c in place of /usr/c and 2 more"));
}

TEST(PreloadProblem, TellsOfALibraryThatIsNotThere) {
  const auto found = PreloadProblem(
      "ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded (cannot open shared object "
      "file): ignored.\n");
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(found->what, testing::StartsWith("object '/x.so' from LD_PRELOAD"));
  EXPECT_FALSE(PreloadProblem("a log line about LD_PRELOAD\n").has_value());
}

// An image that keeps LibTorch where only LD_LIBRARY_PATH finds it.
TEST(CompareLibraries, LeavesAloneWhatOnlyTheEnvironmentFinds) {
  EXPECT_EQ(
      CompareLibraries({{"libc10.so", "/usr/local/lib/cogwheel/libc10.so"}}, {{"libc10.so", ""}})
          .level,
      FindingLevel::kOk);
  EXPECT_EQ(CompareLibraries({{"libjemalloc.so.2", "/usr/lib/libjemalloc.so.2"}}, {}).level,
            FindingLevel::kOk);
}

TEST(ExplainStart, KnowsHowLoadersSpeak) {
  struct Case {
    const char* log;
    const char* what;
    const char* way_out;
  };
  const Case cases[] = {
      {"w: error while loading shared libraries: libtorch_cpu.so: cannot open shared object file: "
       "No such file or directory\n",
       "w does not start: libtorch_cpu.so: cannot open", "LD_LIBRARY_PATH name its folder"},
      {"/b/w: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /b/w)\n",
       "w does not start: /lib/libc.so.6: version `GLIBC_2.38'", "newer system"},
      {"/b/w: /c/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /b/w)\n",
       "w does not start: /c/libstdc++.so.6: version", "remove that library"},
      {"/b/w: /c/libgcc_s.so.1: version `GCC_3.0' not found (required by /b/x)\n",
       "w does not start: /c/libgcc_s.so.1: version", "remove that library"},
      {"w: error while loading shared libraries: /x/libc10.so: file too short\n",
       "w does not start: /x/libc10.so: file too short", "install it again"},
      {"/b/w: symbol lookup error: /x/libc10.so: undefined symbol: _ZN3c10E\n",
       "undefined symbol: _ZN3c10E", "another version"},
      {"ERROR: ld.so: object 'p.so' from LD_PRELOAD cannot be preloaded: ignored.\n"
       "terminate called after throwing an instance of 'std::bad_alloc'\n",
       "std::bad_alloc", "memory.max"},
      {"cannot start /b/w: Permission denied", "cannot start /b/w", "chmod a+rx"},
  };
  for (const Case& each : cases) {
    const Finding found = ExplainStart({.program = "w", .exit_code = 127, .log = each.log});
    EXPECT_EQ(found.level, FindingLevel::kFault);
    EXPECT_THAT(found.what, HasSubstr(each.what));
    EXPECT_THAT(found.way_out, HasSubstr(each.way_out)) << each.log;
  }
}

TEST(ExplainStart, TellsTheLimitThatMemoryMet) {
  const std::string log =
      "w: error while loading shared libraries: libtorch_cpu.so: failed to map "
      "segment from shared object\n";
  EXPECT_THAT(ExplainStart({"w", 127, log, 1 << 30}).what, HasSubstr("(ulimit -v is 1048576)"));
  EXPECT_THAT(ExplainStart({"w", 127, log, std::nullopt}).what, testing::EndsWith("object"));
}

TEST(ExplainStart, TellsSignalsApart) {
  EXPECT_THAT(ExplainStart({"w", 128 + 4, ""}).way_out, HasSubstr("build it on this machine"));
  EXPECT_THAT(ExplainStart({"w", 128 + 9, ""}).way_out, HasSubstr("memory.max"));
  EXPECT_THAT(ExplainStart({"w", 128 + 11, "last words\n"}).what,
              HasSubstr("ended by signal 11: last words"));
  EXPECT_THAT(ExplainStart({"w", 3, ""}).what, HasSubstr("ended with code 3: it gave no reason"));
}

TEST(RunProgram, ReadsBothOutputsAndEndsWhatDoesNotEnd) {
  const auto never = [] { return false; };
  const ProgramRun run =
      RunProgram({.argv = {"/bin/sh", "-c", "echo one; echo two; echo why >&2; exit 7"}}, never);
  EXPECT_THAT(run.lines, ElementsAre("one", "two"));
  EXPECT_EQ(run.log, "why\n");
  EXPECT_EQ(run.exit_code, 7);
  const ProgramRun endless = RunProgram(
      {.argv = {"/bin/sh", "-c", "echo one; exec sleep 100"}, .limit_seconds = 0}, never);
  EXPECT_NE(endless.exit_code, 0);
  EXPECT_THAT(endless.log, HasSubstr("not ended after 0 seconds"));
  EXPECT_NE(
      RunProgram({.argv = {"/bin/sh", "-c", "exec sleep 100"}}, [] { return true; }).exit_code, 0);
}

TEST(RunProgram, PlainIsWithoutWhatChangesLoading) {
  setenv("LD_LIBRARY_PATH", "/nowhere", 1);
  const std::vector<std::string> say = {"/bin/sh", "-c", "echo \"<$LD_LIBRARY_PATH>\""};
  const auto never = [] { return false; };
  EXPECT_THAT(RunProgram({.argv = say}, never).lines, ElementsAre("</nowhere>"));
  EXPECT_THAT(RunProgram({.argv = say, .plain = true}, never).lines, ElementsAre("<>"));
  unsetenv("LD_LIBRARY_PATH");
}

TEST(ReportText, FactsFirstAndOneLineEach) {
  const Findings findings = {
      {FindingLevel::kOk, "cpus", "2 CPUs", ""},
      {FindingLevel::kFact, "system", "Debian", ""},
      {FindingLevel::kFault, "checkpoint", "/m/a\nb is missing", "fetch it"}};
  EXPECT_EQ(ReportText(findings),
            "system: Debian\n"
            "ok      cpus: 2 CPUs\n"
            "fault   checkpoint: /m/a b is missing; fetch it\n");
  EXPECT_THAT(FaultSummary(findings), HasSubstr("faults in: checkpoint;"));
  EXPECT_EQ(FaultSummary({findings[0]}), "");
  EXPECT_THAT(ReportJson(findings), HasSubstr("{\"facts\":{\"system\":\"Debian\"},\"findings\":["));
}

}  // namespace
}  // namespace cogwheel
