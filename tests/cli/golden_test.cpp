// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the program asks for, prints and exits with, held in tests/cli/golden/. After a wanted
// change run this test with VFB_REGENERATE_GOLDEN=1 in the environment, and read the difference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "program.hpp"

namespace vfb::test {
namespace {

struct Case {
    std::string name;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> replies;  // method to recorded reply
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"list", {"list"}, {{"List", "list"}}},
        {"list-all", {"list", "--all"}, {{"List", "list-all"}}},
        {"list-tree", {"list", "--tree", "--all"}, {{"List", "list-all"}}},
        {"list-json", {"list", "--json"}, {{"List", "list"}}},
        {"list-empty", {"list"}, {{"List", "list-empty"}}},
        {"list-empty-json", {"list", "--json"}, {{"List", "list-empty"}}},
        {"list-broken", {"list"}, {{"List", "list-broken"}}},
        {"list-filtered",
         {"list", "--pool", "net", "--state", "clean,stuck", "--state", "dirty"},
         {{"ListPools", "pools"}, {"List", "list"}}},
        {"list-filtered-json",
         {"list", "--pf", "0000:01:00.1", "--driver", "igb", "--json"},
         {{"List", "list"}}},
        {"list-pf-name",
         {"list", "--pf", "lan", "--class", "ETHERNET", "--numa", "0"},
         {{"Status", "status"}, {"List", "list"}}},
        {"list-no-driver", {"list", "--all", "--driver", "none"}, {{"List", "list-all"}}},
        {"list-columns",
         {"list", "--columns", "state,address", "--columns", "POOL"},
         {{"List", "list"}}},
        {"list-wrong-column", {"list", "--columns", "ADDRESS,COLOR"}, {{"List", "list"}}},
        {"list-columns-and-json", {"list", "--columns", "ADDRESS", "--json"}, {}},
        {"list-wrong-pool", {"list", "--pool", "nte"}, {{"ListPools", "pools"}}},
        {"list-wrong-pf", {"list", "--pf", "wan"}, {{"Status", "status"}}},
        {"list-pf-missing", {"list", "--pf", "san"}, {{"Status", "status"}}},
        {"list-wrong-state", {"list", "--state", "clear"}, {}},
        {"show-many", {"show", "0000:01:00.0"}, {{"Show", "show-many"}}},
        {"show-unread", {"show", "0000:01:10.0"}, {{"Show", "show-unread"}}},
        {"show-pf", {"show", "0000:01:00.0"}, {{"Show", "show-pf"}}},
        {"show-vf", {"show", "0000:01:10.0"}, {{"Show", "show-vf"}}},
        {"show-json", {"show", "0000:01:10.0", "--json"}, {{"Show", "show-vf"}}},
        {"show-none", {"show", "0000:09:00.0"}, {{"Show", "refuse-not-found"}}},
        {"show-none-json", {"show", "0000:09:00.0", "--json"}, {{"Show", "refuse-not-found"}}},
        {"explain", {"explain", "0000:01:10.0"}, {{"Explain", "explain-vf"}}},
        {"explain-switch", {"explain", "0000:04:10.0"}, {{"Explain", "explain-switch"}}},
        {"explain-json", {"explain", "0000:01:10.0", "--json"}, {{"Explain", "explain-vf"}}},
        {"explain-none", {"explain", "0000:09:00.0"}, {{"Explain", "refuse-not-found"}}},
        {"doctor-good", {"doctor"}, {{"Diagnose", "doctor-good"}}},
        {"doctor-warn", {"doctor"}, {{"Diagnose", "doctor-warn"}}},
        {"doctor-bad", {"doctor"}, {{"Diagnose", "doctor-bad"}}},
        {"doctor-json", {"doctor", "--json"}, {{"Diagnose", "doctor-bad"}}},
        {"doctor-none", {"doctor"}, {{"Diagnose", "doctor-none"}}},
        {"pool", {"pool"}, {{"ListPools", "pools"}}},
        {"pool-json", {"pool", "--json"}, {{"ListPools", "pools"}}},
        {"leases", {"leases"}, {{"ListLeases", "leases"}}},
        {"leases-json", {"leases", "--json"}, {{"ListLeases", "leases"}}},
        {"lease",
         {"lease", "net", "--count", "2", "--guest", "web"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-not-kept",
         {"lease", "net", "--guest", "web"},
         {{"Lease", "lease-node"}, {"Keep", "refuse-no-lease"}, {"Release", "nothing"}}},
        {"lease-guest-json",
         {"lease", "net", "--guest", "web", "--json"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-cloud-hypervisor",
         {"lease", "net", "--format", "cloud-hypervisor"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-crosvm",
         {"lease", "net", "--format", "crosvm"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-stratovirt",
         {"lease", "net", "--format", "stratovirt"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-kata",
         {"lease", "net", "--format", "kata"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-json", {"lease", "net", "--json"}, {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-options",
         {"lease",           "net",     "--mac",         "02:00:00:00:00:01",
          "--vlan",          "0",       "--qos",         "3",
          "--vlan-protocol", "802.1ad", "--spoof-check", "off",
          "--trust",         "on",      "--min-tx-rate", "10",
          "--max-tx-rate",   "1000",    "--link-state",  "enable",
          "--rss-query",     "on",      "--node-guid",   "02:00:00:00:00:00:00:01",
          "--backend",       "group",   "--wait",        "5"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-function",
         {"lease", "net", "--function", "0000:01:10.0"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-function-and-count",
         {"lease", "net", "--function", "0000:01:10.0", "--count", "2"},
         {}},
        {"lease-pool-and-count",
         {"lease", "net:2"},
         {{"Lease", "lease-node"}, {"Keep", "nothing"}}},
        {"lease-count-twice", {"lease", "net:2", "--count", "2"}, {}},
        {"lease-count-and-function", {"lease", "net:2", "--function", "0000:01:10.0"}, {}},
        {"lease-wrong-count", {"lease", "net:many"}, {}},
        {"lease-exhausted", {"lease", "net", "--count", "2"}, {{"Lease", "refuse-busy"}}},
        {"lease-denied", {"lease", "net"}, {{"Lease", "refuse-denied"}}},
        {"lease-timeout", {"lease", "net", "--wait", "5"}, {{"Lease", "refuse-timeout"}}},
        {"lease-wrong-vlan", {"lease", "net", "--vlan", "5000"}, {}},
        {"lease-wrong-trust", {"lease", "net", "--trust", "yes"}, {}},
        {"run-wrong-memlock", {"run", "net", "--memlock", "9Q", "--", "qemu", "{}"}, {}},
        {"reload-invalid", {"reload"}, {{"Reload", "refuse-configuration"}}},
        {"plan", {"plan"}, {{"Plan", "plan"}}},
        {"plan-json", {"plan", "--json"}, {{"Plan", "plan"}}},
        {"plan-with",
         {"plan", "--with", "vfbroker.toml=" VFB_DATA "/new.toml", "--without", "old.toml"},
         {{"Plan", "plan-nothing"}}},
        {"plan-with-wrong", {"plan", "--with", "vfbroker.toml"}, {}},
        {"plan-with-none", {"plan", "--with", "vfbroker.toml=" VFB_DATA "/none.toml"}, {}},
        {"plan-invalid",
         {"plan", "--without", "old.toml", "--json"},
         {{"Plan", "refuse-configuration"}}},
        {"plan-refused", {"plan"}, {{"Plan", "plan-refused"}}},
        {"apply-refused",
         {"apply", "--yes"},
         {{"Plan", "plan-refused"}, {"Apply", "apply-refused"}}},
        {"plan-nothing", {"plan"}, {{"Plan", "plan-nothing"}}},
        {"apply", {"apply", "--yes"}, {{"Plan", "plan"}, {"Apply", "apply-done"}}},
        {"apply-not-all",
         {"apply", "--yes", "--despite", "0000:01:10.0=address,route"},
         {{"Plan", "plan"}, {"Apply", "apply-left"}}},
        {"apply-asks", {"apply"}, {{"Plan", "plan"}}},
        {"apply-dry-run", {"apply", "--dry-run"}, {{"Plan", "plan"}}},
        {"apply-wrong-despite", {"apply", "--despite", "0000:01:10.0"}, {}},
        {"drain", {"drain", "net"}, {{"Drain", "drain"}}},
        {"drain-wait", {"drain", "pf:uplink", "--wait", "5"}, {{"Drain", "refuse-timeout"}}},
        {"drain-for-long", {"drain", "net", "--wait"}, {{"Drain", "drain-empty"}}},
        {"resume-json", {"resume", "net", "--json"}, {{"Resume", "nothing"}}},
        {"resize-json", {"resize", "uplink", "6", "--json"}, {{"Resize", "nothing"}}},
        {"take-json", {"take", "0000:01:10.0", "--despite", "up", "--json"}, {{"Take", "nothing"}}},
        {"resume", {"resume", "net"}, {{"Resume", "nothing"}}},
        {"resize", {"resize", "uplink", "6"}, {{"Resize", "nothing"}}},
        {"resize-wrong", {"resize", "uplink", "0"}, {}},
        {"take", {"take", "0000:01:10.0", "--despite", "address,up"}, {{"Take", "nothing"}}},
        {"take-wrong", {"take", "0000:01:10.0", "--despite", "address,"}, {}},
        {"attach-no-vmm", {"attach", "net"}, {}},
        {"attach-two-vmms", {"attach", "net", "--qmp", "/x", "--cloud-hypervisor", "/y"}, {}},
        {"attach-nobody", {"attach", "net", "--qmp", "/nowhere/qmp"}, {}},
        {"attach-wrong-option",
         {"attach", "net", "--qmp", "/nowhere/qmp", "--device-option", "fd=3"},
         {}},
        {"detach-none", {"detach", "99", "--qmp", "/nowhere/qmp"}, {{"ListLeases", "leases"}}},
        {"release", {"release", "9", "--generation", "5"}, {{"Release", "release"}}},
        {"release-held", {"release", "9"}, {{"Release", "release-held"}}},
        {"release-held-json", {"release", "9", "--json"}, {{"Release", "release-held"}}},
        {"release-not-known", {"release", "9"}, {{"Release", "nothing"}}},
        {"release-guest",
         {"release", "--guest", "web"},
         {{"ListLeases", "leases"}, {"Release", "release-held"}}},
        {"release-guest-json",
         {"release", "--guest", "web", "--json"},
         {{"ListLeases", "leases"}, {"Release", "release"}}},
        {"release-guest-none", {"release", "--guest", "wbe"}, {{"ListLeases", "leases"}}},
        {"release-guest-of-two", {"release", "--guest", "web"}, {{"ListLeases", "leases-two"}}},
        {"release-guest-and-number", {"release", "9", "--guest", "web"}, {}},
        {"release-nothing", {"release"}, {}},
        {"release-none", {"release", "9"}, {{"Release", "refuse-no-lease"}}},
        {"release-wrong", {"release", "-1"}, {}},
        {"status", {"status"}, {{"Status", "status"}}},
        {"status-json", {"status", "--json"}, {{"Status", "status"}}},
        {"status-none", {"status"}, {{"Status", "status-none"}}},
        {"status-unknown", {"status"}, {{"Status", "refuse-unknown"}}},
        {"status-fault", {"status"}, {{"Status", "status-fault"}}},
        {"reload", {"reload"}, {{"Reload", "reload-done"}}},
        {"reload-left", {"reload"}, {{"Reload", "reload-left"}}},
        {"reload-left-json", {"reload", "--json"}, {{"Reload", "reload-left"}}},
        {"reload-late", {"reload"}, {{"Reload", "nothing"}}},
        {"help-states", {"help", "states"}, {}},
        {"help-columns", {"help", "columns"}, {}},
        {"help-wrong", {"help", "colors"}, {}},
        {"log-wrong-function", {"log", "eth0"}, {}},
        {"log-wrong-time", {"log", "--since", "tomorrow", "--json"}, {}},
        {"reload-denied", {"reload"}, {{"Reload", "refuse-root"}}},
        {"hang-up", {"status"}, {}},
        {"no-command", {}, {}},
        {"unknown-command", {"explode"}, {}},
        {"unknown-option", {"list", "--fast"}, {}},
        {"run-no-command", {"run", "net"}, {}},
        {"run-no-place", {"run", "net", "--", "qemu-system-x86_64", "-m", "1G"}, {}},
        {"run-two-places", {"run", "net", "--", "qemu-system-x86_64", "{}", "{}"}, {}},
        {"run-no-program", {"run", "net", "--", "{}"}, {}},
        {"run-count-of-two",
         {"run", "net", "storage", "--count", "2", "--", "qemu-system-x86_64", "{}"},
         {}},
        {"run-count-twice", {"run", "net:2", "--count", "2", "--", "qemu-system-x86_64", "{}"}, {}},
        {"run-wrong-count", {"run", "net:0", "--", "qemu-system-x86_64", "{}"}, {}},
        {"run-wrong-option", {"run", "net", "--device-option", "id=x", "--", "qemu", "{}"}, {}},
        {"run-dpdk-iommufd",
         {"run", "net", "--backend", "iommufd", "--", "dpdk-testpmd", "{}"},
         {}},
        {"command-elsewhere", {"list", "--", "x"}, {}},
    };
    return all;
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

// A record of the whole run. A method without a recorded reply is answered by hanging up.
std::string record(const Case& the_case) {
    FakeBroker broker([&](const proto::Call& call) {
        const auto found = the_case.replies.find(call.method.substr(call.method.rfind('.') + 1));
        if (found == the_case.replies.end())
            return Answer{.body = nullptr, .descriptors = {}, .hang_up = true};
        return Answer{.body = recorded(found->second), .descriptors = {}};
    });
    std::vector<std::string> arguments{"--socket", broker.path()};
    std::string line = "$ vfbroker";
    for (const auto& argument : the_case.arguments) {
        arguments.push_back(argument);
        line += " " + argument;
    }
    const auto outcome = run_program(arguments);
    std::string calls;
    for (const auto& call : broker.calls())
        calls += fmt::format("{} {}\n", call.method, call.parameters.dump());
    const auto text = fmt::format("{}\n---- calls\n{}---- stdout\n{}---- stderr\n{}---- exit {}\n",
                                  line, calls, outcome.out, outcome.err, outcome.status);
    return replace_all(replace_all(text, broker.path(), "SOCKET"), VFB_DATA, "DATA");
}

class Golden : public ::testing::TestWithParam<Case> {};

TEST_P(Golden, IsAsRecorded) {
    const std::string path = fmt::format("{}/golden/{}.txt", VFB_DATA, GetParam().name);
    const std::string now = record(GetParam());
    if (std::getenv("VFB_REGENERATE_GOLDEN") != nullptr) std::ofstream(path) << now;
    EXPECT_EQ(now, read_file(path));
}

INSTANTIATE_TEST_SUITE_P(Program, Golden, ::testing::ValuesIn(cases()), [](const auto& param_info) {
    return replace_all(param_info.param.name, "-", "_");
});

TEST(Golden, NobodyListens) {
    const auto outcome = run_program({"--socket", "/nowhere/socket", "list", "--json"});
    EXPECT_EQ(outcome.status, 7);
    EXPECT_EQ(outcome.err,
              "vfbroker: cannot reach vfbrokerd at /nowhere/socket: No such file or directory\n"
              "hint: systemctl start vfbrokerd.socket\n");
    EXPECT_EQ(proto::Json::parse(outcome.out)["error"]["code"], "not-running");
}

// Without a daemon its program checks; here there is none beside ours.
TEST(Golden, DoctorWithoutADaemon) {
    const auto outcome = run_program({"--socket", "/nowhere/socket", "doctor"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err,
              "vfbroker: cannot check this host: cannot run vfbrokerd --doctor: No such file or "
              "directory\n"
              "hint: vfbrokerd belongs to the same package as vfbroker\n");
}

TEST(Golden, CheckWithoutTheDaemonsProgram) {
    const auto outcome = run_program({"check", "/etc/elsewhere"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(
        outcome.err,
        "vfbroker: cannot check the configuration: cannot run vfbrokerd --check: No such file "
        "or directory\n"
        "hint: vfbrokerd belongs to the same package as vfbroker\n");
}

}  // namespace
}  // namespace vfb::test
