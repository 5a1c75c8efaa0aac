// SPDX-License-Identifier: GPL-2.0-or-later
//
// The manual page says what --help says.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "program.hpp"

namespace vfb::test {
namespace {

const std::vector<std::string> kCommands{
    "list",   "show",   "explain", "pool",   "lease", "leases", "release", "run",
    "attach", "detach", "plan",    "apply",  "drain", "resume", "resize",  "take",
    "status", "check",  "reload",  "doctor", "log",   "help"};

std::set<std::string> matches(const std::string& text, const char* pattern) {
    std::set<std::string> found;
    const std::regex regex(pattern);
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
        found.insert((*it)[1]);
    return found;
}

std::set<std::string> options_of(const std::vector<std::string>& arguments) {
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
    return matches(outcome.out, R"((--[a-z][a-z-]*))");
}

TEST(Manual, HasEveryOptionAndNoOthers) {
    std::set<std::string> options = options_of({"--help"});
    for (const auto& command : kCommands) options.merge(options_of({command, "--help"}));
    EXPECT_EQ(matches(read_file(VFB_MANUAL), R"(\*(--[a-z][a-z-]*)\*)"), options);
}

// What has an answer has it as JSON as well: `run` becomes another program, `help` is for people.
TEST(Manual, EveryCommandHasJson) {
    for (const auto& command : kCommands) {
        const bool without = command == "run" || command == "help";
        EXPECT_EQ(options_of({command, "--help"}).contains("--json"), !without) << command;
    }
}

// As the options that ask for it.
TEST(Help, IsThatOfTheCommand) {
    EXPECT_EQ(run_program({"help"}).out, run_program({"--help"}).out);
    for (const auto& command : kCommands)
        EXPECT_EQ(run_program({"help", command}).out, run_program({command, "--help"}).out);
}

TEST(Manual, HasEveryState) {
    const auto states = matches(run_program({"help", "states"}).out, R"(\n  ([a-z-]+) )");
    const auto manual = read_file(VFB_MANUAL);
    for (const auto& state : states)
        EXPECT_TRUE(manual.contains("*" + state + "*") || manual.contains("_" + state + "_"))
            << state;
}

TEST(Manual, HasEveryCommand) {
    const auto help = run_program({"--help"}).out;
    const auto listed = matches(help.substr(help.find("Subcommands:")), R"(\n  ([a-z]+) )");
    EXPECT_EQ(listed, std::set<std::string>(kCommands.begin(), kCommands.end()));
    EXPECT_EQ(matches(read_file(VFB_MANUAL), R"(\n## ([a-z]+)\n)"), listed);
}

TEST(Manual, HasEveryExitStatus) {
    const auto help = run_program({"--help"}).out;
    EXPECT_EQ(matches(read_file(VFB_MANUAL), R"(\n\*([0-9]+)\*\n)"),
              matches(help.substr(help.find("Exit status:")), R"(\n  ([0-9]+) )"));
}

}  // namespace
}  // namespace vfb::test
