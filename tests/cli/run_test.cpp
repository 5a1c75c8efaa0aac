// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker run, to the very program it becomes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

#include <filesystem>

#include "program.hpp"

namespace vfb::test {
namespace {

using proto::Json;
using ::testing::ElementsAre;

UniqueFd named_descriptor(const std::string& name) {
    return UniqueFd(::memfd_create(name.c_str(), MFD_CLOEXEC));
}

// Grants what is asked for: lease numbers from 1, descriptors that say what they are.
class Grants {
public:
    Answer operator()(const proto::Call& call) {
        if (call.method == "io.vfbroker.ListPools")
            return {.body = recorded("pools-iommufd"), .descriptors = {}};
        if (call.method == "io.vfbroker.Status")
            return {.body = recorded("status-iommufd"), .descriptors = {}};
        if (call.method == "io.vfbroker.Lease") return lease(call.parameters);
        return {.body = recorded("nothing"), .descriptors = {}};
    }

private:
    Answer lease(const Json& wanted) {
        if (wanted["pool"] == "full") return {.body = recorded("refuse-busy"), .descriptors = {}};
        ++leases_;
        Json lease = {{"id", leases_},
                      {"pool", wanted["pool"]},
                      {"backend", wanted["backend"]},
                      {"handOff", wanted["handOff"]},
                      {"functions", Json::array()},
                      {"groupDescriptors", Json::array()}};
        Answer answer;
        const bool descriptors = wanted["handOff"] == "descriptors";
        if (descriptors) {
            lease["contextDescriptor"] = 0;
            answer.descriptors.push_back(named_descriptor(fmt::format("context{}", leases_)));
        }
        for (int i = 0; i < wanted.value("count", 1); ++i) {
            Json function = {{"address", fmt::format("0000:0{}:10.{}", leases_, i)},
                             {"generation", 10 + leases_}};
            if (descriptors) {
                function["descriptor"] = answer.descriptors.size();
                answer.descriptors.push_back(
                    named_descriptor(fmt::format("cdev{}.{}", leases_, i)));
            } else {
                function["node"] = "/dev/vfio/1";
            }
            lease["functions"].push_back(std::move(function));
        }
        answer.body = proto::make_reply({{"lease", std::move(lease)}});
        return answer;
    }

    int leases_ = 0;
};

class Run : public ::testing::Test {
protected:
    Outcome run(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--socket", broker.path(), "run"});
        return run_program(arguments);
    }
    // Parameters of the calls of one method.
    std::vector<Json> calls(const std::string& method) const {
        std::vector<Json> found;
        for (const auto& call : broker.calls())
            if (call.method == "io.vfbroker." + method) found.push_back(call.parameters);
        return found;
    }

