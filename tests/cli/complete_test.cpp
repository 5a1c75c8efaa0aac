// SPDX-License-Identifier: GPL-2.0-or-later
//
// What shells are told while a command line is typed, and what bash, zsh and fish make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <sstream>

#include "program.hpp"

namespace vfb::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

class Complete : public testing::Test {
protected:
    Complete()
        : broker([](const proto::Call& call) {
              const std::string method = call.method.substr(call.method.rfind('.') + 1);
              const std::string name = method == "List"        ? "list"
                                       : method == "ListPools" ? "pools"
                                       : method == "Status"    ? "status"
                                                               : "leases";
              return Answer{.body = recorded(name), .descriptors = {}};
          }) {}
    // Values only.
    std::vector<std::string> values(std::vector<std::string> words) const {
        words.insert(words.begin(), {"__complete", "--socket", broker.path()});
        const auto outcome = run_program(words);
        EXPECT_EQ(outcome.status, 0);
        auto lines = lines_of(outcome.out);
        for (auto& line : lines) line = line.substr(0, line.find('\t'));
        return lines;
    }
    // What `shell` makes of a script, with the program found as `vfbroker`.
    std::vector<std::string> shell(const std::string& command) const {
        const std::string program = VFB_PROGRAM;
        const std::string line = "PATH=" + program.substr(0, program.rfind('/')) + ":$PATH " +
                                 "SOCKET=" + broker.path() + " COMPLETIONS=" VFB_COMPLETIONS " " +
                                 command;
        std::string out;
        std::array<char, 4096> buffer{};
        const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(line.c_str(), "r"), ::pclose);
        while (std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr)
            out += buffer.data();
        return lines_of(out);
    }
    FakeBroker broker;
};

TEST_F(Complete, CommandsAndTheirOptions) {
    EXPECT_THAT(values({"re"}), ElementsAre("release", "resume", "resize", "reload"));
    EXPECT_THAT(values({""}), Contains("plan"));
    EXPECT_THAT(values({"list", "--a"}), ElementsAre("--all"));
    EXPECT_THAT(values({"list", "--"}), Contains("--json"));
    EXPECT_THAT(values({"--so"}), ElementsAre("--socket"));
    EXPECT_THAT(values({"--socket", ""}), ElementsAre(":file"));
    EXPECT_THAT(values({"plan", "--with", "vfbroker.toml=n"}), ElementsAre(":file"));
}

TEST_F(Complete, WhatTheDaemonKnows) {
    EXPECT_THAT(values({"show", "0000:01:1"}), Contains("0000:01:10.0"));
    EXPECT_THAT(values({"show", "0000:09"}), IsEmpty());
    EXPECT_THAT(values({"lease", ""}), Contains("net"));
    EXPECT_THAT(values({"lease", "net", ""}), IsEmpty());
    EXPECT_THAT(values({"run", "net", "s"}), ElementsAre("storage"));
    EXPECT_THAT(values({"release", ""}), ElementsAre("7", "8"));
    EXPECT_THAT(values({"drain", ""}), Contains("storage"));
    EXPECT_THAT(values({"resize", ""}), Not(Contains("storage")));
}

TEST_F(Complete, ValuesOfOptions) {
    EXPECT_THAT(values({"lease", "net", "--trust", ""}), ElementsAre("on", "off"));
    EXPECT_THAT(values({"lease", "net", "--backend", "g"}), ElementsAre("group"));
    EXPECT_THAT(values({"lease", "--trust", "on", "n"}), ElementsAre("net"));
    EXPECT_THAT(values({"lease", "net", "--vlan", ""}), IsEmpty());
    EXPECT_THAT(values({"take", "0000:01:10.0", "--despite", "add"}), ElementsAre("address"));
    EXPECT_THAT(values({"run", "net", "--", "qemu", ""}), IsEmpty());
}

TEST_F(Complete, FiltersAndColumns) {
    EXPECT_THAT(values({"list", "--pool", ""}), Contains("net"));
    EXPECT_THAT(values({"list", "--pf", ""}), ElementsAre("lan", "san"));
    EXPECT_THAT(values({"list", "--state", "q"}), ElementsAre("quarantined"));
    EXPECT_THAT(values({"list", "--driver", ""}), ElementsAre("igb", "vfio-pci"));
    EXPECT_THAT(values({"list", "--class", "E"}), ElementsAre("Ethernet controller"));
    EXPECT_THAT(values({"list", "--numa", ""}), ElementsAre("0"));
    EXPECT_THAT(values({"list", "--columns", "N"}), ElementsAre("NETDEV", "NUMA"));
    EXPECT_THAT(values({"pool", "--columns", "T"}), ElementsAre("TOTAL"));
    EXPECT_THAT(values({"release", "--guest", ""}), ElementsAre("web"));
    EXPECT_THAT(values({"log", "--lease", ""}), ElementsAre("7", "8"));
    EXPECT_THAT(values({"log", "0000:01:10"}), Contains("0000:01:10.0"));
    EXPECT_THAT(values({"help", ""}), ElementsAre("states", "columns"));
}

TEST_F(Complete, NothingWithoutADaemon) {
    const auto outcome = run_program({"__complete", "--socket", "/nowhere/socket", "show", "0000"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.out + outcome.err, "");
}

TEST_F(Complete, Bash) {
    const std::string script =
        R"(bash -c '. "$COMPLETIONS/vfbroker.bash"
                    COMP_LINE="vfbroker --socket $SOCKET show 0000:01:1"
                    COMP_POINT=${#COMP_LINE}
                    _vfbroker
                    printf "%s\n" "${COMPREPLY[@]}"')";
    // What stands before the last colon is in the line already.
    EXPECT_THAT(shell(script), Contains("10.0"));
}

TEST_F(Complete, Zsh) {
    const std::string script =
        R"(zsh -f -c '_describe() { print -rl -- $described }
                      compdef() { }
                      words=(vfbroker --socket $SOCKET show 0000:01:1)
                      CURRENT=5
                      . "$COMPLETIONS/_vfbroker"')";
    EXPECT_THAT(shell(script), Contains(testing::StartsWith(R"(0000\:01\:10.0:)")));
}

TEST_F(Complete, Fish) {
    const std::string script = "HOME=" + testing::TempDir() +
                               R"(vfbroker-fish fish --no-config -c '. "$COMPLETIONS/vfbroker.fish"
                   complete -C "vfbroker --socket $SOCKET show 0000:01:1"')";
    EXPECT_THAT(shell(script), Contains(testing::StartsWith("0000:01:10.0\t")));
}

}  // namespace
}  // namespace vfb::test