    FakeBroker broker{Grants()};
};

TEST_F(Run, BecomesTheProgramWithTheDescriptorsAndNoOthers) {
    const auto outcome =
        run({"net:2", "any", "--device-option", "x-no-mmap=on", "--device-option", "rombar=a,b",
             "--", VFB_PRINT_PROCESS, "-m", "1G", "{}", "-nographic"});
    EXPECT_EQ(outcome.status, 23) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    const auto said = Json::parse(outcome.out);
    EXPECT_EQ(said["pid"], outcome.pid);
    std::map<std::string, std::string> fds;  // what it is, to its number
    for (const auto& [fd, target] : said["descriptors"].items()) fds[target] = fd;
    // Of the two contexts one: the guest's memory is pinned once.
    ASSERT_EQ(fds.size(), 4u) << outcome.out;
    const auto fd = [&](const char* name) {
        return fds.at(fmt::format("/memfd:{} (deleted)", name));
    };
    const std::string options = ",x-no-mmap=on,rombar=a,,b";
    EXPECT_THAT(
        said["words"],
        ElementsAre("-m", "1G",                                              //
                    "-object", "iommufd,id=vfbroker0,fd=" + fd("context1"),  //
                    "-device", "vfio-pci,id=vf0,iommufd=vfbroker0,fd=" + fd("cdev1.0") + options,
                    "-device", "vfio-pci,id=vf1,iommufd=vfbroker0,fd=" + fd("cdev1.1") + options,
                    "-device", "vfio-pci,id=vf2,iommufd=vfbroker0,fd=" + fd("cdev2.0") + options,
                    "-nographic"));
    // The daemon sees the connection close, and the owner go on.
    EXPECT_EQ(broker.connections(0), 0u);
    EXPECT_TRUE(calls("Release").empty());
}

TEST_F(Run, AsksAsTheProcessAndByThePoolsBackend) {
    run({"net:2", "--vlan", "7", "--wait", "3", "--memlock", "2G", "--guest", "web", "--",
         VFB_PRINT_PROCESS, "{}"});
    ASSERT_EQ(calls("Lease").size(), 1u);
    EXPECT_EQ(calls("Lease")[0].dump(),
              R"({"pool":"net","count":2,"guest":"web","attributes":{"vlan":7},)"
              R"("backend":"iommufd","owner":"process","handOff":"descriptors",)"
              R"("memoryLock":2147483648,"waitSeconds":3})");
}

TEST_F(Run, FunctionsByTheirAddressesAreOfOnePool) {
    run({"net", "--function", "0000:01:10.0", "--function", "0000:01:10.1", "--", VFB_PRINT_PROCESS,
         "{}"});
    ASSERT_EQ(calls("Lease").size(), 1u);
    EXPECT_EQ(calls("Lease")[0]["functions"], Json({"0000:01:10.0", "0000:01:10.1"}));
    EXPECT_FALSE(calls("Lease")[0].contains("count"));
    for (const auto& pools : std::vector<std::vector<std::string>>{{"net:2"}, {"net", "any"}}) {
        auto words = pools;
        words.insert(words.end(), {"--function", "0000:01:10.0", "--", VFB_PRINT_PROCESS, "{}"});
        const auto outcome = run(words);
        EXPECT_EQ(outcome.status, 2);
        EXPECT_EQ(outcome.err,
                  "vfbroker: cannot lease 0000:01:10.0: --function is of one pool and counts by "
                  "itself\nhint: vfbroker run POOL --function ADDRESS -- …\n");
    }
    EXPECT_EQ(calls("Lease").size(), 1u);
}

TEST_F(Run, AnIommufdOfTheCommandsOwnIsUsed) {
    const auto outcome =
        run({"net", "any", "--", VFB_PRINT_PROCESS, "-object", "iommufd,id=mine,fd=1", "{}"});
    const auto said = Json::parse(outcome.out);
    ASSERT_EQ(said["words"].size(), 6u) << outcome.out;
    EXPECT_TRUE(
        said["words"][3].get<std::string>().starts_with("vfio-pci,id=vf0,iommufd=mine,fd="));
    EXPECT_TRUE(
        said["words"][5].get<std::string>().starts_with("vfio-pci,id=vf1,iommufd=mine,fd="));
    EXPECT_EQ(said["descriptors"].size(), 2u) << outcome.out;
}

TEST_F(Run, AMicrovmNeedsPcie) {
    const auto outcome = run({"net", "--", "qemu-system-x86_64", "-M", "microvm", "{}"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.err,
              "vfbroker: cannot run the command: a microvm has no PCI bus for the devices\n"
              "hint: -M microvm,pcie=on\n");
    EXPECT_TRUE(calls("Lease").empty());
}

TEST_F(Run, TheGroupBackendLendsNodesAndPassesNothing) {
    const auto outcome = run({"dpdk:2", "--", VFB_PRINT_PROCESS, "{}"});
    const auto said = Json::parse(outcome.out);
    EXPECT_THAT(said["words"], ElementsAre("-device", "vfio-pci,id=vf0,host=0000:01:10.0",
                                           "-device", "vfio-pci,id=vf1,host=0000:01:10.1"));
    EXPECT_TRUE(said["descriptors"].empty()) << outcome.out;
    EXPECT_EQ(calls("Lease").at(0)["handOff"], "node");
}

TEST_F(Run, ABackendThatIsNamedIsNotAskedFor) {
    run({"net", "--backend", "group", "--", VFB_PRINT_PROCESS, "{}"});
    EXPECT_EQ(calls("Lease").at(0)["backend"], "group");
    EXPECT_TRUE(calls("ListPools").empty());
}

TEST_F(Run, DpdkProgramsGetAddresses) {
    const std::string folder = std::filesystem::path(broker.path()).parent_path();
    const std::string program = folder + "/dpdk-testpmd";
    std::filesystem::create_symlink(VFB_PRINT_PROCESS, program);
    const auto outcome = run({"net:2", "--", program, "-l", "0-1", "{}", "--", "-i"});
    EXPECT_THAT(Json::parse(outcome.out)["words"],
                ElementsAre("-l", "0-1", "-a", "0000:01:10.0", "-a", "0000:01:10.1", "--", "-i"));
    EXPECT_EQ(calls("Lease").at(0)["backend"], "group");
}

TEST_F(Run, TheFormatMayBeNamed) {
    const auto outcome =
        run({"net", "--format", "dpdk", "--device-option", "cap=1", "--", VFB_PRINT_PROCESS, "{}"});
    EXPECT_THAT(Json::parse(outcome.out)["words"], ElementsAre("-a", "0000:01:10.0,cap=1"));
}

TEST_F(Run, AProgramThatCannotBeExecutedGivesTheLeasesBack) {
    const auto outcome = run({"net", "any", "--", "/nowhere/qemu", "{}"});
    EXPECT_EQ(outcome.status, 127);
    EXPECT_EQ(outcome.err, "vfbroker: cannot run /nowhere/qemu: No such file or directory\n");
    const auto released = calls("Release");
    ASSERT_EQ(released.size(), 2u);
    EXPECT_EQ(released[0].dump(), R"({"lease":1,"generation":11})");
    EXPECT_EQ(released[1].dump(), R"({"lease":2,"generation":12})");
}

TEST_F(Run, APoolThatRefusesGivesTheOthersBack) {
    const auto outcome = run({"net", "full", "--", VFB_PRINT_PROCESS, "{}"});
    EXPECT_EQ(outcome.status, 5);
    EXPECT_EQ(outcome.err,
              "vfbroker: cannot lease 2 functions of pool net: 1 of 7 is free\n"
              "hint: vfbroker leases\n");
    EXPECT_EQ(calls("Release").size(), 1u);
}

}  // namespace
}  // namespace vfb::test
